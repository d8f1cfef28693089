//! Who is asking: tokens, passwords, capabilities, and the request guards built on them.
//!
//! The one rule: everything that reads or changes data takes a [`Caller`], and the only way to get
//! one in a handler is the guard [`User`]; a handler cannot forget to authenticate.

pub mod capabilities;
mod guard;
pub(crate) mod password;
pub(crate) mod tokens;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

pub use capabilities::Capability;
pub(crate) use guard::{ClientAddress, GuardFailure, bearer, client_address, identify_session, known};
pub use guard::{MaybeUser, User};
use tokens::Claim;

use crate::{
    deprecated::Feature,
    error::{ApiError, ApiResult},
};

/// An authenticated account, as it was when it was looked up.
#[derive(Debug, Clone)]
pub struct Caller {
    pub(crate) id: i64,
    pub(crate) login: String,
    pub(crate) feed_quality: String,
    pub(crate) groups: Vec<OwnGroup>,
    pub(crate) capabilities: BTreeSet<String>,
    /// The identity provider of the session.
    pub(crate) provider: Option<String>,
    /// Set when the key is of a deprecated kind.
    pub(crate) legacy_key: Option<Feature>,
    pub(crate) standing: Standing,
}

/// What the request of a caller rests on. A body may take hours to arrive: before the request changes
/// anything all of it is asked for again, see [`crate::accounts::again`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// What the token claims.
    pub(crate) claim: Option<Arc<Claim>>,
    /// The rights that were required so far.
    required: Arc<Mutex<BTreeSet<Capability>>>,
}

impl Standing {
    pub(crate) fn of(claim: &Arc<Claim>) -> Self {
        Self { claim: Some(Arc::clone(claim)), ..Self::default() }
    }

    pub(crate) fn required(&self) -> BTreeSet<Capability> {
        self.required.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A group of the caller.
#[derive(Debug, Clone)]
pub(crate) struct OwnGroup {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) private: bool,
    pub(crate) workspace: bool,
    pub(crate) shares_queried: bool,
}

impl Caller {
    /// Whether one of the caller's groups gives a right.
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.contains(capability.name())
    }

    /// Refuses callers without a right.
    ///
    /// # Errors
    /// 403 that names the capability.
    pub fn require(&self, capability: Capability) -> ApiResult<()> {
        if !self.has(capability) {
            return Err(ApiError::missing_capability(capability.name()));
        }
        self.standing.required.lock().unwrap_or_else(PoisonError::into_inner).insert(capability);
        Ok(())
    }

    /// Login of the caller.
    pub fn login(&self) -> &str {
        &self.login
    }

    pub(crate) fn is_member(&self, group_id: i64) -> bool {
        self.groups.iter().any(|group| group.id == group_id)
    }
}

/// The shape of logins and group names: `[A-Za-z0-9_.-]{1,32}`.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// A name that may be given to a new account or group; `private` has a meaning of its own.
pub(crate) fn is_login(text: &str) -> bool {
    is_name(text) && !is_reserved(text)
}

/// No account and no group may be called so.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.eq_ignore_ascii_case("private")
}
