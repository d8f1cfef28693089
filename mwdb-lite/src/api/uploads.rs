//! Uploads of files, configs and blobs. See MWDB API §O1.

use std::collections::HashMap;
use std::sync::Arc;

use karton_rs::json::{Map, Value};
use rocket::{Route, State, data::Data, http::ContentType, post, put, serde::json::Json};
use uuid::Uuid;

use super::{
    body::{Body, Fields, NOT_TEXT, NULL},
    params::Hash,
    together::{Together, passing},
};
use crate::{
    auth::{Caller, Capability, User},
    content::{Upload, settle},
    deprecated::Feature,
    error::{ApiError, ApiResult},
    intake,
    mistakes::Mistakes,
    objects::{
        attributes,
        create::{self, Content, NewBlob, NewFile, check_width},
        options::Options,
        tags,
        text::{self, Nul},
        views::Detail,
    },
    state::App,
    upload::{self, Form},
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![file, config, blob, file_below, config_below, blob_below]
}

const OPTIONS: &[&str] = &["parent", "upload_as", "attributes", "metakeys", "tags", "karton_id", "karton_arguments", "share_3rd_party"];

/// The options of an upload, from the `options` part or the body of a config or blob.
fn options(fields: &Fields) -> ApiResult<Options> {
    let attribute = |item: &Fields| {
        let (key, value, ()) = (
            item.text("key").and_then(|key| attributes::normalise_key(&key)),
            passing(item.required("value"), |value| attributes::check_value(value)),
            item.only(&["key", "value"]),
        )
            .together()?;
        Ok((key, value.clone()))
    };
    let metakey = |item: &Fields| {
        let key = item.text("key").and_then(|key| attributes::normalise_key(&key));
        let (key, value, ()) = (key, item.filled_text("value"), item.only(&["key", "value"])).together()?;
        Ok((key, value))
    };
    let tag = |item: &Fields| {
        let (tag, ()) = (item.text("tag").and_then(|tag| tags::valid(&tag)), item.only(&["tag"])).together()?;
        Ok(tag)
    };
    let uuid = |id: &Value| {
        let id = id.as_str().and_then(|id| Uuid::try_parse(id).ok());
        id.ok_or_else(|| ApiError::invalid("karton_id", "Not a valid UUID."))
    };
    let (parent, upload_as, attributes, metakeys, tags, karton_id, karton_arguments, share_3rd_party) = (
        fields.nullable_text("parent"),
        fields.optional_text("upload_as"),
        fields.list("attributes", attribute),
        fields.list("metakeys", metakey),
        fields.list("tags", tag),
        fields.nullable("karton_id").map(uuid).transpose(),
        fields.optional("karton_arguments").and_then(|arguments| arguments.map(|value| mapping("karton_arguments", value)).transpose()),
        fields.optional_boolean("share_3rd_party"),
    )
        .together()?;
    let usual = Options::default();
    Ok(Options {
        parent,
        upload_as: upload_as.unwrap_or(usual.upload_as),
        attributes,
        metakeys,
        tags,
        karton_id,
        karton_arguments: karton_arguments.cloned().unwrap_or_default(),
        share_3rd_party: share_3rd_party.unwrap_or(usual.share_3rd_party),
    })
}

fn mapping<'a>(name: &str, value: &'a Value) -> ApiResult<&'a Map> {
    value.as_object().ok_or_else(|| ApiError::invalid(name, "Not a valid mapping type."))
}

#[post("/file", data = "<data>")]
async fn file(content_type: Option<&ContentType>, user: User, data: Data<'_>, app: &State<App>) -> ApiResult<Json<Detail>> {
    user.require(Capability::AddingFiles)?;
    let mut form = read(app, content_type, data, &["options"]).await?;
    let options_text = form.texts.remove("options");
    if options_text.as_deref().is_some_and(|text| text.trim() == "null") {
        return Err(ApiError::invalid("options", NULL));
    }
    let fields = document(options_text).await.map_err(|error| error.inside("options"))?.unwrap_or_default();
    let (options, ()) = (options(&fields), fields.only(OPTIONS)).together().map_err(|error| error.inside("options"))?;
    note_metakeys(app, &user, &options, "fileresource")?;
    Ok(Json(store_file(app, &user.0, form, options).await?))
}

/// The JSON object in a text part; an empty one is none.
async fn document(text: Option<String>) -> ApiResult<Option<Fields>> {
    match text.filter(|text| !text.is_empty()) {
        Some(text) => Fields::read(text.into_bytes()).await.map(Some),
        None => Ok(None),
    }
}

