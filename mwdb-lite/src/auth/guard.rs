//! The request guards.
//!
//! A guard that fails leaves its error in the request, where the catcher finds it: Rocket itself
//! hands only a status on.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use rocket::{
    Request,
    request::{FromRequest, Outcome},
};

use super::{Caller, tokens::Claim};
use crate::{
    accounts,
    error::{ApiError, ApiResult},
    state::App,
};

/// The account that makes the request; without one the answer is 401.
#[derive(Debug, Clone)]
pub struct User(pub(crate) Arc<Caller>);

impl Deref for User {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

/// The account that makes the request, if any.
#[derive(Debug, Clone)]
pub struct MaybeUser(pub(crate) Option<Arc<Caller>>);

/// Why a guard failed, for the catcher.
#[derive(Default)]
pub(crate) struct GuardFailure(Mutex<Option<ApiError>>);

impl GuardFailure {
    /// Takes the error that a guard left in this request.
    pub(crate) fn take(request: &Request<'_>) -> Option<ApiError> {
        request.local_cache(Self::default).0.lock().ok()?.take()
    }

    pub(crate) fn leave<T>(request: &Request<'_>, error: ApiError) -> Outcome<T, ()> {
        let status = error.status();
        if let Ok(mut place) = request.local_cache(Self::default).0.lock() {
            *place = Some(error);
        }
        Outcome::Error((status, ()))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for User {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        match bearer(request).await {
            Ok(Some(caller)) => Outcome::Success(Self(caller)),
            Ok(None) => GuardFailure::leave(request, ApiError::NotAuthenticated),
            Err(error) => GuardFailure::leave(request, error),
        }
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for MaybeUser {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        match bearer(request).await {
            Ok(caller) => Outcome::Success(Self(caller)),
            Err(error) => GuardFailure::leave(request, error),
        }
    }
}

/// The account behind the token of the `Authorization` header; looked up once for a request.
///
/// # Errors
/// For disabled accounts and under maintenance; the first time, as the gate of the API asks first.
pub(crate) async fn bearer(request: &Request<'_>) -> ApiResult<Option<Arc<Caller>>> {
    let found = request.local_cache_async(async { Found(look_up(request).await.map_err(|error| Mutex::new(Some(error)))) }).await;
    match &found.0 {
        Ok(caller) => Ok(caller.clone()),
        Err(error) => Err(error.lock().ok().and_then(|mut error| error.take()).unwrap_or(ApiError::NotAuthenticated)),
    }
}

struct Found(Result<Option<Arc<Caller>>, Mutex<Option<ApiError>>>);

/// The account that [`bearer`] found, without waiting: for what is noted of answers.
pub(crate) fn known(request: &Request<'_>) -> Option<Arc<Caller>> {
    request.local_cache(|| Found(Ok(None))).0.as_ref().ok().cloned().flatten()
}

async fn look_up(request: &Request<'_>) -> ApiResult<Option<Arc<Caller>>> {
    let app = request.rocket().state::<App>().ok_or_else(|| anyhow::anyhow!("the server has no state"))?;
    let token = request.headers().get_one("Authorization").and_then(|header| header.strip_prefix("Bearer "));
    // One blank separates: a second one is no part of a token.
    match token.filter(|token| !token.starts_with(' ')) {
        Some(token) => identify(app, token).await,
        None => Ok(None),
    }
}

/// The address of the client. With `use_x_forwarded_for` the one that the proxy before us saw: the
/// last in its list, as everything before it is what the client says of itself.
pub(crate) fn client_address(request: &Request<'_>) -> Option<IpAddr> {
    let trusted = request.rocket().state::<App>().is_some_and(|app| app.config.use_x_forwarded_for);
    let told = || request.headers().get("X-Forwarded-For").last()?.rsplit(',').next()?.trim().parse().ok();
    trusted.then(told).flatten().or_else(|| request.remote().map(|remote| remote.ip()))
}

/// [`client_address`] for handlers.
pub(crate) struct ClientAddress(pub(crate) Option<IpAddr>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for ClientAddress {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Self(client_address(request)))
    }
}

/// A bad token makes the request anonymous; a disabled account or maintenance refuses it.
async fn identify(app: &App, token: &str) -> ApiResult<Option<Arc<Caller>>> {
    match app.tokens.bearer(token.trim()) {
        Some(claim) => admitted(app, claim).await,
        None => Ok(None),
    }
}

/// Like [`bearer`], for the token of a cookie. It must be that of a session: an API key does not end
/// with the password and with `disabled`, so nobody is logged in by one.
pub(crate) async fn identify_session(app: &App, token: &str) -> ApiResult<Option<Arc<Caller>>> {
    match app.tokens.bearer(token) {
        Some(claim @ Claim::Session { .. }) => admitted(app, claim).await,
        _ => Ok(None),
    }
}

fn maintenance() -> ApiError {
    ApiError::Forbidden("Maintenance underway. Please come back later.".to_owned())
}

async fn admitted(app: &App, claim: Claim) -> ApiResult<Option<Arc<Caller>>> {
    let claim = Arc::new(claim);
    match app.db.read(move |c| accounts::identify(c, &claim)).await {
        Ok(Some(caller)) if app.config.enable_maintenance && caller.login != app.config.admin_login => Err(maintenance()),
        // Those who are disabled hear of that afterwards.
        Err(ApiError::Forbidden(_)) if app.config.enable_maintenance => Err(maintenance()),
        found => Ok(found?.map(Arc::new)),
    }
}
