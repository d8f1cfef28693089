//! The deprecated metakeys. See MWDB API §O10.

use rocket::{Route, State, delete, get, post, serde::json::Json};
use serde::Serialize;

use super::{
    attribute::with_hidden,
    body::{Body, REQUIRED},
    params::{Hash, Type},
};
use crate::{
    auth::{Capability, User},
    error::{ApiError, ApiResult},
    objects::{
        definitions::{self, Access, Definition},
        metakeys::{self, Metakey},
    },
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![list, add, remove, readable, settable]
}

#[derive(Serialize)]
struct Metakeys {
    metakeys: Vec<Metakey>,
}

#[get("/<kind>/<hash>/meta?<hidden>", rank = 20)]
async fn list(kind: Type, hash: Hash, hidden: Option<&str>, user: User, app: &State<App>) -> ApiResult<Json<Metakeys>> {
    let hidden = with_hidden(&user, hidden)?;
    let metakeys = app.look(&user.0, move |c, caller| metakeys::list(c, caller, kind.0, &hash.0, hidden)).await?;
    Ok(Json(Metakeys { metakeys }))
}

#[post("/<kind>/<hash>/meta", data = "<body>", rank = 20)]
async fn add(kind: Type, hash: Hash, user: User, body: Body, app: &State<App>) -> ApiResult<Json<Metakeys>> {
    let fields = body.object()?;
    let (key, value) = (fields.text("key")?, fields.filled_text("value")?);
    let metakeys = app.change(&user.0, move |c, caller| metakeys::add(c, caller, kind.0, &hash.0, &key, &value)).await?;
    Ok(Json(Metakeys { metakeys }))
}

#[delete("/<kind>/<hash>/meta?<key>&<value>", rank = 20)]
async fn remove(kind: Type, hash: Hash, key: Option<String>, value: Option<String>, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::RemovingAttributes)?;
    let key = key.ok_or_else(|| ApiError::invalid("key", REQUIRED))?;
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
