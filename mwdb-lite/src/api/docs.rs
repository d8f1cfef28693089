//! `/docs`: an `OpenAPI` document of the routes there are.
//!
//! It is read off the mounted routes, so it cannot name one that does not exist. See MWDB API §A3.1.

use std::collections::BTreeMap;

use rocket::{
    Request, Route, State, get,
    request::{FromRequest, Outcome},
    serde::json::Json,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::SERVER_VERSION;
use crate::{auth::User, state::App};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![docs]
}

#[derive(Serialize)]
struct Document {
    openapi: &'static str,
    info: Value,
    servers: Vec<Value>,
    components: Value,
    security: Vec<Value>,
    paths: BTreeMap<String, BTreeMap<String, Value>>,
}

/// The routes below `/api`: path by method, with the parameters of each.
struct Paths(BTreeMap<String, BTreeMap<String, Value>>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Paths {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let mut paths: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
        for route in request.rocket().routes().filter(|route| route.uri.path().starts_with("/api/")) {
            let path = route.uri.path().replace('<', "{").replace('>', "}");
            paths.entry(path).or_default().insert(route.method.as_str().to_lowercase(), operation(route));
        }
        Outcome::Success(Self(paths))
    }
}

fn operation(route: &Route) -> Value {
    let parameter = |place: &str, name: &str| json!({"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}});
    let dynamic = |piece: &str| piece.strip_prefix('<').and_then(|piece| piece.strip_suffix('>')).map(str::to_owned);
    let in_path = route.uri.path().split('/').filter_map(dynamic).map(|name| parameter("path", &name));
    let query = route.uri.query().unwrap_or_default();
    let in_query = query.split('&').filter_map(dynamic).map(|name| parameter("query", &name));
    let mut operation = Map::new();
    operation.insert("parameters".to_owned(), in_path.chain(in_query).collect());
    operation.insert("responses".to_owned(), json!({"200": {"description": "Done"}}));
    operation.into()
}

#[get("/docs")]
fn docs(paths: Paths, _user: User, app: &State<App>) -> Json<Document> {
    Json(Document {
        openapi: "3.0.3",
        info: json!({"title": app.config.instance_name, "version": SERVER_VERSION}),
        servers: vec![json!({"url": app.config.base_url})],
        components: json!({"securitySchemes": {"bearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}}),
        security: vec![json!({"bearerAuth": []})],
        paths: paths.0,
    })
}
