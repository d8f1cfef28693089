//! The upload form.

use rocket::{Route, State, data::Data, get, http::ContentType, post, serde::json::Json};
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
    auth::{Caller, Capability},
    error::{ApiError, ApiResult},
    objects::{options::Options, tags::normalise},
    state::App,
    upload::{self, Form},
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![form, send]
}

#[get("/upload?<parent>")]
fn form(parent: Option<String>, session: Session, app: &State<App>) -> PageResult {
    session.require(Capability::AddingFiles)?;
    Page::new(&page(app, &session, parent))
}

fn page(app: &App, caller: &Caller, parent: Option<String>) -> UploadPage {
    let groups = caller.groups.iter().filter(|group| group.workspace && !group.private).map(|group| group.name.clone());
    UploadPage {
        frame: session::frame(app, Some(caller), Section::Upload),
        error: None,
        parent: parent.filter(|hash| !hash.is_empty() && hash.len() <= 128 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())),
        can_set_parent: caller.has(Capability::AddingParents),
        groups: groups.collect(),
        tags: Text::default(),
        limit: app.config.max_upload_size.map(Size),
        karton_enabled: app.karton.is_enabled(),
    }
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
    let text = |name: &str| form.texts.get(name).map(|text| text.trim().to_owned()).unwrap_or_default();
    let (tags, parent, upload_as) = (text("tags"), text("parent").to_lowercase(), text("upload_as"));
    match store(app, &actor, form, (&tags, &parent), upload_as).await {
        Ok(id) => {
            let location = format!("/file/{id}");
            if script.0 {
                return Ok(Answer::Json(Json(Uploaded { id, location })));
            }
            Ok(Answer::Seen(see_other(location)))
        }
        // The form again, with what was wrong in it.
        Err(error @ (ApiError::BadRequest(_) | ApiError::NotFound(_) | ApiError::Conflict(_))) if !script.0 => {
            let status = error.status();
            let page = UploadPage { error: Some(error.to_string().into()), tags: tags.into(), ..page(app, &actor, Some(parent)) };
            Ok(Answer::Form(Page::with_status(&page, status)?))
        }
        Err(error) => Err(error.into()),
    }
}

async fn store(app: &App, actor: &Actor, form: Form, (tags, parent): (&str, &str), upload_as: String) -> ApiResult<String> {
    let mut options = Options { parent: Some(parent.to_owned()).filter(|hash| !hash.is_empty()), ..Options::default() };
    if !upload_as.is_empty() {
        options.upload_as = upload_as;
    }
    for tag in tags.split(',').filter(|tag| !tag.trim().is_empty()) {
        options.tags.push(normalise(tag)?);
    }
    if form.file.is_none() {
        return Err(ApiError::BadRequest("No file was chosen.".to_owned()));
    }
    let view = store_file(app, &actor.0, form, options).await?;
    Ok(shown::text(&shown::answer(&view)?, "id"))
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
    Seen(SeeOther),
    Form(Page),
    Json(Json<Uploaded>),
}
