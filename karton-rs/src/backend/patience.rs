//! How long a server that is away is waited for.
//!
//! The one rule: who works on a task waits for as long as the server is away, because nothing is wrong with the
//! task and its claim is renewed meanwhile. Everybody else is told in time.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{error::Error, service::Outage};

/// How long is tried by those who do not wait without end.
const RETRY_FOR: Duration = Duration::from_secs(30);

/// The wait for one piece of work.
pub(crate) struct Patience {
    /// Ends what waits without end; none: half a minute is enough.
    give_up: Option<CancellationToken>,
    /// Of the tries that are counted, which starts with the first of them.
    deadline: Option<Instant>,
    failures: u32,
    outage: Outage,
}

impl Patience {
    /// Half a minute, without end where there is something that ends it.
    pub(crate) fn new(give_up: Option<CancellationToken>) -> Self {
        Self { give_up, deadline: None, failures: 0, outage: Outage::default() }
    }

    /// Whether a server that is away is waited for without end.
    pub(crate) fn is_endless(&self) -> bool {
        self.give_up.is_some()
    }

    /// Pauses after a failure that may pass: the server is `away`, or answers others.
    ///
    /// # Errors
    /// The failure, when it was tried for long enough, or that the process stops.
    pub(crate) async fn rest(&mut self, error: Error, away: bool) -> Result<(), Error> {
        if let Some(give_up) = self.give_up.as_ref().filter(|_| away) {
            self.outage.wait(&error, give_up).await;
            return if give_up.is_cancelled() { Err(Error::Stopped(format!("waiting: {error}"))) } else { Ok(()) };
        }
        let pause = (Duration::from_millis(50) * 2_u32.saturating_pow(self.failures)).min(Duration::from_secs(2));
        self.failures = self.failures.saturating_add(1);
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + RETRY_FOR);
        if Instant::now() + pause >= deadline {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// It worked.
    pub(crate) fn over(&mut self) {
        self.outage.over();
    }
}
