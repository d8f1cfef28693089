//! The Karton services and MWDB as parts of this process.
//!
//! The rule: they get the very configuration that `karton.ini` spells for others, and nothing from the
//! environment, so that what works inside works outside.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use karton_rs::Config;
use tokio::sync::oneshot;

use crate::folder::DataFolder;
use crate::settings::{ACCOUNT, ServiceName};
use crate::supervise::Supervisor;

/// MWDB has to be gone before the S3 and Redis that it uses.
const MWDB_GRACE: Duration = Duration::from_secs(1);

impl ServiceName {
    /// The identity under which dashboards list the service.
    pub(crate) const fn identity(self) -> &'static str {
        match self {
            Self::KartonSystem => karton_rs::system::IDENTITY,
            Self::KartonClassifier => classifier::IDENTITY,
            Self::KartonMwdbReporter => reporter::IDENTITY,
            Self::MwdbLite => "karton.mwdb",
        }
    }

    /// Whether it has a queue of its own.
    pub(crate) const fn is_consumer(self) -> bool {
        matches!(self, Self::KartonClassifier | Self::KartonMwdbReporter)
    }
}

/// Starts a Karton service. MWDB is started by [`start_mwdb`].
pub(crate) fn start(supervisor: &mut Supervisor, service: ServiceName, config: &Config) {
    let config = config.clone();
    match service {
        ServiceName::KartonSystem => supervisor.start(service.as_str(), move |shutdown| {
            let config = config.clone();
            async move { Ok(Box::pin(karton_rs::system::run(config, true, shutdown)).await?) }
        }),
        ServiceName::KartonClassifier => supervisor.start(service.as_str(), move |shutdown| classifier::run(config.clone(), shutdown)),
        ServiceName::KartonMwdbReporter => supervisor.start(service.as_str(), move |shutdown| reporter::run(config.clone(), shutdown)),
        ServiceName::MwdbLite => {}
    }
}

/// Starts MWDB; the receiver gets its address once it listens. With port 0 the first one it gets stays.
pub(crate) fn start_mwdb(supervisor: &mut Supervisor, folder: &DataFolder, port: u16, karton: &Config) -> oneshot::Receiver<SocketAddr> {
    let (tell, told) = oneshot::channel();
    let tell = Arc::new(Mutex::new(Some(tell)));
    let port = Arc::new(Mutex::new(port));
    let config = mwdb_lite::Config {
        sqlite_path: folder.mwdb_database(),
        uploads_folder: folder.mwdb_uploads(),
        admin_login: ACCOUNT.0.to_owned(),
        admin_password: Some(ACCOUNT.1.to_owned()),
        hash_pathing: false,
        enable_karton: true,
        karton: Some(karton.clone()),
        shutdown_grace: MWDB_GRACE,
        ..mwdb_lite::Config::default()
    };
    supervisor.start(ServiceName::MwdbLite.as_str(), move |shutdown| {
        let mut config = config.clone();
        let (tell, port) = (Arc::clone(&tell), Arc::clone(&port));
        config.port = *port.lock().unwrap_or_else(PoisonError::into_inner);
        if config.port != 0 {
            config.base_url = format!("http://127.0.0.1:{}", config.port);
        }
        mwdb_lite::serve(config, shutdown, move |address| {
            *port.lock().unwrap_or_else(PoisonError::into_inner) = address.port();
            if let Some(tell) = tell.lock().unwrap_or_else(PoisonError::into_inner).take() {
                // Nobody waits any more when the start was interrupted.
                let _ = tell.send(address);
            }
        })
    });
    told
}