/// Metakeys among the options are deprecated.
fn note_metakeys(app: &App, user: &User, options: &Options, endpoint: &str) -> ApiResult<()> {
    if options.metakeys.is_empty() {
        return Ok(());
    }
    app.use_deprecated(Feature::MetakeysUploadOption, endpoint, "post", Some(user.login()))
}

async fn read(app: &App, content_type: Option<&ContentType>, data: Data<'_>, wanted: &[&str]) -> ApiResult<Form> {
    upload::read(app, content_type.map(ToString::to_string).as_deref(), data, wanted).await
}

/// Stores the file of a form and announces it when it is new.
pub(crate) async fn store_file(app: &App, caller: &Arc<Caller>, form: Form, options: Options) -> ApiResult<Detail> {
    let Some((name, staged)) = form.file.filter(|(_, staged)| !staged.is_empty()) else {
        // What the options say is judged first.
        app.look(caller, move |c, caller| options.check(c, caller).map(drop)).await?;
        return Err(ApiError::BadRequest("File cannot be empty".to_owned()));
    };
    // As long as `kept` lives, no deletion takes the content away.
    let magic = app.magic.clone();
    let (Upload { kept, size, digests, fresh }, file_type) = app.store.keep(staged, move |path| magic.describe(path)).await?;
    let (sha256, is_fresh) = (digests.sha256.clone(), fresh.is_some());
    let new = NewFile::new(&name, size, digests, file_type, fresh);
    let stored = store_object(app, caller, Content::File(new), options).await;
    if is_fresh {
        app.store.note_fresh();
    }
    drop(kept);
    let (db, store) = (app.db.clone(), Arc::clone(&app.store));
    let settled = tokio::spawn(async move { settle(&db, &store, &sha256).await });
    if stored.is_err() {
        // Who is refused finds nothing left behind. Otherwise the answer need not wait: what is to do is noted.
        let _ = settled.await;
    }
    stored
}

async fn store_object(app: &App, caller: &Arc<Caller>, content: Content, options: Options) -> ApiResult<Detail> {
    let announce = app.karton.is_enabled();
    let view = app.change(caller, move |c, caller| create::upload(c, caller, content, options, announce)).await?;
    app.karton.wake();
    Ok(view)
}

#[post("/config", data = "<body>")]
async fn config(user: User, body: Body, app: &State<App>) -> ApiResult<Json<Detail>> {
    user.require(Capability::AddingConfigs)?;
    let fields = body.object()?;
    let (options, content) = (options(&fields), config_fields(&fields)).together()?;
    note_metakeys(app, &user, &options, "configresource")?;
    Ok(Json(store_object(app, &user.0, content, options).await?))
}

pub(crate) async fn store_config(app: &App, caller: &Arc<Caller>, fields: &Fields, options: Options) -> ApiResult<Json<Detail>> {
    Ok(Json(store_object(app, caller, config_fields(fields)?, options).await?))
}

fn config_fields(fields: &Fields) -> ApiResult<Content> {
    let (family, config_type, cfg) = (
        passing(fields.text("family"), |family| check_width("family", family)),
        passing(fields.optional_text("config_type"), |given| given.as_ref().map_or(Ok(()), |text| check_width("config_type", text))),
        passing(fields.required("cfg"), |cfg| text::check_json("cfg", cfg, Nul::Allowed)).and_then(|cfg| mapping("cfg", cfg)),
    )
        .together()?;
    let config_type = config_type.filter(|text| !text.is_empty()).unwrap_or_else(|| "static".to_owned());
    Ok(Content::Config { family, config_type, cfg: cfg.clone() })
}

#[post("/blob", data = "<body>")]
async fn blob(user: User, body: Body, app: &State<App>) -> ApiResult<Json<Detail>> {
    user.require(Capability::AddingBlobs)?;
    let fields = body.object()?;
    let (options, content) = (options(&fields), blob_fields(&fields)).together()?;
    note_metakeys(app, &user, &options, "textblobresource")?;
    Ok(Json(store_object(app, &user.0, content, options).await?))
}

pub(crate) async fn store_blob(app: &App, caller: &Arc<Caller>, fields: &Fields, options: Options) -> ApiResult<Json<Detail>> {
    Ok(Json(store_object(app, caller, blob_fields(fields)?, options).await?))
}

fn blob_fields(fields: &Fields) -> ApiResult<Content> {
    let (blob_name, blob_type, content) =
        (fields.text("blob_name"), passing(fields.text("blob_type"), |kind| check_width("blob_type", kind)), fields.any_text("content"))
            .together()?;
    Ok(Content::Blob(NewBlob { blob_name, blob_type, content }))
}

