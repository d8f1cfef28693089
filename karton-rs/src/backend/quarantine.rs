//! What could not be read, for those who decide about it.

use super::{Backend, keys};
use crate::{
    error::Error,
    json::Value,
    task::{Task, TaskState},
};

/// Ends an entry, and with it the record or bind that is still the one that was looked at.
const DROP: &str = r"
if ARGV[2] ~= '' then
    if ARGV[3] == 'bind' then
        if redis.call('HGET', KEYS[2], ARGV[4]) == ARGV[2] then redis.call('HDEL', KEYS[2], ARGV[4]) end
    elseif redis.call('GET', KEYS[2]) == ARGV[2] then
        redis.call('DEL', KEYS[2])
    end
end
return redis.call('HDEL', KEYS[1], ARGV[1])
";

/// Something that was put aside.
#[derive(Debug, Clone)]
pub(crate) struct Quarantined {
    /// The name as it stands in Redis; need not be text.
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) reason: String,
    /// Unix time.
    pub(crate) time: Option<f64>,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A task, by uid.
    Task(String),
    /// A bind, by identity.
    Bind(String),
    /// An entry of `karton.operations`.
    Operation(String),
    /// Something in a queue that is no uid.
    Garbage,
}

impl Kind {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Task(_) => "task",
            Self::Bind(_) => "bind",
            Self::Operation(_) => "operation",
            Self::Garbage => "garbage",
        }
    }
}

impl Quarantined {
    fn read(name: Vec<u8>, entry: &[u8]) -> Self {
        let kind = match std::str::from_utf8(&name) {
            Err(_) => Kind::Garbage,
            Ok(text) => match (text.strip_prefix("bind:"), text.strip_prefix("operation:")) {
                (Some(identity), _) => Kind::Bind(identity.to_owned()),
                (_, Some(entry)) => Kind::Operation(entry.to_owned()),
                _ => Kind::Task(text.to_owned()),
            },
        };
        let text = String::from_utf8_lossy(entry);
        let parsed = Value::parse(&text).unwrap_or_default();
        let reason = parsed.get("reason").and_then(Value::as_str).map_or_else(|| text.clone().into_owned(), str::to_owned);
        let time = parsed.get("time").and_then(Value::as_number).map(crate::json::Number::as_f64);
        Self { name, kind, reason, time }
    }
}

impl Backend {
    /// Everything in quarantine, the newest last.
    pub(crate) async fn quarantined(&self) -> Result<Vec<Quarantined>, Error> {
        let (found,): (Vec<(Vec<u8>, Vec<u8>)>,) = self.redis().run(redis::pipe().hgetall(keys::QUARANTINE)).await?;
        let mut entries: Vec<_> = found.into_iter().map(|(name, entry)| Quarantined::read(name, &entry)).collect();
        entries.sort_by(|a, b| a.time.unwrap_or(0.0).total_cmp(&b.time.unwrap_or(0.0)));
        Ok(entries)
    }

    pub(crate) async fn quarantine_size(&self) -> Result<u64, Error> {
        let (size,): (u64,) = self.redis().run(redis::pipe().hlen(keys::QUARANTINE)).await?;
        Ok(size)
    }

    /// What an entry is about, as it stands now; nothing when it is gone.
    pub(crate) async fn quarantined_content(&self, entry: &Quarantined) -> Result<Option<Vec<u8>>, Error> {
        let mut pipeline = redis::pipe();
        match &entry.kind {
            Kind::Task(uid) => pipeline.get(keys::task(uid)),
            Kind::Bind(identity) => pipeline.hget(keys::BINDS, identity),
            Kind::Operation(entry) => return Ok(Some(entry.clone().into_bytes())),
            Kind::Garbage => return Ok(None),
        };
        let (content,): (Option<Vec<u8>>,) = self.redis().run(&pipeline).await?;
        Ok(content)
    }

    /// Forgets an entry. With `content` also what it is about, unless that has changed.
    pub(crate) async fn drop_quarantined(&self, entry: &Quarantined, content: Option<&[u8]>) -> Result<bool, Error> {
        let (key, kind, identity) = match &entry.kind {
            Kind::Task(uid) => (keys::task(uid), "task", ""),
            Kind::Bind(identity) => (keys::BINDS.to_owned(), "bind", identity.as_str()),
            Kind::Operation(_) | Kind::Garbage => (keys::BINDS.to_owned(), "", ""),
        };
        let content = if kind.is_empty() { None } else { content };
        let mut pipeline = redis::pipe();
        pipeline.cmd("EVAL").arg(DROP).arg(2).arg(keys::QUARANTINE).arg(key);
        pipeline.arg(&entry.name).arg(content.unwrap_or_default()).arg(kind).arg(identity);
        let (dropped,): (bool,) = self.redis().run(&pipeline).await?;
        Ok(dropped)
    }

    /// Gives a task that can be read again back to where its status says it belongs, and forgets the entry.
    pub(crate) async fn readmit(&self, entry: &Quarantined, task: &Task) -> Result<&'static str, Error> {
        let mut pipeline = redis::pipe();
        pipeline.atomic().hdel(keys::QUARANTINE, &entry.name).ignore();
        let (list, place) = match (task.status(), task.header_str("receiver")) {
            (TaskState::Declared, _) => (keys::TASKS.to_owned(), "handed to the broker"),
            (TaskState::Spawned, Some(receiver)) => (keys::queue(task.priority(), receiver), "queued"),
            _ => {
                self.redis().run::<()>(&pipeline).await?;
                return Ok("left as it is");
            }
        };
        // It may stand there already.
        pipeline.lrem(&list, 0, task.uid()).ignore().rpush(&list, task.uid()).ignore();
        self.redis().run::<()>(&pipeline).await?;
        Ok(place)
    }

    /// Puts an entry of `karton.operations` back.
    pub(crate) async fn readmit_operation(&self, entry: &Quarantined, operation: &str) -> Result<(), Error> {
        let mut pipeline = redis::pipe();
        pipeline.atomic().hdel(keys::QUARANTINE, &entry.name).ignore().rpush(keys::OPERATIONS, operation).ignore();
        self.redis().run(&pipeline).await
    }
}
