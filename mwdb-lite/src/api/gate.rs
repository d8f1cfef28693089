//! What every request of the API passes before its handler. See MWDB API §A1.2, precedence.
//!
//! Once the route is known: disabled accounts and maintenance (403), limits (429), what is deprecated
//! (400). Whether a login or a right is needed is for the handler. The one rule: every mounted route
//! goes through [`guard`].

use rocket::{
    Data, Request, Route,
    http::Status,
    route::{Handler, Outcome},
};

use super::{catchers::fits, table::Entry};
use crate::{
    admission::{self, Name},
    auth,
    deprecated::Feature,
    error::ApiResult,
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
    let resource = entry.resource(request.uri().path().as_str());
    let name = Name { resource, method: request.method().as_str().to_ascii_lowercase() };
    let caller = admission::admit(request, &name, auth::bearer(request).await)?;
    let paged = entry.path.contains("<page>") && request.query_value::<&str>("page").is_some();
    let used = [entry.feature, paged.then_some(Feature::PageParameter), caller.as_ref().and_then(|caller| caller.legacy_key)];
    let app = request.rocket().state::<App>().ok_or_else(|| anyhow::anyhow!("the server has no state"))?;
    for feature in used.into_iter().flatten() {
        app.use_deprecated(feature, &name.resource, &name.method, caller.as_ref().map(|caller| caller.login()))?;
    }
    Ok(())
}
