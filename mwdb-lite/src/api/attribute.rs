//! Attribute values and definitions. See MWDB API §O9.

use rocket::{Route, State, delete, get, post, put, serde::json::Json};
use serde::Serialize;

use super::{
    body::{Body, Fields, REQUIRED},
    params::{Hash, Query, RowId, Type},
    together::{Together, passing},
};
use crate::{
    auth::{Capability, User},
    db::attributes::DefinitionRow,
    error::{ApiError, ApiResult},
    objects::{
        attributes::{self, AttributeItem, normalise_key},
        definitions::{self, Access, Changes, Definition, Rights},
    },
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![list, add, remove, all_definitions, define, definition, update, undefine, rights, set_rights, remove_rights]
}

#[derive(Serialize)]
struct Attributes {
    attributes: Vec<AttributeItem>,
}

/// `hidden` of the query string: hidden values are for those who read everything.
pub(super) fn with_hidden(user: &User, hidden: &Query<'_>) -> ApiResult<bool> {
    let hidden = hidden.boolean("hidden")?.unwrap_or(false);
    if hidden {
        user.require(Capability::ReadingAllAttributes)?;
    }
    Ok(hidden)
}

#[get("/<kind>/<hash>/attribute?<hidden>", rank = 20)]
async fn list(kind: Type, hash: Hash, hidden: Query<'_>, user: User, app: &State<App>) -> ApiResult<Json<Attributes>> {
    let hidden = with_hidden(&user, &hidden)?;
    let attributes = app.look(&user.0, move |c, caller| attributes::list(c, caller, kind.0, &hash.0, hidden)).await?;
    Ok(Json(Attributes { attributes }))
}

#[post("/<kind>/<hash>/attribute", data = "<body>", rank = 20)]
async fn add(kind: Type, hash: Hash, user: User, body: Body, app: &State<App>) -> ApiResult<Json<Attributes>> {
    let fields = body.object()?;
    let (key, value) =
        (fields.text("key").and_then(|key| normalise_key(&key)), passing(fields.present("value"), |value| attributes::check_value(value)))
            .together()?;
    let value = value.clone();
    let attributes = app.change(&user.0, move |c, caller| attributes::add(c, caller, kind.0, &hash.0, &key, &value)).await?;
    Ok(Json(Attributes { attributes }))
}

#[delete("/<kind>/<hash>/attribute/<id>", rank = 20)]
async fn remove(kind: Type, hash: Hash, id: RowId, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::RemovingAttributes)?;
    Ok(Json(app.change(&user.0, move |c, caller| attributes::remove(c, caller, kind.0, &hash.0, id.0)).await?))
}

#[derive(Serialize)]
struct Definitions {
    attribute_definitions: Vec<Definition>,
}

#[get("/attribute?<access>")]
async fn all_definitions(access: Query<'_>, user: User, app: &State<App>) -> ApiResult<Json<Definitions>> {
    let access = match access.0.unwrap_or("read") {
        "read" => Access::Read,
        "set" => Access::Set,
        "manage" => Access::Manage,
        _ => return Err(ApiError::invalid("access", "Must be one of: read, set, manage.")),
    };
    let attribute_definitions = app.look(&user.0, move |c, caller| definitions::list(c, caller, access)).await?;
    Ok(Json(Definitions { attribute_definitions }))
}

#[post("/attribute", data = "<body>")]
async fn define(user: User, body: Body, app: &State<App>) -> ApiResult<Json<Definition>> {
    user.require(Capability::ManageUsers)?;
    let row = definition_fields(&body.object()?)?;
    Ok(Json(app.change(&user.0, move |c, _| definitions::create(c, row)).await?))
}

/// What a new key of attributes must bring.
pub(crate) fn definition_fields(fields: &Fields) -> ApiResult<DefinitionRow> {
    let template = |name: &str| fields.optional_text(name).map(Option::unwrap_or_default);
    let (key, label, description, hidden, url_template, rich_template, example_value) = (
        fields.text("key").and_then(|key| normalise_key(&key)),
        fields.text("label"),
        fields.text("description"),
        fields.boolean("hidden"),
        template("url_template"),
        template("rich_template"),
        template("example_value"),
    )
        .together()?;
    Ok(DefinitionRow { key, label, description, url_template, rich_template, example_value, hidden })
}

#[get("/attribute/<key>")]
async fn definition(key: String, user: User, app: &State<App>) -> ApiResult<Json<Definition>> {
    user.require(Capability::ManageUsers)?;
    Ok(Json(app.db.read(move |c| definitions::detail(c, &key)).await?))
}

#[put("/attribute/<key>", data = "<body>")]
async fn update(key: String, user: User, body: Body, app: &State<App>) -> ApiResult<Json<Definition>> {
    user.require(Capability::ManageUsers)?;
    let fields = body.object()?;
    let (label, description, url_template, rich_template, example_value, hidden) = (
        fields.nullable_text("label"),
        fields.nullable_text("description"),
        fields.nullable_text("url_template"),
        fields.nullable_text("rich_template"),
        fields.nullable_text("example_value"),
        fields.nullable_boolean("hidden"),
    )
        .together()?;
    let changes = Changes { label, description, url_template, rich_template, example_value, hidden };
    Ok(Json(app.change(&user.0, move |c, _| definitions::update(c, &key, changes)).await?))
}

#[delete("/attribute/<key>")]
async fn undefine(key: String, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::ManageUsers)?;
    Ok(Json(definitions::remove(app, &user.0, key).await?))
}

#[derive(Serialize)]
struct AllRights {
    attribute_permissions: Vec<Rights>,
}

#[get("/attribute/<key>/permissions")]
async fn rights(key: String, user: User, app: &State<App>) -> ApiResult<Json<AllRights>> {
    user.require(Capability::ManageUsers)?;
    let attribute_permissions = app.db.read(move |c| definitions::rights(c, &key)).await?;
    Ok(Json(AllRights { attribute_permissions }))
}

/// What a group may do with a key. The request says which group.
#[derive(Serialize)]
struct Granted {
    can_read: bool,
    can_set: bool,
}

#[put("/attribute/<key>/permissions", data = "<body>")]
async fn set_rights(key: String, user: User, body: Body, app: &State<App>) -> ApiResult<Json<Granted>> {
    user.require(Capability::ManageUsers)?;
    let fields = body.object()?;
    let (group_name, can_read, can_set) = (fields.text("group_name"), fields.boolean("can_read"), fields.boolean("can_set")).together()?;
    let rights = Rights { group_name, can_read, can_set };
    app.change(&user.0, move |c, _| definitions::set_rights(c, &key, rights)).await?;
    Ok(Json(Granted { can_read, can_set }))
}

#[delete("/attribute/<key>/permissions?<group_name>")]
async fn remove_rights(key: String, group_name: Query<'_>, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::ManageUsers)?;
    let group_name = group_name.0.ok_or_else(|| ApiError::invalid("group_name", REQUIRED))?.to_owned();
    Ok(Json(app.change(&user.0, move |c, _| definitions::remove_rights(c, &key, &group_name)).await?))
}