/// What the deprecated routes take, in one document: form fields win over what `json` holds, and the
/// parent of the path over both.
async fn legacy_fields(mut texts: HashMap<String, String>, parent: Hash) -> ApiResult<Fields> {
    let mut fields = document(texts.remove("json")).await?.unwrap_or_default();
    if let Some(metakeys) = document(texts.remove("metakeys")).await? {
        let missing = || ApiError::invalid("_schema", "Object provided to 'metakeys' field must contain 'metakeys' key");
        fields.set("metakeys", metakeys.get("metakeys").cloned().ok_or_else(missing)?);
    }
    if let Some(upload_as) = texts.remove("upload_as").filter(|text| !text.is_empty()) {
        fields.set("upload_as", upload_as.into());
    }
    Ok(below(fields, parent))
}

/// The document with the parent of the path.
fn below(mut fields: Fields, parent: Hash) -> Fields {
    fields.set("parent", if parent.0 == "root" { Value::Null } else { parent.0.into() });
    fields
}

/// Longest body of a deprecated route.
const LARGEST_LEGACY: u64 = 16 << 20;

const LEGACY: &[&str] = &["json", "metakeys", "upload_as"];

#[post("/file/<parent>", data = "<data>")]
async fn file_below(
    parent: Hash,
    content_type: Option<&ContentType>,
    user: User,
    data: Data<'_>,
    app: &State<App>,
) -> ApiResult<Json<Detail>> {
    user.require(Capability::AddingFiles)?;
    let mut form = match read(app, content_type, data, LEGACY).await {
        Ok(form) => form,
        Err(error) => {
            // The parent is judged before the body.
            let options = Options { parent: (parent.0 != "root").then_some(parent.0), ..Options::default() };
            app.look(&user.0, move |c, caller| options.check(c, caller).map(drop)).await?;
            return Err(error);
        }
    };
    let fields = legacy_fields(std::mem::take(&mut form.texts), parent).await?;
    Ok(Json(store_file(app, &user.0, form, options(&fields)?).await?))
}

/// A JSON body, or form fields of which `json` holds one.
async fn legacy_body(app: &App, parent: Hash, content_type: Option<&ContentType>, data: Data<'_>) -> ApiResult<Fields> {
    if content_type.is_some_and(|kind| kind.is_form_data()) {
        let form = read(app, content_type, data, LEGACY).await?;
        return legacy_fields(form.texts, parent).await;
    }
    let mut intake = intake::read(data, LARGEST_LEGACY).await?;
    if content_type.is_some_and(|kind| kind.is_json()) {
        return Ok(below(Fields::read(std::mem::take(&mut intake.bytes)).await?, parent));
    }
    let text = String::from_utf8_lossy(&intake.bytes);
    let decode = |text: &str| rocket::http::RawStr::new(text).url_decode_lossy().into_owned();
    let mut texts = HashMap::new();
    // Nothing is kept of other fields, however many there are.
    for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
        if LEGACY.contains(&name) && !texts.contains_key(name) {
            texts.insert(name.to_owned(), decode(value));
        }
    }
    legacy_fields(texts, parent).await
}

#[put("/config/<parent>", data = "<data>")]
async fn config_below(
    parent: Hash,
    content_type: Option<&ContentType>,
    user: User,
    data: Data<'_>,
    app: &State<App>,
) -> ApiResult<Json<Detail>> {
    user.require(Capability::AddingConfigs)?;
    let fields = legacy_body(app, parent, content_type, data).await?;
    let (options, content) = (options(&fields), config_fields(&fields)).together()?;
    Ok(Json(store_object(app, &user.0, content, options).await?))
}

#[put("/blob/<parent>", data = "<data>")]
async fn blob_below(
    parent: Hash,
    content_type: Option<&ContentType>,
    user: User,
    data: Data<'_>,
    app: &State<App>,
) -> ApiResult<Json<Detail>> {
    user.require(Capability::AddingBlobs)?;
    let fields = legacy_body(app, parent, content_type, data).await?;
    let (options, content) = (options(&fields), blob_fields(&fields)).together()?;
    Ok(Json(store_object(app, &user.0, content, options).await?))
}

/// The arguments of an analysis: texts by name.
pub(super) fn arguments(fields: &Fields) -> ApiResult<karton_rs::json::Map> {
    let Some(value) = fields.optional("arguments")? else { return Ok(karton_rs::json::Map::new()) };
    let map = value.as_object().ok_or_else(|| ApiError::invalid("arguments", "Not a valid mapping type."))?;
    let mut mistakes = Mistakes::default();
    for (key, value) in map.iter().filter(|(_, value)| !matches!(value, Value::String(_))) {
        let reason = if value.is_null() { NULL } else { NOT_TEXT };
        mistakes.add(Mistakes::of("value", reason).inside(key.spelled()));
    }
    if mistakes.is_empty() { Ok(map.clone()) } else { Err(ApiError::Invalid(mistakes.inside("arguments"))) }
}
