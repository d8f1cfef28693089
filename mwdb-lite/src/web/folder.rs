//! Another web interface, served from the folder that the configuration names.
//!
//! Such interfaces route in the browser: a path that is no file is answered with `index.html`. The one rule: a browser
//! that has a file asks each time whether that is still the one, and gets it again only if it is not.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rocket::{
    Data, Request, Response, Route,
    fs::NamedFile,
    http::{
        HeaderMap, Method, Status,
        uri::{Segments, fmt::Path},
    },
    response::{self, Responder},
    route::{Handler, Outcome},
};

#[derive(Clone)]
struct Folder(PathBuf);

pub(super) fn routes(folder: PathBuf) -> Vec<Route> {
    // After everything else that is mounted.
    vec![Route::ranked(100, Method::Get, "/<path..>", Folder(folder))]
}

#[rocket::async_trait]
impl Handler for Folder {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        // Neither `..` nor hidden files.
        let path = request.segments::<Segments<'_, Path>>(0..).ok().and_then(|segments| segments.to_path_buf(false).ok());
        if path.as_ref().is_none_or(|path| path.starts_with("api")) {
            return Outcome::forward(data, Status::NotFound);
        }
        if let Some(path) = path.map(|path| self.0.join(path)).filter(|path| path.is_file())
            && let Ok(file) = Found::open(path).await
        {
            return Outcome::from(request, file);
        }
        match Found::open(self.0.join("index.html")).await {
            Ok(file) => Outcome::from(request, file),
            Err(_) => Outcome::forward(data, Status::NotFound),
        }
    }
}

/// A file, and by what a browser knows it again.
struct Found {
    file: NamedFile,
    tag: String,
    changed: SystemTime,
}

impl Found {
    async fn open(path: PathBuf) -> std::io::Result<Self> {
        let file = NamedFile::open(path).await?;
        let metadata = file.file().metadata().await?;
        let changed = metadata.modified()?;
        let since = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
        // Two changes within a second have one date.
        let tag = format!("\"{:x}-{:x}\"", since.as_nanos(), metadata.len());
        Ok(Self { file, tag, changed })
    }

    /// Whether the browser has it. The date counts only without a tag (RFC 9110, 13.1.3).
    fn is_known(&self, headers: &HeaderMap<'_>) -> bool {
        let mut tags = headers.get("If-None-Match").flat_map(|tags| tags.split(',')).map(str::trim).peekable();
        if tags.peek().is_some() {
            // A proxy that compresses marks the tag as weak.
            return tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.tag);
        }
        let since = headers.get_one("If-Modified-Since").and_then(|date| httpdate::parse_http_date(date).ok());
        // Dates have whole seconds.
        since.is_some_and(|since| self.changed < since + Duration::from_secs(1))
    }
}

impl<'r> Responder<'r, 'static> for Found {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let known = self.is_known(request.headers());
        let mut response = if known { Response::build().status(Status::NotModified).finalize() } else { self.file.respond_to(request)? };
        response.set_raw_header("ETag", self.tag);
        response.set_raw_header("Last-Modified", httpdate::fmt_http_date(self.changed));
        response.set_raw_header("Cache-Control", "no-cache");
        Ok(response)
    }
}
