//! The upload form.

use karton_rs::json::Value;
use rocket::{Route, State, data::Data, get, http::ContentType, post};
use serde::Serialize;

use super::{
    respond::{Page, PageResult, SeeOther, see_other},
    session::{self, Actor, Session},
    shown,
    view::{
        frame::Section,
        text::{Size, Text},
        upload::UploadPage,
    },
};
use crate::{
    api::uploads::store_file,
    auth::Capability,
    error::ApiError,
    objects::{options::Options, tags},
    state::App,
    upload,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![form, send]
}

#[get("/upload?<parent>")]
fn form(parent: Option<String>, session: Session, app: &State<App>) -> PageResult {
    session.require(Capability::AddingFiles)?;
    let groups = session.groups.iter().filter(|group| group.workspace && !group.private).map(|group| group.name.clone());
    Page::new(&UploadPage {
        frame: session::frame(app, Some(&session), Section::Upload),
        error: None,
        parent: parent.filter(|hash| hash.len() <= 128 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())),
        can_set_parent: session.has(Capability::AddingParents),
        groups: groups.collect(),
        tags: Text::default(),
        limit: app.config.max_upload_size.map(Size),
        karton_enabled: app.karton.is_enabled(),
    })
}

/// Where the uploaded file is, for the script of the form.
#[derive(Serialize)]
struct Uploaded {
    id: String,
    location: String,
}

#[post("/upload", data = "<data>")]
async fn send(actor: Actor, content_type: Option<&ContentType>, data: Data<'_>, script: Script, app: &State<App>) -> PageResult<Answer> {
    actor.require(Capability::AddingFiles)?;
    let content_type = content_type.map(ToString::to_string);
    let form = upload::read(app, content_type.as_deref(), data, &["tags", "upload_as", "parent"]).await?;
    let text = |name: &str| form.texts.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let mut options = Options { parent: text("parent").map(str::to_lowercase), ..Options::default() };
    if let Some(upload_as) = text("upload_as") {
        upload_as.clone_into(&mut options.upload_as);
    }
    for tag in text("tags").unwrap_or_default().split(',').filter(|tag| !tag.trim().is_empty()) {
        options.tags.push(tags::normalise(tag)?);
    }
    if form.file.is_none() {
        return Err(ApiError::BadRequest("No file was chosen.".to_owned()).into());
    }
    let view = store_file(app, &actor.0, form, options).await?;
    let id = shown::answer(&view)?.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let location = format!("/file/{id}");
    if script.0 {
        return Ok(Answer::Json(rocket::serde::json::Json(Uploaded { id, location })));
    }
    Ok(Answer::Page(see_other(location)))
}

/// Whether the script of the form asks, which wants JSON.
struct Script(bool);

#[rocket::async_trait]
impl<'r> rocket::request::FromRequest<'r> for Script {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r rocket::Request<'_>) -> rocket::request::Outcome<Self, Self::Error> {
        rocket::request::Outcome::Success(Self(super::respond::wants_json(request)))
    }
}

#[derive(rocket::Responder)]
enum Answer {
    Page(SeeOther),
    Json(rocket::serde::json::Json<Uploaded>),
}
