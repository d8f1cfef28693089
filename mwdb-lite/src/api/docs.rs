//! `/docs`: the `OpenAPI` document, written from the table of routes. See MWDB API §A3.1.

use std::collections::BTreeMap;

use rocket::{
    Request, Route, State, get,
    http::Method,
    request::{FromRequest, Outcome},
    serde::json::Json,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    SERVER_VERSION,
    table::{Access, Entry, Gives, TABLE, Takes, shapes},
};
use crate::{auth::User, state::App};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![docs]
}

#[derive(Serialize)]
pub(crate) struct Document {
    openapi: &'static str,
    info: Value,
    servers: Vec<Value>,
    tags: Vec<Value>,
    paths: BTreeMap<String, BTreeMap<String, Value>>,
    components: Value,
    security: Vec<Value>,
}

/// The entries of the routes that this server has mounted.
pub(crate) struct Mounted(Vec<&'static Entry>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Mounted {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let mounted: Vec<_> = request.rocket().routes().filter_map(Entry::of).collect();
        let order = TABLE.iter().filter(|entry| mounted.iter().any(|other| std::ptr::eq(*other, *entry)));
        Outcome::Success(Self(order.collect()))
    }
}

#[get("/docs")]
fn docs(mounted: Mounted, _user: User, app: &State<App>) -> Json<Document> {
    Json(document(mounted, app))
}

/// The document itself, also for pages.
pub(crate) fn document(mounted: Mounted, app: &App) -> Document {
    let mut paths: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for entry in mounted.0 {
        let path = entry.path.split('?').next().unwrap_or_default().replace('<', "{").replace('>', "}");
        paths.entry(format!("/api{path}")).or_default().insert(entry.method.as_str().to_lowercase(), operation(entry));
    }
    Document {
        openapi: "3.0.3",
        info: json!({
            "title": app.config.instance_name,
            "version": SERVER_VERSION,
            "description": "The REST API of MWDB. Every reply is JSON unless stated; a success without result is `null`.",
        }),
        servers: vec![json!({"url": app.config.base_url})],
        tags: GROUPS.iter().map(|(name, description)| json!({"name": name, "description": description})).collect(),
        paths,
        components: json!({
            "schemas": shapes::all(),
            "securitySchemes": {"bearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        }),
        security: vec![json!({"bearerAuth": []})],
    }
}

const GROUPS: &[(&str, &str)] = &[
    ("server", "What the server is"),
    ("auth", "Sessions, passwords, keys"),
    ("object", "Files, configs, blobs"),
    ("metadata", "What hangs on objects"),
    ("karton", "Analyses"),
    ("admin", "Accounts, groups, attribute keys"),
    ("deprecated", "Kept for clients of old"),
];

fn group(entry: &Entry) -> &'static str {
    let mut words = entry.path.split(['/', '?']).skip(1);
    match (words.next(), words.next(), words.next()) {
        _ if entry.feature.is_some() => "deprecated",
        (Some("ping" | "server" | "docs" | "varz" | "remote"), ..) => "server",
        (Some("auth" | "api_key"), ..) | (Some("user"), _, Some("api_key")) => "auth",
        (Some("user" | "group" | "profile" | "attribute"), ..) => "admin",
        (_, _, Some("karton")) => "karton",
        (_, _, Some("tag" | "comment" | "relations" | "child" | "share" | "attribute" | "favorite" | "share_3rd_party"))
        | (_, Some("quick_query"), _)
        | (Some("tag" | "share" | "quick_query"), ..) => "metadata",
        _ => "object",
    }
}

/// Dynamic parts of a path or query.
fn dynamic(text: &str) -> impl Iterator<Item = &str> {
    text.split(['/', '&']).filter_map(|piece| piece.strip_prefix('<').and_then(|piece| piece.strip_suffix('>')))
}

/// A path in words, which is unique with its method: `put_kind_hash_tag`.
fn operation_id(entry: &Entry) -> String {
    let path = entry.path.split('?').next().unwrap_or_default();
    let words = path.split('/').filter(|word| !word.is_empty()).map(|word| word.trim_matches(['<', '>']));
    std::iter::once(entry.method.as_str().to_lowercase()).chain(words.map(str::to_owned)).collect::<Vec<_>>().join("_")
}

fn operation(entry: &Entry) -> Value {
    let (path, query) = entry.path.split_once('?').unwrap_or((entry.path, ""));
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), operation_id(entry).into());
    operation.insert("summary".to_owned(), entry.summary.into());
    operation.insert("tags".to_owned(), json!([group(entry)]));
    let needs = match entry.access {
        Access::Anyone => None,
        Access::Token => Some("Needs no login: the token is the right.".to_owned()),
        Access::Login => Some("Needs a login.".to_owned()),
        Access::Needs(capability) => Some(format!("Needs the capability `{}`.", capability.name())),
        Access::Depends(text) => Some(format!("Needs {text}.")),
    };
    let name = format!("Limits and metrics call it `{}`.", entry.resource("/api/object"));
    operation.insert("description".to_owned(), needs.into_iter().chain([name]).collect::<Vec<_>>().join(" ").into());
    if entry.feature.is_some() {
        operation.insert("deprecated".to_owned(), true.into());
    }
    if matches!(entry.access, Access::Anyone | Access::Token) {
        operation.insert("security".to_owned(), json!([]));
    }
    let in_path = dynamic(path).map(|name| json!({"name": name, "in": "path", "required": true, "schema": path_schema(name)}));
    let in_query =
        dynamic(query).map(|name| json!({"name": name, "in": "query", "required": is_required(entry, name), "schema": query_schema(name)}));
    operation.insert("parameters".to_owned(), in_path.chain(in_query).collect());
    if let Some(body) = request_body(entry.takes) {
        operation.insert("requestBody".to_owned(), body);
    }
    operation.insert("responses".to_owned(), responses(entry).into());
    operation.into()
}

