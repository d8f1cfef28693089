//! Passwords: argon2 hashes, and verification that takes the same time for logins that do not exist.
//!
//! Both functions are slow on purpose; callers run them off the async threads, a few at a time. The one rule: a hash uses
//! memory that an earlier one has left. Given back each time, blocks of this size stay with the allocator, once for each
//! thread that ever had one, and a flood of logins takes all there is.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{ApiError, ApiResult};

/// Hashes at a time; each takes some 19 MiB.
const AT_ONCE: usize = 4;

static SLOTS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Memory of hashes that are done, for the next ones: no more than [`AT_ONCE`].
static MEMORY: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());

/// How long a request waits for its turn before it is answered 503.
const WAIT: Duration = Duration::from_secs(5);

async fn turn(slots: &Semaphore, wait: Duration) -> ApiResult<SemaphorePermit<'_>> {
    let turn = tokio::time::timeout(wait, slots.acquire()).await;
    let turn = turn.map_err(|_| too_many())?;
    Ok(turn.map_err(anyhow::Error::from)?)
}

/// There is more to do than can be done soon.
pub(crate) fn too_many() -> ApiError {
    ApiError::Unavailable("Too many passwords are being checked, try again later".to_owned())
}

/// What a login without account is checked against.
static NOBODY: LazyLock<String> = LazyLock::new(|| make("nobody has this password").unwrap_or_default());

fn make(password: &str) -> anyhow::Result<String> {
    let argon2 = Argon2::default();
    let salt = Salt::generate();
    let output =
        digest(&argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN).map_err(|error| anyhow::anyhow!("hash a password: {error}"))?;
    let hash = PasswordHash {
        algorithm: Algorithm::default().ident(),
        version: Some(Version::default().into()),
        params: ParamsString::try_from(argon2.params()).map_err(|error| anyhow::anyhow!("hash a password: {error}"))?,
        salt: Some(salt),
        hash: Some(output),
    };
    Ok(hash.to_string())
}

/// Whether a password is the one of a hash; no for what is no hash of ours.
fn is_of(password: &str, text: &str) -> bool {
    let Ok(hash) = PasswordHash::new(text) else { return false };
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return false };
    let (Ok(algorithm), Ok(params)) = (Algorithm::try_from(hash.algorithm.as_str()), Params::try_from(&hash)) else { return false };
    let Ok(version) = hash.version.map_or(Ok(Version::default()), Version::try_from) else { return false };
    // Compared in a time that does not depend on where they differ.
    digest(&Argon2::new(algorithm, version, params), password, salt, expected.len()).is_ok_and(|output| output == *expected)
}

fn digest(argon2: &Argon2<'_>, password: &str, salt: &Salt, length: usize) -> argon2::Result<Output> {
    let pool = || MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let mut memory = pool().pop().unwrap_or_default();
    memory.resize(argon2.params().block_count(), Block::default());
    let mut output = [0; Output::MAX_LENGTH];
    let output = output.get_mut(..length).ok_or(argon2::Error::OutputTooLong)?;
    let hashed = argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, &mut memory[..]);
    let mut pool = pool();
    if pool.len() < AT_ONCE {
        pool.push(memory);
    }
    hashed.and_then(|()| Output::new(output).map_err(|_| argon2::Error::OutputTooLong))
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
        let matches = is_of(&password, &text);
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

    #[test]
    fn a_hash_is_of_one_password_and_its_memory_is_used_again() {
        let (one, other) = (make("one password").expect("a hash"), make("one password").expect("a hash"));
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, other);
        assert!(is_of("one password", &one) && is_of("one password", &other));
        assert!(!is_of("another password", &one));
        for broken in ["", "$argon2id$", &one[..one.len() - 2], &one.replace("argon2id", "scrypt"), &one.replace("p=1", "p=0")] {
            assert!(!is_of("one password", broken), "{broken}");
        }
        // As the library makes them by itself.
        let theirs = argon2::PasswordHasher::hash_password(&Argon2::default(), b"one password").expect("a hash").to_string();
        assert!(is_of("one password", &theirs) && !is_of("two passwords", &theirs));
        assert!((1..=AT_ONCE).contains(&MEMORY.lock().expect("nobody panicked").len()));
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_until_a_password_is_checked() {
        let slots = Semaphore::new(1);
        let held = turn(&slots, WAIT).await.expect("a turn");
        assert!(matches!(turn(&slots, Duration::from_millis(10)).await, Err(ApiError::Unavailable(_))));
        drop(held);
        assert!(turn(&slots, WAIT).await.is_ok());
    }
}
