//! One at a time for each object.

use tokio::sync::{Mutex, MutexGuard};

/// More than run at once in one process; objects that share one only wait a little.
const TURNS: usize = 64;

/// Who works on an object that others must wait for.
#[derive(Debug)]
pub(super) struct Turns([Mutex<()>; TURNS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Turns {
    pub(super) async fn wait(&self, id: &str) -> MutexGuard<'_, ()> {
        let sum = id.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        self.0[sum % TURNS].lock().await
    }
}
