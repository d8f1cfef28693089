//! Karton: telling it of uploads, and asking how analyses are doing. See MWDB API §K1 to §K6.
//!
//! The one rule: no upload waits for Karton. What it must be told is committed with the upload and
//! sent by [`outbox`] whenever Redis and S3 answer.

pub(crate) mod analysis;
pub(crate) mod crashes;
pub(crate) mod outbox;
mod spawn;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::config::Config;

/// Who we are to Karton.
const IDENTITY: &str = "karton.mwdb";

/// The connection to Karton, or its absence; cheap to clone.
#[derive(Clone)]
pub(crate) struct Link(Option<Arc<Connected>>);

struct Connected {
    karton: karton_rs::Karton,
    inspect: karton_rs::Inspect,
    /// Told when something was put into the outbox.
    wake: Notify,
    states: analysis::Cache,
}

impl Link {
    /// Prepares the connection; Redis may be away.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let Some(karton) = config.karton.as_ref().filter(|_| config.enable_karton) else { return Ok(Self(None)) };
        let karton = karton_rs::Karton::prepare(karton, IDENTITY, Some(crate::api::SERVER_VERSION))?;
        let inspect = karton_rs::Inspect::of(&karton);
        Ok(Self(Some(Arc::new(Connected { karton, inspect, wake: Notify::new(), states: analysis::Cache::default() }))))
    }

    /// Whether uploads are announced.
    pub(crate) fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Says that there may be something to announce.
    pub(crate) fn wake(&self) {
        if let Some(connected) = &self.0 {
            connected.wake.notify_one();
        }
    }
}
