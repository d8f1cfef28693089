//! The upload forms: of a file, a config, a blob.
//!
//! The one rule: a form asks for the options of the API and hands them to the rules as they are; what
//! is refused comes back in the form, the file itself left out.

use std::collections::HashMap;
use std::sync::Arc;

use karton_rs::json::Value;
use rocket::{Route, State, data::Data, get, http::ContentType, post, serde::json::Json};
use serde::Serialize;

use super::{
    actions::attribute_value,
    notices::Done,
    object::attribute_keys,
    respond::{Page, PageResult, SeeOther, message, see_other},
    session::{self, Actor, Session},
    settings::fields,
    shown,
    view::{
        frame::Section,
        parts::Kind,
        text::Size,
        upload::{AttributeDraft, Typed, UploadPage},
    },
};
use crate::{
    api::{
        body::read_json,
        uploads::{store_blob, store_config, store_file},
    },
    auth::{Caller, Capability},
    error::{ApiError, ApiResult},
    objects::{definitions, options::Options, tags},
    state::App,
    upload::{self, Form},
};

/// How many attributes a form has room for.
const ATTRIBUTES: usize = 3;

/// The fields of all forms, without those of attributes.
const FIELDS: [&str; 10] =
    ["tags", "upload_as", "parent", "share_3rd_party", "family", "config_type", "cfg", "blob_name", "blob_type", "content"];

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![file_form, config_form, blob_form, send_file, send_config, send_blob]
}

#[get("/upload?<parent>")]
async fn file_form(parent: Option<String>, session: Session, app: &State<App>) -> PageResult {
    form(app, &session, Kind::File, parent).await
}

#[get("/upload/config?<parent>")]
async fn config_form(parent: Option<String>, session: Session, app: &State<App>) -> PageResult {
    form(app, &session, Kind::Config, parent).await
}

#[get("/upload/blob?<parent>")]
async fn blob_form(parent: Option<String>, session: Session, app: &State<App>) -> PageResult {
    form(app, &session, Kind::Blob, parent).await
}

async fn form(app: &App, session: &Session, kind: Kind, parent: Option<String>) -> PageResult {
    session.require(capability(kind))?;
    let typed = Typed { parent: parent.unwrap_or_default(), attributes: vec![AttributeDraft::default(); ATTRIBUTES], ..Typed::default() };
    Page::new(&page(app, &session.0, kind, typed).await?)
}

/// What must be granted to upload objects of a kind.
pub(super) fn capability(kind: Kind) -> Capability {
    match kind {
        Kind::File => Capability::AddingFiles,
        Kind::Config => Capability::AddingConfigs,
        Kind::Blob => Capability::AddingBlobs,
    }
}

async fn page(app: &App, caller: &Arc<Caller>, kind: Kind, mut typed: Typed) -> ApiResult<UploadPage> {
    let keys = app.look(caller, |c, caller| shown::answer(&definitions::list(c, caller, definitions::Access::Set)?)).await?;
    let groups = caller.groups.iter().filter(|group| group.workspace && !group.private).map(|group| group.name.clone());
    if typed.parent.len() > 128 || !typed.parent.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        typed.parent.clear();
    }
    Ok(UploadPage {
        frame: session::frame(app, Some(caller), Section::Upload),
        kind,
        kinds: [Kind::File, Kind::Config, Kind::Blob].into_iter().filter(|kind| caller.has(capability(*kind))).collect(),
        error: None,
        can_set_parent: caller.has(Capability::AddingParents),
        groups: groups.collect(),
        attribute_keys: attribute_keys(&keys),
        asks_consent: app.config.enable_3rd_party_sharing_consent,
        limit: app.config.max_upload_size.map(Size),
        karton_enabled: app.karton.is_enabled(),
        typed,
    })
}

/// Where the uploaded object is, for the script of the form.
#[derive(Serialize)]
struct Uploaded {
    id: String,
    location: String,
}

#[post("/upload", data = "<data>")]
async fn send_file(actor: Actor, kind: Option<&ContentType>, data: Data<'_>, script: Script, app: &State<App>) -> PageResult<Answer> {
    send(app, &actor, Kind::File, kind, data, script).await
}

#[post("/upload/config", data = "<data>")]
async fn send_config(actor: Actor, kind: Option<&ContentType>, data: Data<'_>, script: Script, app: &State<App>) -> PageResult<Answer> {
    send(app, &actor, Kind::Config, kind, data, script).await
}

#[post("/upload/blob", data = "<data>")]
async fn send_blob(actor: Actor, kind: Option<&ContentType>, data: Data<'_>, script: Script, app: &State<App>) -> PageResult<Answer> {
    send(app, &actor, Kind::Blob, kind, data, script).await
}

