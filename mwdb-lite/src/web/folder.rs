//! Another web interface, served from the folder that the configuration names.
//!
//! Such interfaces route in the browser: a path that is no file is answered with `index.html`.

use std::path::PathBuf;

use rocket::{
    Data, Request, Route,
    fs::NamedFile,
    http::{
        Method, Status,
        uri::{Segments, fmt::Path},
    },
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
            && let Ok(file) = NamedFile::open(path).await
        {
            return Outcome::from(request, file);
        }
        match NamedFile::open(self.0.join("index.html")).await {
            Ok(file) => Outcome::from(request, file),
            Err(_) => Outcome::forward(data, Status::NotFound),
        }
    }
}
