//! `/ping`, `/server`, `/varz`, `/remote`. See MWDB API §A3.1 and §A3.4.

use rocket::{Route, State, get, http::ContentType, serde::json::Json};
use serde::Serialize;

use crate::{
    auth::{Capability, MaybeUser, User},
    error::ApiResult,
    state::App,
};

/// The version of MWDB Core whose API this is; clients choose their calls by it.
pub(crate) const SERVER_VERSION: &str = "2.19.0";

pub(super) fn routes(app: &App) -> Vec<Route> {
    let mut routes = rocket::routes![ping, server, admin, remotes];
    if app.config.enable_prometheus_metrics {
        routes.extend(rocket::routes![varz]);
    }
    routes
}

#[derive(Serialize)]
struct Ping {
    status: &'static str,
}

/// 200 only when the database answers.
#[get("/ping")]
async fn ping(app: &State<App>) -> ApiResult<Json<Ping>> {
    app.db.ping().await?;
    Ok(Json(Ping { status: "ok" }))
}

#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the shape of the API")]
struct ServerInfo {
    server_version: String,
    is_authenticated: bool,
    instance_name: String,
    is_maintenance_set: bool,
    is_registration_enabled: bool,
    is_password_auth_enabled: bool,
    is_karton_enabled: bool,
    is_oidc_enabled: bool,
    is_oidc_registration_enabled: bool,
    is_3rd_party_sharing_consent_enabled: bool,
    recaptcha_site_key: Option<String>,
    request_timeout: u64,
    file_upload_timeout: u64,
    statement_timeout: u64,
}

#[get("/server")]
fn server(user: MaybeUser, app: &State<App>) -> Json<ServerInfo> {
    let config = &app.config;
    Json(ServerInfo {
        server_version: format!("{SERVER_VERSION}+lite.{}", env!("CARGO_PKG_VERSION")),
        is_authenticated: user.0.is_some(),
        instance_name: config.instance_name.clone(),
        is_maintenance_set: config.enable_maintenance,
        is_registration_enabled: config.enable_registration,
        is_password_auth_enabled: config.enable_password_auth,
        is_karton_enabled: config.enable_karton,
        is_oidc_enabled: false,
        is_oidc_registration_enabled: false,
        is_3rd_party_sharing_consent_enabled: config.enable_3rd_party_sharing_consent,
        recaptcha_site_key: config.recaptcha_site_key.clone(),
        request_timeout: config.request_timeout,
        file_upload_timeout: config.file_upload_timeout,
        statement_timeout: config.statement_timeout,
    })
}

#[derive(Serialize)]
struct AdminInfo {
    rate_limit_enabled: bool,
    plugins_enabled: bool,
    /// None: plugins are a matter of the reference's own code.
    active_plugins: serde_json::Map<String, serde_json::Value>,
}

#[get("/server/admin")]
fn admin(user: User, app: &State<App>) -> ApiResult<Json<AdminInfo>> {
    user.require(Capability::ManageUsers)?;
    let rate_limit_enabled = app.config.enable_rate_limit;
    Ok(Json(AdminInfo { rate_limit_enabled, plugins_enabled: false, active_plugins: serde_json::Map::new() }))
}

/// Metrics. Only there with `enable_prometheus_metrics`.
#[get("/varz")]
fn varz(user: User, app: &State<App>) -> ApiResult<(ContentType, String)> {
    user.require(Capability::AccessPrometheusMetrics)?;
    Ok((ContentType::new("text", "plain").with_params([("version", "0.0.4"), ("charset", "utf-8")]), app.metrics.text()))
}

#[derive(Serialize)]
struct Remotes {
    remotes: Vec<String>,
}

/// There are none, but the web interface asks right after login.
#[get("/remote")]
fn remotes(_user: User) -> Json<Remotes> {
    Json(Remotes { remotes: Vec::new() })
}
