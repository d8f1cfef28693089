//! Redis and S3 as Karton uses them: the operations that producers, consumers and the broker share.
//!
//! The one rule: each operation is one round trip, and what belongs together is one transaction.
//! See Karton protocol §3.
//!
//! A Redis that is full refuses every transaction, and every script whose first write may take memory.
//! What must go on then, because it leads to memory being freed, is a script whose first write takes
//! none: where it has no such write of its own it begins with a `PERSIST` that changes nothing.

mod actions;
pub(crate) mod analysis;
mod args;
mod bind;
mod connection;
mod delayed;
mod glimpse;
pub(crate) mod keys;
mod names;
mod patience;
mod places;
mod quarantine;
mod queues;
mod scan;
mod script;
mod send;
mod settle;
#[cfg(test)]
pub(crate) mod vectors;

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

pub(crate) use actions::Acted;
pub use analysis::{AnalysisEnded, TaskHistory};
pub(crate) use analysis::{Found, Index, Outline, end, ended};
pub(crate) use args::Args;
pub use bind::Bind;
pub(crate) use connection::{Connection, connection_info, is_denied, is_outage, reason};
pub(crate) use glimpse::{Glimpse, resources};
pub use names::{KARTON_VERSION, ServiceInfo};
pub(crate) use patience::Patience;
pub(crate) use places::Places;
pub(crate) use quarantine::{Kind as QuarantineKind, Quarantined};
pub(crate) use queues::Pending;
pub(crate) use scan::{Piece, RecordScan};
pub(crate) use script::Script;
pub(crate) use settle::{Counted, Ending, Move, SAME, Seen, Settled, finishing};

use crate::{
    config::{Config, RedisSettings, S3Settings},
    error::Error,
    filters::Filters,
    storage::Storage,
    task::Task,
};

/// Writes a bind and gives the one that was there. Who can begin to consume makes room.
const REGISTER: &str = r"
local old = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('PERSIST', KEYS[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return old
";

/// Ends a claim, and says why in the quarantine when there is a reason.
const DROP_CLAIM: &str = r"
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
if ARGV[2] ~= '' then redis.call('HSET', KEYS[3], ARGV[1], ARGV[2]) end
";

/// Shared access to Redis and S3 under one identity.
#[derive(Clone)]
pub(crate) struct Backend {
    redis: Arc<Connection>,
    storage: Storage,
    identity: Arc<str>,
}

impl Backend {
    /// Prepares access; nothing is contacted yet. `name` is the connection name.
    pub(crate) fn new(config: &Config, identity: &str, name: &str) -> Result<Self, Error> {
        let settings = RedisSettings::from_config(config)?;
        Ok(Self {
            redis: Arc::new(Connection::new(&settings, name, settings.socket_timeout)?),
            storage: Storage::new(&S3Settings::from_config(config)?)?,
            identity: identity.into(),
        })
    }

    /// The same access over a connection of its own, which ends with it: for what is long at work, and
    /// would keep others waiting.
    pub(crate) fn beside(&self, config: &Config) -> Result<Self, Error> {
        let settings = RedisSettings::from_config(config)?;
        let redis = Arc::new(Connection::new(&settings, keys::HOUSEKEEPING, settings.socket_timeout)?);
        Ok(Self { redis, ..self.clone() })
    }

    pub(crate) fn redis(&self) -> &Connection {
        &self.redis
    }

    pub(crate) fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    pub(crate) async fn ping(&self) -> Result<(), Error> {
        self.redis.run(redis::pipe().cmd("PING").ignore()).await
    }

    /// Unix time by the clock of Redis, by which claims lapse.
    pub(crate) async fn server_time(&self) -> Result<f64, Error> {
        let ((seconds, microseconds),): ((u32, u32),) = self.redis.run(redis::pipe().cmd("TIME")).await?;
        Ok(f64::from(seconds) + f64::from(microseconds) / 1e6)
    }

    /// Registers a bind and gives the one that was there.
    pub(crate) async fn register_bind(&self, bind: &Bind) -> Result<Option<Vec<u8>>, Error> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("EVAL").arg(REGISTER).arg(1).arg(keys::BINDS).arg(&bind.identity).arg(bind.to_json());
        let (old,): (Option<Vec<u8>>,) = self.redis.retry(&pipeline, &mut Patience::new(None)).await?;
        Ok(old)
    }

    /// All binds as they are stored, in hash order.
    pub(crate) async fn binds_raw(&self) -> Result<IndexMap<String, Vec<u8>>, Error> {
        let (binds,): (Vec<(Vec<u8>, Vec<u8>)>,) = self.redis.run(redis::pipe().hgetall(keys::BINDS)).await?;
        Ok(by_identity(binds))
    }

    /// All binds that can be read; the others are logged and left out.
    pub(crate) async fn binds(&self) -> Result<Vec<Bind>, Error> {
        let raw = self.binds_raw().await?;
        Ok(raw.into_iter().filter_map(|(identity, text)| readable_bind(&identity, &text)).collect())
    }

    /// All connections.
    pub(crate) async fn connections(&self) -> Result<Vec<OpenConnection>, Error> {
        let (list, (seconds, microseconds)): (String, (u32, u32)) =
            self.redis.run(redis::pipe().cmd("CLIENT").arg("LIST").cmd("TIME")).await?;
        let now = f64::from(seconds) + f64::from(microseconds) / 1e6;
        let connection = |line| OpenConnection {
            id: client_field(line, "id").parse().unwrap_or_default(),
            name: client_field(line, "name").to_owned(),
            // The age is in whole seconds.
            since: now - client_field(line, "age").parse().unwrap_or(f64::INFINITY) - 1.0,
            waits: client_field(line, "flags").contains('b') && client_field(line, "cmd") == "blpop",
            listens: client_field(line, "flags").contains('P'),
        };
        Ok(list.lines().map(connection).collect())
    }

    /// The names of all connections.
    pub(crate) async fn connection_names(&self) -> Result<Vec<String>, Error> {
        Ok(self.connections().await?.into_iter().map(|connection| connection.name).collect())
    }

    /// How many connections carry each identity.
    pub(crate) async fn online_consumers(&self) -> Result<HashMap<String, usize>, Error> {
        Ok(count_consumers(self.connection_names().await?.iter().map(String::as_str)))
    }

    /// Records by uid; those that do not exist are absent. Bytes, because a record may be no text.
    pub(crate) async fn records(&self, uids: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let mut records = Vec::with_capacity(uids.len());
        for chunk in uids.chunks(1000) {
            let task_keys: Vec<String> = chunk.iter().map(|uid| keys::task(uid)).collect();
            let (found,): (Vec<Option<Vec<u8>>>,) = self.redis.run(redis::pipe().cmd("MGET").arg(task_keys)).await?;
            records.extend(found);
        }
        Ok(records)
    }

    /// All uids that wait to be routed, those in the hands of a router included.
    pub(crate) async fn unrouted_uids(&self) -> Result<Vec<String>, Error> {
        let mut uids = Vec::new();
        let mut lists = self.unrouted();
        while let Some(found) = lists.next().await? {
            // What is no text is no uid of ours, and comes out changed.
            uids.extend(found.iter().map(|uid| String::from_utf8_lossy(uid).into_owned()));
        }
        Ok(uids)
    }

    /// Puts what cannot be read aside for an operator: names and reasons.
    pub(crate) async fn quarantine(&self, found: &[(String, String)]) -> Result<(), Error> {
        if found.is_empty() {
            return Ok(());
        }
        let entries: Vec<(&str, String)> = found.iter().map(|(what, reason)| (what.as_str(), quarantine_entry(reason))).collect();
        self.redis.run(redis::pipe().hset_multiple(keys::QUARANTINE, &entries).ignore()).await
    }

    /// Ends the claim on what was taken and is no task, and puts it into quarantine when there is a reason.
    pub(crate) async fn drop_claim(&self, uid: &[u8], reason: Option<&str>) -> Result<(), Error> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("EVAL").arg(DROP_CLAIM).arg(3).arg(keys::LEASES).arg(keys::DELIVERIES).arg(keys::QUARANTINE);
        pipeline.arg(uid).arg(reason.map(quarantine_entry).unwrap_or_default()).ignore();
        self.redis.run(&pipeline).await
    }
}

