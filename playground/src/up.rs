//! Starting everything, staying, stopping everything.
//!
//! The rule: what is used starts before its users and stops after them: S3 and Redis first and last.
//! A stop takes less than five seconds, whatever hangs.

use std::time::Duration;

use anyhow::{Context as _, bail};
use playground_s3::Server as S3Server;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::connections::{Connections, S3};
use crate::folder::{DataFolder, State};
use crate::ports::claim;
use crate::ready::{self, Ready};
use crate::redis_server::{self, RedisServer};
use crate::services;
use crate::settings::{KARTON_BUCKET, MWDB_BUCKET, RedisChoice, S3_KEYS, S3Choice, ServiceName, Settings, UpArgs};
use crate::supervise::Supervisor;

const SERVICES_LIMIT: Duration = Duration::from_millis(2300);
const S3_LIMIT: Duration = Duration::from_millis(500);

/// Runs a playground until `shutdown`; `tell` is called once everything answers.
pub(crate) async fn run(args: UpArgs, shutdown: CancellationToken, tell: impl FnOnce(&Ready)) -> anyhow::Result<()> {
    let settings = args.settings()?;
    let folder = DataFolder::take(&settings.data)?;
    let mut running = Running::default();
    let started = tokio::select! {
        started = running.start(settings, &folder) => started.map(Some),
        () = shutdown.cancelled() => Ok(None),
    };
    let outcome = match started {
        Ok(Some(ready)) => {
            tell(&ready);
            shutdown.cancelled().await;
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    folder.remove_state();
    running.stop().await;
    outcome
}

/// What has been started so far.
#[derive(Default)]
struct Running {
    supervisor: Option<Supervisor>,
    s3: Option<S3Server>,
    redis: Option<Redis>,
}

/// The task that stays with redis-server, and what ends it.
struct Redis {
    shutdown: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Running {
    async fn start(&mut self, settings: Settings, folder: &DataFolder) -> anyhow::Result<Ready> {
        // What a killed playground has left holds the port that is wanted.
        redis_server::end_orphan(&folder.redis()).await?;
        // All ports are looked at before anything starts, so that a refusal leaves nothing to undo.
        let with_mwdb = settings.services.contains(&ServiceName::MwdbLite);
        let mwdb_claim = if with_mwdb { Some(claim("mwdb-lite", "--mwdb-port", settings.mwdb_port)?) } else { None };
        let s3_claim = match settings.s3 {
            S3Choice::Own { port } => Some(claim("s3", "--s3-port", port)?),
            S3Choice::External { .. } => None,
        };
        let redis_claim = match settings.redis {
            RedisChoice::Own { port } => Some((claim("redis", "--redis-port", port)?, port == 0)),
            RedisChoice::External { .. } => None,
        };
        folder.prepare()?;

        let (external_redis, external_s3) = (redis_claim.is_none(), s3_claim.is_none());
        let s3 = match (s3_claim, settings.s3) {
            (Some(claim), _) => {
                claim.set_nonblocking(true)?;
                let listener = tokio::net::TcpListener::from_std(claim)?;
                let server = S3Server::serve(&folder.s3(), listener, S3_KEYS.0, S3_KEYS.1).await?;
                let endpoint = server.url();
                let server = self.s3.insert(server);
                for bucket in [KARTON_BUCKET, MWDB_BUCKET] {
                    server.ensure_bucket(bucket).await?;
                }
                S3 { endpoint, access_key: S3_KEYS.0.to_owned(), secret_key: S3_KEYS.1.to_owned() }
            }
            (None, S3Choice::External { endpoint, access_key, secret_key }) => S3 { endpoint, access_key, secret_key },
            (None, S3Choice::Own { .. }) => bail!("the port of the S3 server was not claimed"),
        };
        let redis_url = match (redis_claim, settings.redis) {
            (Some((claim, any_port)), _) => {
                let server = RedisServer::start(&folder.redis(), claim, any_port).await?;
                let url = server.url();
                let shutdown = CancellationToken::new();
                let keeper = tokio::spawn(server.keep_running(shutdown.clone()));
                self.redis = Some(Redis { shutdown, keeper });
                url
            }
            (None, RedisChoice::External { url }) => url,
            (None, RedisChoice::Own { .. }) => bail!("the port of Redis was not claimed"),
        };
        let mwdb = format!("http://127.0.0.1:{}", settings.mwdb_port);
        let mut connections = Connections { redis_url, s3, mwdb, external_redis, external_s3 };

        let supervisor = self.supervisor.insert(Supervisor::new());
        if let Some(claim) = mwdb_claim {
            let config = connections.karton_config()?;
            drop(claim);
            let told = services::start_mwdb(supervisor, folder, settings.mwdb_port, &config);
            tokio::select! {
                address = told => connections.mwdb = format!("http://{}", address.context("mwdb-lite went away")?),
                failure = supervisor.failure() => bail!("{} failed: {}", failure.service, failure.reason),
                () = tokio::time::sleep(ready::LIMIT) => bail!("mwdb-lite does not listen after {} seconds", ready::LIMIT.as_secs()),
            }
        }
        folder.write_karton_ini(&connections.karton_ini()?, connections.is_secret())?;
        let config = connections.karton_config()?;
        for service in &settings.services {
            services::start(supervisor, *service, &config);
        }
        let state = State {
            pid: std::process::id(),
            mwdb: with_mwdb.then(|| connections.mwdb.clone()),
            s3: connections.s3.endpoint.clone(),
            redis: connections.shown_redis(),
            karton_ini: folder.karton_ini(),
            services: settings.services.iter().map(|service| service.as_str().to_owned()).collect(),
        };
        let ready = tokio::select! {
            ready = ready::wait(state, &settings.services, &connections, &settings.data) => ready?,
            failure = supervisor.failure() => bail!("{} failed: {}", failure.service, failure.reason),
        };
        folder.write_state(&ready.state)?;
        Ok(ready)
    }

    async fn stop(self) {
        if let Some(supervisor) = self.supervisor {
            supervisor.stop(SERVICES_LIMIT).await;
        }
        if let Some(s3) = self.s3
            && tokio::time::timeout(S3_LIMIT, s3.stop()).await.is_err()
        {
            tracing::info!("ending S3 requests that did not finish in time");
        }
        if let Some(Redis { shutdown, keeper }) = self.redis {
            shutdown.cancel();
            if let Err(error) = keeper.await {
                tracing::error!(%error, "the keeper of redis-server failed");
            }
        }
    }
}
