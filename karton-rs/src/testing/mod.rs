//! For tests of services: [`KartonTest`] runs a service's work without any server, and real servers
//! on free ports are for the rest.
//!
//! The one rule: a server lives as long as its value, and never on a port or folder of somebody else.
//! Feature `test-util`.

mod kit;
mod redis_server;
mod shown;

pub(crate) use kit::Kit;
pub use kit::{KartonTest, Sent};
pub use redis_server::RedisServer;

use std::future::Future;
use std::time::{Duration, Instant};

/// Waits until `condition` gives a value; panics with `what` after ten seconds.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let answer = karton_rs::testing::eventually("an answer", || async { Some(42) }).await;
/// assert_eq!(answer, 42);
/// # });
/// ```
///
/// # Panics
/// When the deadline passes.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, condition: impl FnMut() -> F) -> T {
    within(Duration::from_secs(10), what, condition).await
}

/// Like [`eventually`], with another deadline.
///
/// # Panics
/// When the deadline passes.
pub async fn within<T, F: Future<Output = Option<T>>>(limit: Duration, what: &str, mut condition: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Looks again and again, for so long, whether `condition` holds; for what must not happen.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let time = std::time::Duration::from_millis(50);
/// karton_rs::testing::throughout(time, "nothing to be sent", || async { true }).await;
/// # });
/// ```
///
/// # Panics
/// As soon as it does not hold.
pub async fn throughout<F: Future<Output = bool>>(time: Duration, what: &str, mut condition: impl FnMut() -> F) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        assert!(condition().await, "expected {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