fn path_schema(name: &str) -> Value {
    match name {
        "kind" => json!({"type": "string", "enum": ["file", "config", "blob", "object"]}),
        "hash" | "parent" | "child" => json!({"type": "string", "pattern": "^(root|[0-9A-Fa-f]{32,128})$"}),
        "id" => json!({"type": "integer"}),
        "uuid" => json!({"type": "string", "format": "uuid"}),
        _ => json!({"type": "string"}),
    }
}

/// Parameters of a query string say what is to be removed, or how; those of other requests may be left out.
fn is_required(entry: &Entry, name: &str) -> bool {
    entry.method == Method::Delete && matches!(name, "tag" | "key" | "group_name" | "send_email")
}

fn query_schema(name: &str) -> Value {
    match name {
        "count" | "page" => json!({"type": "integer"}),
        "hidden" | "send_email" => json!({"type": "boolean"}),
        "access" => json!({"type": "string", "enum": ["read", "set", "manage"]}),
        _ => json!({"type": "string"}),
    }
}

fn request_body(takes: Takes) -> Option<Value> {
    let json_content = |fields| ("application/json", shapes::schema(fields));
    let form = |fields| ("multipart/form-data", shapes::schema(fields));
    let (required, contents) = match takes {
        Takes::Nothing => return None,
        Takes::Json(fields) => (true, vec![json_content(fields)]),
        Takes::MaybeJson(fields) => (false, vec![json_content(fields)]),
        Takes::Form(fields) => (true, vec![form(fields)]),
        Takes::Either(fields) => (true, vec![("application/json", json!({"type": "object"})), form(fields)]),
    };
    let contents: Map<String, Value> = contents.into_iter().map(|(media, schema)| (media.to_owned(), json!({"schema": schema}))).collect();
    Some(json!({"required": required, "content": contents}))
}

fn responses(entry: &Entry) -> Map<String, Value> {
    let in_json = |schema: Value| json!({"application/json": {"schema": schema}});
    let list = |name| json!({"type": "array", "items": shapes::reference(name)});
    let content = match entry.gives {
        Gives::Null => in_json(json!({"nullable": true, "enum": [null]})),
        Gives::Item(name) => in_json(shapes::reference(name)),
        Gives::List(name) => in_json(list(name)),
        Gives::Keyed(key, name) => in_json(json!({"type": "object", "properties": {key: list(name)}, "required": [key]})),
        Gives::Fields(fields) => in_json(shapes::schema(fields)),
        Gives::Bytes => json!({"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}),
        Gives::Text => json!({"text/plain": {"schema": {"type": "string"}}}),
    };
    let mut responses = Map::new();
    responses.insert("200".to_owned(), json!({"description": "Done", "content": content}));
    let by_access: &[u16] = match entry.access {
        Access::Anyone | Access::Token => &[],
        Access::Login => &[401],
        Access::Needs(_) | Access::Depends(_) => &[401, 403],
    };
    for status in by_access.iter().chain(entry.refuses).chain(&[429]) {
        let content = if *status == 206 { content.clone() } else { in_json(shapes::reference("Error")) };
        responses.insert(status.to_string(), json!({"description": meaning(*status), "content": content}));
    }
    responses
}

fn meaning(status: u16) -> &'static str {
    match status {
        206 => "The range asked for",
        400 => "The request does not fit",
        401 => "Not authenticated",
        403 => "Not allowed",
        404 => "Not there, or not visible to the caller",
        409 => "Taken",
        413 => "Too large",
        416 => "No such range",
        429 => "Too many requests; `Retry-After` says how long to wait",
        503 => "Not now; `Retry-After` says how long to wait",
        _ => "The server failed",
    }
}
