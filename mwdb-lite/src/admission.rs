//! What a request passes before its handler, whether it asks the API or a page: the limits, and the
//! count of answers for the metrics. See MWDB API §A3.3 and §A3.4.
//!
//! The one rule: a request is named once, in [`admit`], after it is known who asks; limits and
//! metrics then call it the same.

use std::sync::Arc;

use rocket::{Request, Response, fairing::AdHoc};

use crate::{
    auth::{self, Caller, Capability},
    error::{ApiError, ApiResult},
    limits::{self, Asked},
    state::App,
};

/// What limits and metrics call a request.
#[derive(Clone)]
pub(crate) struct Name {
    /// The reference's name of the handler.
    pub(crate) resource: String,
    /// In lower case.
    pub(crate) method: String,
}

/// What was admitted or refused, and of whom; for the metrics of the answer.
struct Noted(Option<(Name, Option<Arc<Caller>>)>);

/// Notes a request for the metrics and counts it against the limits of who makes it; gives the caller.
///
/// # Errors
/// Why the caller is refused, or that there were too many requests.
pub(crate) fn admit(request: &Request<'_>, name: &Name, asked: ApiResult<Option<Arc<Caller>>>) -> ApiResult<Option<Arc<Caller>>> {
    request.local_cache(|| Noted(Some((name.clone(), asked.as_ref().ok().cloned().flatten()))));
    let caller = asked?;
    let app = request.rocket().state::<App>().ok_or_else(|| anyhow::anyhow!("the server has no state"))?;
    if app.config.enable_rate_limit && caller.as_ref().is_none_or(|caller| !caller.has(Capability::UnlimitedRequests)) {
        let address = address(request);
        let asked = Asked {
            who: caller.as_ref().map_or(address.as_str(), |caller| caller.login()),
            groups: caller.as_ref().map(|caller| caller.groups.iter().map(|group| group.name.as_str()).collect()),
            resource: &name.resource,
            method: &name.method,
        };
        app.limits.count(&asked).map_err(ApiError::TooManyRequests)?;
    }
    Ok(caller)
}

/// What stands for who is not logged in.
fn address(request: &Request<'_>) -> String {
    auth::client_address(request).map_or_else(|| "unknown".to_owned(), |address| limits::network(address).to_string())
}

/// Counts answers.
pub(crate) fn metrics() -> AdHoc {
    AdHoc::on_response("metrics", |request, response| {
        Box::pin(async move {
            count(request, response);
        })
    })
}

fn count(request: &Request<'_>, response: &Response<'_>) {
    let Some(app) = request.rocket().state::<App>().filter(|app| app.config.enable_prometheus_metrics) else { return };
    let Some((name, caller)) = &request.local_cache(|| Noted(None)).0 else { return };
    let user = caller.as_ref().map_or_else(|| address(request), |caller| caller.login().to_owned());
    app.metrics.request(&name.resource, &name.method, response.status().code, &user);
}
