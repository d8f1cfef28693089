//! Style sheet, scripts and icons: the folder `static/`, compiled in.
//!
//! The one rule: pages name a file through [`url`], which adds the digest of its content. Such an
//! address never changes its meaning, so browsers may keep it for good.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _, path::PathBuf, sync::LazyLock};

use rocket::{
    Request, Response, Route, get,
    http::{ContentType, Status},
    response::Responder,
};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// A file as it is served.
struct Asset {
    content_type: ContentType,
    data: Cow<'static, [u8]>,
    /// Digits of the digest.
    version: String,
}

static VERSIONS: LazyLock<BTreeMap<String, String>> =
    LazyLock::new(|| Files::iter().filter_map(|path| Files::get(&path).map(|file| (path.into_owned(), version(&file)))).collect());

fn version(file: &rust_embed::EmbeddedFile) -> String {
    file.metadata.sha256_hash().iter().take(6).fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Address of a file for a page.
pub(crate) fn url(path: &str) -> String {
    match VERSIONS.get(path) {
        Some(version) => format!("/static/{path}?v={version}"),
        None => format!("/static/{path}"),
    }
}

/// The file at this path below `static/`.
fn find(path: &str) -> Option<Asset> {
    let version = VERSIONS.get(path)?.clone();
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    let content_type = ContentType::from_extension(extension).unwrap_or(ContentType::Binary);
    Files::get(path).map(|file| Asset { content_type, data: file.data, version })
}

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![file, favicon]
}

/// `..` does not get here: Rocket refuses it in paths.
#[get("/static/<path..>")]
fn file(path: PathBuf) -> Option<Asset> {
    find(path.to_str()?)
}

/// Where browsers look without being told.
#[get("/favicon.ico")]
fn favicon() -> Option<Asset> {
    find("icon.svg")
}

impl<'r> Responder<'r, 'static> for Asset {
    fn respond_to(self, request: &'r Request<'_>) -> rocket::response::Result<'static> {
        let tag = format!("\"{}\"", self.version);
        let named = request.query_value::<&str>("v").and_then(Result::ok) == Some(self.version.as_str());
        let mut response = Response::build();
        response.raw_header("Cache-Control", if named { "public, max-age=31536000, immutable" } else { "no-cache" });
        response.raw_header("ETag", tag.clone());
        if request.headers().get_one("If-None-Match") == Some(tag.as_str()) {
            return response.status(Status::NotModified).ok();
        }
        response.header(self.content_type).sized_body(self.data.len(), std::io::Cursor::new(self.data)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_carries_the_digest_of_the_file() {
        let address = url("style.css");
        let version = find("style.css").expect("it is there").version;
        assert_eq!(address, format!("/static/style.css?v={version}"));
        assert!(find("../Cargo.toml").is_none());
        assert!(find("").is_none());
    }
}
