//! What is known of each analysis: an index of its tasks, and their history when the records are gone.
//!
//! A hash for each root uid. The router adds each task when it routes it (`<uid>`: who, from whom, when, and the
//! copies it was routed as); consumers of this library add when they start (`<uid>:s`), and whoever sees the end of
//! a task adds that (`<uid>:f`). The one rule: the hash says what has happened, the record says what is; who wants
//! to know whether something is still to happen looks at the records of all tasks without an end.

mod entry;
mod event;
mod index;
mod outline;

use entry::names;
pub(crate) use entry::{Routed, end, ended, found_entry};
pub use event::AnalysisEnded;
pub(crate) use index::Index;
pub use index::TaskHistory;
pub(crate) use outline::Outline;

use super::{Backend, is_outage, keys};
use crate::error::Error;

/// The score of an analysis of which a task has ended is this much less than the time of that: such are looked at first.
pub(crate) const URGENT: f64 = 1e10;

/// Field that says that tasks were left out because there are too many.
pub(crate) const FULL: &str = "full";

/// Adds what became of tasks that leave no record behind, where nobody has told.
const ENDS: &str = r"
redis.call('PERSIST', KEYS[1])
local known = redis.call('EXISTS', unpack(KEYS))
if known == 0 then return end
for i, key in ipairs(KEYS) do
    if known == #KEYS or redis.call('EXISTS', key) == 1 then redis.pcall('HSETNX', key, ARGV[2 * i - 1], ARGV[2 * i]) end
end
";
/// Adds tasks that somebody else has routed.
const FOUND: &str = r"
local added = redis.pcall('HSETNX', KEYS[1], ARGV[1], ARGV[2])
if added == 1 then
    redis.call('EXPIRE', KEYS[1], ARGV[3])
    redis.call('ZADD', KEYS[2], ARGV[4], ARGV[5])
    redis.call('ZADD', KEYS[3], ARGV[4], ARGV[5])
end
";

/// Removes a doubt, if it is still the same.
const END_DOUBT: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end";

/// Adds a doubt about the index; each is another one.
pub(crate) fn add_doubt(pipeline: &mut redis::Pipeline) {
    pipeline.set(keys::UNINDEXED, crate::task::new_uid()).ignore();
}

/// A hash as Redis gives it.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Analyses of which the index is read at once.
const INDEXES: usize = 32;

/// A routed task that is pending, which the index may know or not.
pub(crate) struct Found<'a> {
    pub(crate) uid: &'a str,
    pub(crate) root_uid: String,
    pub(crate) orig_uid: Option<String>,
    pub(crate) record: &'a [u8],
}

/// Whether a task has a field of its own, or is named in that of the task it was made from.
fn is_among(fields: redis::Value, uid: &str) -> bool {
    let (own, orig): (Option<Vec<u8>>, Option<Vec<u8>>) = redis::from_redis_value(fields).unwrap_or_default();
    own.is_some() || orig.is_some_and(|orig| names(&orig, uid))
}

impl Backend {
    /// What is known of analyses, in their order; empty when nothing is.
    pub(crate) async fn analysis_indexes(&self, root_uids: &[String]) -> Result<Vec<Index>, Error> {
        let text = |(field, value)| Some((String::from_utf8(field).ok()?, value));
        let mut indexes = Vec::with_capacity(root_uids.len());
        for root_uids in root_uids.chunks(INDEXES) {
            let hashes = self.analysis_hashes(root_uids).await?;
            indexes.extend(hashes.into_iter().map(|fields| Index::read(fields.into_iter().filter_map(text).collect())));
        }
        Ok(indexes)
    }

    /// Which of these analyses a broker of this library takes for open, whatever the index still holds of them.
    pub(crate) async fn are_open(&self, root_uids: &[String]) -> Result<Vec<bool>, Error> {
        if root_uids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for root_uid in root_uids {
            pipeline.cmd("ZSCORE").arg(keys::OPEN_ANALYSES).arg(root_uid);
        }
        let scores: Vec<Option<f64>> = self.redis.run(&pipeline).await?;
        Ok(scores.iter().map(Option::is_some).collect())
    }

