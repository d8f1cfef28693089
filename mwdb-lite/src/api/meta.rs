//! The deprecated metakeys. See MWDB API §O10.

use rocket::{Route, State, delete, get, post, put, serde::json::Json};
use rusqlite::Connection;
use serde::Serialize;

use super::{
    attribute::with_hidden,
    body::{Body, REQUIRED},
    params::{Hash, Query, Type},
    together::Together,
};
use crate::{
    auth::{Capability, User},
    db::attributes::DefinitionRow,
    error::{ApiError, ApiResult},
    objects::{
        attributes::normalise_key,
        definitions::{self, Access, Changes, Definition, Rights},
        metakeys::{self, Metakey},
    },
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![list, add, remove, readable, settable, manage, managed, define, update, undefine, set_rights, remove_rights]
}

#[derive(Serialize)]
struct Metakeys {
    metakeys: Vec<Metakey>,
}

#[get("/<kind>/<hash>/meta?<hidden>", rank = 20)]
async fn list(kind: Type, hash: Hash, hidden: Query<'_>, user: User, app: &State<App>) -> ApiResult<Json<Metakeys>> {
    let hidden = with_hidden(&user, &hidden)?;
    let metakeys = app.look(&user.0, move |c, caller| metakeys::list(c, caller, kind.0, &hash.0, hidden)).await?;
    Ok(Json(Metakeys { metakeys }))
}

#[post("/<kind>/<hash>/meta", data = "<body>", rank = 20)]
async fn add(kind: Type, hash: Hash, user: User, body: Body, app: &State<App>) -> ApiResult<Json<Metakeys>> {
    let fields = body.object()?;
    let (key, value) = (fields.text("key"), fields.filled_text("value")).together()?;
    let metakeys = app.change(&user.0, move |c, caller| metakeys::add(c, caller, kind.0, &hash.0, &key, &value)).await?;
    Ok(Json(Metakeys { metakeys }))
}

#[delete("/<kind>/<hash>/meta?<key>&<value>", rank = 20)]
async fn remove(kind: Type, hash: Hash, key: Query<'_>, value: Query<'_>, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::RemovingAttributes)?;
    let key = normalise_key(key.0.ok_or_else(|| ApiError::invalid("key", REQUIRED))?)?;
    let value = value.filled();
    Ok(Json(app.change(&user.0, move |c, caller| metakeys::remove(c, caller, kind.0, &hash.0, &key, value.as_deref())).await?))
}

/// A definition under the names of old.
#[derive(Serialize)]
struct MetakeyDefinition {
    key: String,
    label: String,
    description: String,
    template: String,
    hidden: bool,
}

#[derive(Serialize)]
struct MetakeyDefinitions {
    metakeys: Vec<MetakeyDefinition>,
}

impl From<Definition> for MetakeyDefinition {
    fn from(definition: Definition) -> Self {
        Self {
            key: definition.key,
            label: definition.label,
            description: definition.description,
            template: definition.url_template,
            hidden: definition.hidden,
        }
    }
}

#[get("/meta/list/read")]
async fn readable(user: User, app: &State<App>) -> ApiResult<Json<MetakeyDefinitions>> {
    definitions_for(user, app, Access::Read).await
}

#[get("/meta/list/set")]
async fn settable(user: User, app: &State<App>) -> ApiResult<Json<MetakeyDefinitions>> {
    definitions_for(user, app, Access::Set).await
}

async fn definitions_for(user: User, app: &App, access: Access) -> ApiResult<Json<MetakeyDefinitions>> {
    let definitions = app.look(&user.0, move |c, caller| definitions::list(c, caller, access)).await?;
    Ok(Json(MetakeyDefinitions { metakeys: definitions.into_iter().map(MetakeyDefinition::from).collect() }))
}

/// A definition with everybody's rights on it.
#[derive(Serialize)]
struct Managed {
    #[serde(flatten)]
    definition: MetakeyDefinition,
    permissions: Vec<Rights>,
}

#[derive(Serialize)]
struct AllManaged {
    metakeys: Vec<Managed>,
}

fn with_rights(c: &Connection, definition: Definition) -> ApiResult<Managed> {
    let permissions = definitions::rights(c, &definition.key)?;
    Ok(Managed { definition: definition.into(), permissions })
}

#[get("/meta/manage")]
async fn manage(user: User, app: &State<App>) -> ApiResult<Json<AllManaged>> {
    user.require(Capability::ManageUsers)?;
    let all = app.look(&user.0, |c, caller| {
        definitions::list(c, caller, Access::Manage)?.into_iter().map(|definition| with_rights(c, definition)).collect()
    });
    Ok(Json(AllManaged { metakeys: all.await? }))
}

#[get("/meta/manage/<key>")]
async fn managed(key: String, user: User, app: &State<App>) -> ApiResult<Json<Managed>> {
    user.require(Capability::ManageUsers)?;
    Ok(Json(app.db.read(move |c| with_rights(c, definitions::detail(c, &key)?)).await?))
}

#[post("/meta/manage/<key>", data = "<body>")]
async fn define(key: String, user: User, body: Body, app: &State<App>) -> ApiResult<Json<MetakeyDefinition>> {
    user.require(Capability::ManageUsers)?;
    let fields = body.object()?;
    let (key, label, description, url_template, hidden) =
        (normalise_key(&key), fields.text("label"), fields.text("description"), fields.text("template"), fields.boolean("hidden"))
            .together()?;
    let (rich_template, example_value) = (String::new(), String::new());
    let row = DefinitionRow { key, label, description, url_template, rich_template, example_value, hidden };
    Ok(Json(app.change(&user.0, move |c, _| definitions::create(c, row)).await?.into()))
}

#[put("/meta/manage/<key>", data = "<body>")]
async fn update(key: String, user: User, body: Body, app: &State<App>) -> ApiResult<Json<MetakeyDefinition>> {
    user.require(Capability::ManageUsers)?;
    let fields = body.object()?;
    let (_, label, description, url_template, hidden) = (
        normalise_key(&key),
        fields.nullable_text("label"),
        fields.nullable_text("description"),
        fields.nullable_text("template"),
        fields.nullable_boolean("hidden"),
    )
        .together()?;
    let changes = Changes { label, description, url_template, hidden, ..Changes::default() };
    Ok(Json(app.change(&user.0, move |c, _| definitions::update(c, &key, changes)).await?.into()))
}

#[delete("/meta/manage/<key>")]
async fn undefine(key: String, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::ManageUsers)?;
    Ok(Json(definitions::remove(app, &user.0, key).await?))
}

#[put("/meta/manage/<key>/permissions/<group_name>", data = "<body>")]
async fn set_rights(key: String, group_name: String, user: User, body: Body, app: &State<App>) -> ApiResult<Json<Managed>> {
    user.require(Capability::ManageUsers)?;
    let fields = body.object()?;
    let (can_read, can_set) = (fields.boolean("can_read"), fields.boolean("can_set")).together()?;
    let rights = Rights { group_name, can_read, can_set };
    let changed = app.change(&user.0, move |c, _| {
        definitions::set_rights(c, &key, rights)?;
        with_rights(c, definitions::detail(c, &key)?)
    });
    Ok(Json(changed.await?))
}

#[delete("/meta/manage/<key>/permissions/<group_name>")]
async fn remove_rights(key: String, group_name: String, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::ManageUsers)?;
    Ok(Json(app.change(&user.0, move |c, _| definitions::remove_rights(c, &key, &group_name)).await?))
}
