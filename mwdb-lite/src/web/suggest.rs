//! What the scripts of our pages suggest while one types: tags and attribute keys.
//!
//! The one rule: nothing is suggested that the API would not list for the same account.

use rocket::{Route, State, get, serde::json::Json};

use super::{respond::PageResult, session::Session};
use crate::{
    objects::{definitions, tags},
    state::App,
};

/// So many tags are a list to choose from; more are for another letter.
const MOST_TAGS: u64 = 20;

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![tag_list, key_list]
}

/// Tags that begin so, in order.
#[get("/suggest/tags?<start>")]
async fn tag_list(start: Option<String>, session: Session, app: &State<App>) -> PageResult<Json<Vec<String>>> {
    let start = start.unwrap_or_default();
    let found = app.search(&session.0, move |c, caller| tags::complete(c, caller, &start, Some(MOST_TAGS))).await?;
    Ok(Json(found.into_iter().map(|item| item.tag).collect()))
}

/// Attribute keys that one may read.
#[get("/suggest/keys")]
async fn key_list(session: Session, app: &State<App>) -> PageResult<Json<Vec<String>>> {
    let found = app.look(&session.0, |c, caller| definitions::list(c, caller, definitions::Access::Read)).await?;
    Ok(Json(found.into_iter().map(|definition| definition.key).collect()))
}
