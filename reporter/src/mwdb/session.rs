//! The token of the client.
//!
//! The one rule: of many requests that need a new token at the same time, one logs in and the others
//! wait for what it gets.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::{error::Error, settings::Secret};

/// Holds the token between requests.
#[derive(Debug)]
pub(super) struct Session {
    token: Mutex<Option<Arc<Secret>>>,
}

impl Session {
    pub(super) fn new(token: Option<Secret>) -> Self {
        Self { token: Mutex::new(token.map(Arc::new)) }
    }

    /// The token; `log_in` gets one when there is none.
    pub(super) async fn token<F, L>(&self, log_in: L) -> Result<Option<Arc<Secret>>, Error>
    where
        F: Future<Output = Result<Option<Secret>, Error>>,
        L: FnOnce() -> F,
    {
        let mut held = self.token.lock().await;
        if held.is_none() {
            *held = log_in().await?.map(Arc::new);
        }
        Ok(held.clone())
    }

    /// Drops a token that was refused, unless it was replaced meanwhile.
    pub(super) async fn refuse(&self, refused: Option<&Arc<Secret>>) {
        let mut held = self.token.lock().await;
        if held.as_ref() == refused {
            *held = None;
        }
    }
}
