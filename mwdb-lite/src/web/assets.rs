//! Style sheet, scripts and icons: the folder `static/`, compiled in.
//!
//! The one rule: pages name a file through [`url`], which adds the digest of its content. Such an
//! address never changes its meaning, so browsers may keep it for good.

use std::{collections::BTreeMap, fmt::Write as _, sync::LazyLock};

use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// A file as it is served.
pub(crate) struct Asset {
    pub(crate) data: std::borrow::Cow<'static, [u8]>,
    /// Digits of the digest.
    pub(crate) version: String,
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
pub(crate) fn get(path: &str) -> Option<Asset> {
    let version = VERSIONS.get(path)?.clone();
    Files::get(path).map(|file| Asset { data: file.data, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_carries_the_digest_of_the_file() {
        let address = url("style.css");
        let version = &get("style.css").expect("it is there").version;
        assert_eq!(address, format!("/static/style.css?v={version}"));
        assert!(get("../Cargo.toml").is_none());
        assert!(get("").is_none());
    }
}
