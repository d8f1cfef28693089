//! What every request of the API passes before its handler. See MWDB API §A1.2, precedence.
//!
//! Once the route is known: disabled accounts and maintenance (403), limits (429), what is deprecated
//! (400). Whether a login or a right is needed is for the handler. The one rule: every mounted route
//! goes through [`guard`].

use rocket::{
    Data, Request, Response, Route,
    fairing::AdHoc,
    http::{Method, Status},
    route::{Handler, Outcome},
};

use super::{catchers::fits, table::Entry};
use crate::{
    auth::{self, Caller, Capability},
    deprecated::Feature,
    error::{ApiError, ApiResult},
    limits::Asked,
    state::App,
};

/// Puts the gate before a route of the table.
pub(super) fn guard(mut route: Route) -> Route {
    if let Some(entry) = Entry::of(&route) {
        let path = format!("/api{}", route.uri.path());
        route.handler = Box::new(Gate { entry, path, inner: route.handler });
    }
    route
}

#[derive(Clone)]
struct Gate {
    entry: &'static Entry,
    /// The path of the route, as it will be mounted.
    path: String,
    inner: Box<dyn Handler>,
}

/// The entry of the route that took the request, for the metrics of its answer.
struct Taken(Option<&'static Entry>);

#[rocket::async_trait]
impl Handler for Gate {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        // Rocket asks for the login first and looks at parameters then. A path that does not fit is no
        // route, whoever asks.
        if !fits(&self.path, request.uri().path().as_str()) {
            return Outcome::forward(data, Status::NotFound);
        }
        match admit(request, self.entry).await {
            Ok(()) => self.inner.handle(request, data).await,
            Err(error) => Outcome::from(request, Err::<(), _>(error)),
        }
    }
}

async fn admit(request: &Request<'_>, entry: &'static Entry) -> ApiResult<()> {
    request.local_cache(|| Taken(Some(entry)));
    let app = request.rocket().state::<App>().ok_or_else(|| anyhow::anyhow!("the server has no state"))?;
    let caller = auth::bearer(request).await?;
    let caller = caller.as_deref();
    let resource = entry.resource(request.uri().path().as_str());
    let method = method_name(request.method());
    if app.config.enable_rate_limit && caller.is_none_or(|caller| !caller.has(Capability::UnlimitedRequests)) {
        let address = auth::client_address(request).map_or_else(|| "unknown".to_owned(), |address| address.to_string());
        let asked = Asked {
            who: caller.map_or(address.as_str(), Caller::login),
            groups: caller.map(|caller| caller.groups.iter().map(|group| group.name.as_str()).collect()),
            resource: &resource,
            method: &method,
        };
        app.limits.count(&asked).map_err(ApiError::TooManyRequests)?;
    }
    let paged = entry.path.contains("<page>") && request.query_value::<&str>("page").is_some();
    let used = [entry.feature, paged.then_some(Feature::PageParameter), caller.and_then(|caller| caller.legacy_key)];
    for feature in used.into_iter().flatten() {
        app.use_deprecated(feature, &resource, &method, caller.map_or("", Caller::login))?;
    }
    Ok(())
}

fn method_name(method: Method) -> String {
    method.as_str().to_ascii_lowercase()
}

/// Counts answers of the API.
pub(super) fn metrics() -> AdHoc {
    AdHoc::on_response("metrics", |request, response| {
        Box::pin(async move {
            count(request, response);
        })
    })
}

fn count(request: &Request<'_>, response: &Response<'_>) {
    let Some(app) = request.rocket().state::<App>().filter(|app| app.config.enable_prometheus_metrics) else { return };
    let Some(entry) = request.local_cache(|| Taken(None)).0 else { return };
    let resource = entry.resource(request.uri().path().as_str());
    let user = auth::known(request).map_or_else(String::new, |caller| caller.login.clone());
    app.metrics.request(&resource, &method_name(request.method()), response.status().code, &user);
}