    /// How far several analyses have come, in their order.
    pub(crate) async fn analysis_outlines(&self, root_uids: &[String]) -> Result<Vec<Outline>, Error> {
        let hashes = self.analysis_hashes(root_uids).await?;
        Ok(hashes.iter().map(|fields| Outline::read(fields)).collect())
    }

    /// What stands in the index of each; nothing where somebody else's key is.
    async fn analysis_hashes(&self, root_uids: &[String]) -> Result<Vec<Fields>, Error> {
        let mut pipeline = redis::pipe();
        for root_uid in root_uids {
            pipeline.hgetall(keys::analysis(root_uid));
        }
        let hashes: Vec<redis::RedisResult<Fields>> = self.redis.run(pipeline.ignore_errors()).await?;
        let known = |fields: redis::RedisResult<Fields>| match fields {
            Err(source) if is_outage(&source) => Err(self.redis.error(source)),
            fields => Ok(fields.unwrap_or_default()),
        };
        hashes.into_iter().map(known).collect()
    }

    /// Whether every task that was routed is in the index: only our brokers were at work.
    pub(crate) async fn index_is_complete(&self) -> Result<bool, Error> {
        Ok(!self.index_may_be_partial().await? && self.brokers_are_ours().await?)
    }

    /// Whether tasks may have been routed that the index does not know of.
    pub(crate) async fn index_may_be_partial(&self) -> Result<bool, Error> {
        let (unindexed,): (bool,) = self.redis.run(redis::pipe().cmd("EXISTS").arg(keys::UNINDEXED)).await?;
        Ok(unindexed)
    }

    /// Whether all brokers that are online are of this library, and there is one.
    pub(crate) async fn brokers_are_ours(&self) -> Result<bool, Error> {
        let mut pipeline = redis::pipe();
        pipeline.smembers(keys::ROUTERS).cmd("CLIENT").arg("LIST");
        let (mut routers, clients): (Vec<String>, String) = self.redis.run(&pipeline).await?;
        routers.retain(|id| keys::router_of(id) == id);
        if routers.is_empty() {
            return Ok(false);
        }
        let named = clients.lines().map(|line| super::client_field(line, "name"));
        let brokers = named.filter(|name| name.split('?').next() == Some(crate::system::IDENTITY)).count();
        let signs: Vec<String> = routers.iter().map(|id| keys::router(id)).collect();
        let (ours,): (usize,) = self.redis.run(redis::pipe().cmd("EXISTS").arg(signs)).await?;
        Ok(ours > 0 && brokers <= ours)
    }

    /// From now on tasks may be routed, or were, that the index does not know of.
    pub(crate) async fn index_may_lack_tasks(&self) -> Result<(), Error> {
        let mut pipeline = redis::pipe();
        add_doubt(&mut pipeline);
        self.redis.run(&pipeline).await
    }

    /// The doubt about the index that stands now.
    pub(crate) async fn doubt(&self) -> Result<Option<Vec<u8>>, Error> {
        let (doubt,): (Option<Vec<u8>>,) = self.redis.run(redis::pipe().get(keys::UNINDEXED)).await?;
        Ok(doubt)
    }

    /// Before all tasks are looked at: whether the index will lack none afterwards.
    pub(crate) async fn can_complete_index(&self) -> Result<bool, Error> {
        let ours = self.brokers_are_ours().await?;
        if !ours {
            self.index_may_lack_tasks().await?;
        }
        Ok(ours)
    }

    /// After all tasks were looked at: ends the doubt that stood before, and none that has come since.
    pub(crate) async fn index_is_completed(&self, doubt: Option<&[u8]>) -> Result<(), Error> {
        let Some(doubt) = doubt else { return Ok(()) };
        let mut pipeline = redis::pipe();
        pipeline.cmd("EVAL").arg(END_DOUBT).arg(1).arg(keys::UNINDEXED).arg(doubt).ignore();
        self.redis.run(&pipeline).await
    }

    /// Puts the ends of tasks that are collected into the index: of each the root uid, the uid, and how it [ended].
    pub(crate) async fn index_ends(&self, ends: &[(&str, &str, &str)]) -> Result<(), Error> {
        if ends.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        pipeline.cmd("EVAL").arg(ENDS).arg(ends.len());
        pipeline.arg(ends.iter().map(|(root_uid, _, _)| keys::analysis(root_uid)).collect::<Vec<_>>());
        for (_, uid, end) in ends {
            pipeline.arg(format!("{uid}:f")).arg(end);
        }
        self.redis.run(pipeline.ignore()).await
    }

