//! What the API can do: the document at `/api/docs` for people, and for tools of who is logged in here.
//!
//! The one rule: the page is written from the document, which is written from the routes.

use rocket::{Route, State, get, serde::json::Json};
use serde_json::Value;

use super::{
    respond::{Page, PageResult},
    session::Session,
    view::{
        frame::Section,
        help_api::{Group, HelpApiPage, Request},
    },
};
use crate::{
    api::{
        SERVER_VERSION,
        docs::{Document, Mounted, document},
    },
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![page, file]
}

/// The API itself takes no cookie.
#[get("/help/api.json")]
fn file(mounted: Mounted, _session: Session, app: &State<App>) -> Json<Document> {
    Json(document(mounted, app))
}

#[get("/help/api")]
fn page(mounted: Mounted, session: Session, app: &State<App>) -> PageResult {
    let document = serde_json::to_value(document(mounted, app)).map_err(anyhow::Error::from)?;
    Page::new(&HelpApiPage { frame: session.frame(app, Section::About), version: SERVER_VERSION, groups: groups(&document) })
}

fn groups(document: &Value) -> Vec<Group> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let paths = document["paths"].as_object();
    let operations = paths.into_iter().flatten().flat_map(|(path, operations)| {
        operations.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
    });
    let operations: Vec<_> = operations.collect();
    let group = |tag: &Value| {
        let name = text(tag, "name");
        let of_it = operations.iter().filter(|(_, _, operation)| operation["tags"][0] == name.as_str());
        let requests = of_it.map(|(path, method, operation)| Request {
            method: method.to_uppercase(),
            path: (*path).clone(),
            summary: text(operation, "summary").into(),
            description: text(operation, "description").into(),
        });
        Group { title: text(tag, "description").into(), requests: requests.collect() }
    };
    document["tags"].as_array().into_iter().flatten().map(group).collect()
}