async fn send(
    app: &App,
    actor: &Actor,
    kind: Kind,
    content_type: Option<&ContentType>,
    data: Data<'_>,
    script: Script,
) -> PageResult<Answer> {
    actor.require(capability(kind))?;
    let content_type = content_type.map(ToString::to_string);
    let numbered = (0..ATTRIBUTES).flat_map(|at| ["key", "value", "json"].map(|name| format!("{name}{at}")));
    let wanted: Vec<String> = FIELDS.iter().map(|name| (*name).to_owned()).chain(numbered).collect();
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let form = upload::read(app, content_type.as_deref(), data, &wanted).await?;
    let typed = typed(&form.texts);
    match store(app, actor, kind, form, &typed).await {
        Ok(id) => {
            let location = format!("/{}/{id}", kind.word());
            if script.0 {
                return Ok(Answer::Json(Json(Uploaded { id, location })));
            }
            Ok(Answer::Seen(see_other(location).telling(Done::Uploaded)))
        }
        // The form again, with what was wrong in it.
        Err(
            error @ (ApiError::BadRequest(_)
            | ApiError::Invalid(_)
            | ApiError::NotFound(_)
            | ApiError::Conflict(_)
            | ApiError::Forbidden(_)),
        ) if !script.0 => {
            let page = UploadPage { error: Some(message(&error).into()), ..page(app, &actor.0, kind, typed).await? };
            Ok(Answer::Form(Page::with_status(&page, error.status())?))
        }
        Err(error) => Err(error.into()),
    }
}

/// What the fields of a form hold, without the carriage returns that forms add.
fn typed(texts: &HashMap<String, String>) -> Typed {
    let lines = |name: &str| texts.get(name).map(|text| text.replace("\r\n", "\n")).unwrap_or_default();
    let line = |name: &str| lines(name).trim().to_owned();
    let attribute = |at: usize| AttributeDraft {
        key: line(&format!("key{at}")).into(),
        value: lines(&format!("value{at}")).into(),
        json: !line(&format!("json{at}")).is_empty(),
    };
    Typed {
        tags: line("tags").into(),
        upload_as: line("upload_as"),
        parent: line("parent").to_lowercase(),
        consent: !line("share_3rd_party").is_empty(),
        attributes: (0..ATTRIBUTES).map(attribute).collect(),
        family: line("family").into(),
        config_type: line("config_type").into(),
        cfg: lines("cfg").into(),
        blob_name: line("blob_name").into(),
        blob_type: line("blob_type").into(),
        content: lines("content").into(),
    }
}

fn options(app: &App, typed: &Typed) -> ApiResult<Options> {
    let mut options = Options { parent: Some(typed.parent.clone()).filter(|hash| !hash.is_empty()), ..Options::default() };
    if app.config.enable_3rd_party_sharing_consent {
        options.share_3rd_party = typed.consent;
    }
    if !typed.upload_as.is_empty() {
        options.upload_as.clone_from(&typed.upload_as);
    }
    for tag in typed.tags.raw().split(',').filter(|tag| !tag.trim().is_empty()) {
        options.tags.push(tags::valid(tag)?);
    }
    // A row without a value is one that was not filled in.
    for attribute in typed.attributes.iter().filter(|attribute| !attribute.value.is_empty()) {
        let value = attribute_value(attribute.value.raw().to_owned(), attribute.json)?;
        options.attributes.push((attribute.key.raw().to_owned(), value));
    }
    Ok(options)
}

async fn store(app: &App, actor: &Actor, kind: Kind, form: Form, typed: &Typed) -> ApiResult<String> {
    let options = options(app, typed)?;
    let text = |text: &super::view::text::Text| Value::from(text.raw());
    let view = match kind {
        Kind::File if form.file.is_none() => return Err(ApiError::BadRequest("No file was chosen.".to_owned())),
        Kind::File => store_file(app, &actor.0, form, options).await?,
        Kind::Config => {
            let cfg = read_json(typed.cfg.raw()).map_err(|reason| ApiError::BadRequest(format!("The content is not JSON: {reason}")))?;
            let given = [("family", text(&typed.family)), ("config_type", text(&typed.config_type)), ("cfg", cfg)];
            store_config(app, &actor.0, &fields(&given)?, options).await?.0
        }
        Kind::Blob => {
            let given = [("blob_name", text(&typed.blob_name)), ("blob_type", text(&typed.blob_type)), ("content", text(&typed.content))];
            store_blob(app, &actor.0, &fields(&given)?, options).await?.0
        }
    };
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