    /// How many analyses the index may take up beside those that it knows.
    pub(crate) async fn room_for_analyses(&self, limit: u64) -> Result<u64, Error> {
        let (count,): (u64,) = self.redis.run(redis::pipe().zcard(keys::ANALYSES)).await?;
        Ok(limit.saturating_sub(count))
    }

    /// Puts pending tasks into the index that others have routed, while there is room for their
    /// analyses; false when there was none for some.
    pub(crate) async fn index_found(&self, found: &[Found<'_>], ttl: std::time::Duration, room: &mut u64) -> Result<bool, Error> {
        if found.is_empty() {
            return Ok(true);
        }
        let now = self.server_time().await?;
        let mut all = true;
        for found in found.chunks(1000) {
            let mut pipeline = redis::pipe();
            for Found { uid, root_uid, orig_uid, .. } in found {
                let key = keys::analysis(root_uid);
                // A copy is named in the field of the task it was made from.
                pipeline.exists(&key).cmd("HMGET").arg(&key).arg(uid).arg(orig_uid.as_deref().unwrap_or(uid));
            }
            let known: Result<Vec<redis::Value>, _> = self.redis.run(&pipeline).await;
            // Something else may stand there: the script leaves it alone.
            let mut known = known.unwrap_or_default().into_iter();
            let mut pipeline = redis::pipe();
            pipeline.cmd("PING").ignore();
            for Found { uid, root_uid, record, .. } in found {
                let (analysis, fields) = (known.next().is_some_and(|count| count == redis::Value::Int(1)), known.next());
                if fields.is_some_and(|fields| is_among(fields, uid)) {
                    continue;
                }
                if !analysis && *room == 0 {
                    all = false;
                    continue;
                }
                let Ok(task) = super::read_task(uid, record) else { continue };
                *room -= u64::from(!analysis);
                pipeline.cmd("EVAL").arg(FOUND).arg(3).arg(keys::analysis(root_uid)).arg(keys::ANALYSES).arg(keys::OPEN_ANALYSES);
                pipeline.arg(uid).arg(found_entry(&task)).arg(ttl.as_secs()).arg(now).arg(root_uid).ignore();
            }
            self.redis.run::<()>(&pipeline).await?;
        }
        Ok(all)
    }

    /// Forgets analyses beyond `limit`, the oldest first, and those whose time is over.
    pub(crate) async fn trim_analyses(&self, ttl: std::time::Duration, limit: u64) -> Result<(), Error> {
        let over = self.server_time().await? - ttl.as_secs_f64();
        let mut pipeline = redis::pipe();
        pipeline.cmd("ZCOUNT").arg(keys::ANALYSES).arg("-inf").arg(over).zcard(keys::ANALYSES);
        let (expired, count): (u64, u64) = self.redis.run(&pipeline).await?;
        let mut surplus = count.saturating_sub(limit).max(expired);
        while surplus > 0 {
            let mut pipeline = redis::pipe();
            pipeline.cmd("ZPOPMIN").arg(keys::ANALYSES).arg(surplus.min(1000));
            let (oldest,): (Vec<(Vec<u8>, f64)>,) = self.redis.run(&pipeline).await?;
            if oldest.is_empty() {
                break;
            }
            let roots: Vec<String> = oldest.iter().map(|(root, _)| String::from_utf8_lossy(root).into_owned()).collect();
            if self.are_open(&roots).await?.contains(&true) {
                // Until all tasks were looked at again nobody may take an empty index for the end of an analysis.
                self.index_may_lack_tasks().await?;
            }
            let mut pipeline = redis::pipe();
            for (root_uid, (raw, _)) in roots.iter().zip(&oldest) {
                pipeline.unlink(keys::analysis(root_uid)).ignore();
                pipeline.cmd("ZREM").arg(keys::OPEN_ANALYSES).arg(raw).ignore();
            }
            self.redis.run::<()>(&pipeline).await?;
            surplus -= oldest.len() as u64;
        }
        Ok(())
    }
}
