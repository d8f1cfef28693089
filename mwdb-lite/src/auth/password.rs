//! Passwords: argon2 hashes, and verification that takes the same time for logins that do not exist.
//!
//! Both functions are slow on purpose; callers run them off the async threads, a few at a time.

use std::sync::LazyLock;
use std::time::Duration;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{ApiError, ApiResult};

/// Each hash takes some 19 MiB: a flood of logins waits instead of taking all memory.
static SLOTS: Semaphore = Semaphore::const_new(4);

/// How long a request waits for its turn before it is answered 503.
const WAIT: Duration = Duration::from_secs(5);

async fn turn(slots: &Semaphore, wait: Duration) -> ApiResult<SemaphorePermit<'_>> {
    let turn = tokio::time::timeout(wait, slots.acquire()).await;
    let turn = turn.map_err(|_| ApiError::Unavailable("Too many passwords are being checked, try again later".to_owned()))?;
    Ok(turn.map_err(anyhow::Error::from)?)
}

/// What a login without account is checked against.
static NOBODY: LazyLock<String> = LazyLock::new(|| make("nobody has this password").unwrap_or_default());

fn make(password: &str) -> anyhow::Result<String> {
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|error| anyhow::anyhow!("hash a password: {error}"))?;
    Ok(hash.to_string())
}

/// Hashes a new password.
pub(crate) async fn hash(password: String) -> ApiResult<String> {
    let _turn = turn(&SLOTS, WAIT).await?;
    let hash = tokio::task::spawn_blocking(move || make(&password)).await.map_err(anyhow::Error::from)??;
    Ok(hash)
}

/// Hashes a new password on this thread: for the first account, before the server runs.
pub(crate) fn hash_now(password: &str) -> anyhow::Result<String> {
    make(password)
}

/// Compares a password with the stored hash; without one the answer is no, after the same work.
pub(crate) async fn verify(password: String, stored: Option<String>) -> ApiResult<bool> {
    let _turn = turn(&SLOTS, WAIT).await?;
    let check = move || {
        let known = stored.is_some();
        let text = stored.unwrap_or_else(|| NOBODY.clone());
        let matches = PasswordHash::new(&text).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
        known && matches
    };
    Ok(tokio::task::spawn_blocking(check).await.map_err(anyhow::Error::from)?)
}

/// The rules for new passwords: at least 8 characters, at most 72 bytes.
pub(crate) fn check_new(password: &str) -> ApiResult<()> {
    if password.chars().count() < 8 {
        return Err(ApiError::invalid("password", "Password is too short"));
    }
    check_length(password)
}

/// Longer ones cannot exist; refused before any hashing.
pub(crate) fn check_length(password: &str) -> ApiResult<()> {
    if password.len() > 72 {
        return Err(ApiError::invalid("password", "The password should contain no more than 72 bytes of UTF-8 characters."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_waits_for_ever_until_a_password_is_checked() {
        let slots = Semaphore::new(1);
        let held = turn(&slots, WAIT).await.expect("a turn");
        assert!(matches!(turn(&slots, Duration::from_millis(10)).await, Err(ApiError::Unavailable(_))));
        drop(held);
        assert!(turn(&slots, WAIT).await.is_ok());
    }
}