/// A connection to Redis, of whomever.
pub(crate) struct OpenConnection {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// When it was opened at the earliest, by the clock of Redis.
    pub(crate) since: f64,
    /// It waits for a list to have something.
    pub(crate) waits: bool,
    /// It waits for what is published, and does nothing else.
    pub(crate) listens: bool,
}

/// How many connection names belong to each identity.
fn count_consumers<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<String, usize> {
    names.fold(HashMap::new(), |mut online, name| {
        *online.entry(name.split('?').next().unwrap_or_default().to_owned()).or_insert(0) += 1;
        online
    })
}

/// Binds by identity. One whose identity is no text stays among them as one that cannot be read.
pub(crate) fn by_identity(binds: Vec<(Vec<u8>, Vec<u8>)>) -> IndexMap<String, Vec<u8>> {
    let readable = |(identity, bind)| match String::from_utf8(identity) {
        Ok(identity) => (identity, bind),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), b"\xff".to_vec()),
    };
    binds.into_iter().map(readable).collect()
}

/// What the quarantine keeps of something that cannot be read.
pub(crate) fn quarantine_entry(reason: &str) -> String {
    serde_json::json!({ "reason": reason, "time": crate::task::now() }).to_string()
}

/// A bind, or why it is none.
pub(crate) fn read_bind(identity: &str, text: &[u8]) -> Result<Bind, String> {
    let text = std::str::from_utf8(text).map_err(|_| "bind is not UTF-8 text".to_owned())?;
    Bind::from_json(identity, text).map_err(|error| error.to_string())
}

/// The filters of a bind, or why it has none that can be used.
pub(crate) fn read_filters(identity: &str, text: &[u8]) -> Result<Filters, String> {
    Filters::compile(&read_bind(identity, text)?.filters).map_err(|error| error.to_string())
}

/// A bind, or nothing and a log line.
pub(crate) fn readable_bind(identity: &str, text: &[u8]) -> Option<Bind> {
    read_bind(identity, text).inspect_err(|problem| tracing::warn!(identity, "bind cannot be read, left out: {problem}")).ok()
}

/// A `key=value` field of a line of `CLIENT LIST`.
pub(crate) fn client_field<'a>(line: &'a str, key: &str) -> &'a str {
    let mut fields = line.split(' ').filter_map(|field| field.split_once('='));
    fields.find(|(name, _)| *name == key).map_or("", |(_, value)| value)
}

/// A record as a task, or why it is none. The key it was read from decides about its uid: old records
/// may hold none, and what is done to a copy under another key must not befall the original.
pub(crate) fn read_task(uid: &str, record: &[u8]) -> Result<Task, String> {
    let text = std::str::from_utf8(record).map_err(|_| "record is not UTF-8 text".to_owned())?;
    Task::from_json(text).map(|task| task.with_uid(uid)).map_err(|error| error.to_string())
}
