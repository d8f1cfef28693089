//! The request guards.
//!
//! A guard that fails leaves its error in the request, where the catcher finds it: Rocket itself
//! hands only a status on.

use std::ops::Deref;
use std::sync::{Arc, Mutex};

use rocket::{
    Request,
    request::{FromRequest, Outcome},
};

use super::Caller;
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

/// Who sends the token of the `Authorization` header.
async fn bearer(request: &Request<'_>) -> ApiResult<Option<Arc<Caller>>> {
    let app = request.rocket().state::<App>().ok_or_else(|| anyhow::anyhow!("the server has no state"))?;
    match request.headers().get_one("Authorization").and_then(|header| header.strip_prefix("Bearer ")) {
        Some(token) => identify(app, token).await,
        None => Ok(None),
    }
}

/// A bad token makes the request anonymous; a disabled account or maintenance refuses it.
pub(crate) async fn identify(app: &App, token: &str) -> ApiResult<Option<Arc<Caller>>> {
    let Some(claim) = app.tokens.bearer(token.trim()) else { return Ok(None) };
    let caller = app.db.read(move |c| accounts::identify(c, &claim)).await?;
    match caller {
        Some(caller) if caller.disabled => Err(ApiError::Forbidden("User account is disabled".to_owned())),
        Some(caller) if app.config.enable_maintenance && caller.login != app.config.admin_login => {
            Err(ApiError::Forbidden("Maintenance underway. Please come back later.".to_owned()))
        }
        caller => Ok(caller.map(Arc::new)),
    }
}
