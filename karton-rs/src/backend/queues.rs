//! Queues, counters and what the server tells of itself, for those who look on.

use std::collections::{BTreeMap, BTreeSet};

use super::{Backend, keys, keys::Metric};
use crate::{error::Error, task::TaskPriority};

/// Lengths of lists; what is no list, as a 2.x queue whose name is taken, counts as empty.
const LENGTHS: &str = r"
local lengths = {}
for i, key in ipairs(KEYS) do
    local length = redis.pcall('LLEN', key)
    lengths[i] = type(length) == 'number' and length or 0
end
return lengths
";
/// Lists that are measured by one script.
const AT_ONCE: usize = 1000;

/// How many tasks wait for one identity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    /// In the queue of Karton 2.x.
    pub(crate) old: u64,
    pub(crate) high: u64,
    pub(crate) normal: u64,
    pub(crate) low: u64,
}

impl Pending {
    pub(crate) fn total(self) -> u64 {
        self.old + self.high + self.normal + self.low
    }
}

impl Backend {
    pub(crate) async fn lengths(&self, lists: &[String]) -> Result<Vec<u64>, Error> {
        let mut lengths = Vec::with_capacity(lists.len());
        for chunk in lists.chunks(AT_ONCE) {
            let mut pipeline = redis::pipe();
            pipeline.cmd("EVAL").arg(LENGTHS).arg(chunk.len()).arg(chunk);
            let (found,): (Vec<u64>,) = self.redis().run(&pipeline).await?;
            lengths.extend(found);
        }
        Ok(lengths)
    }

    /// What waits for each of these identities.
    pub(crate) async fn pending(&self, identities: &BTreeSet<String>) -> Result<BTreeMap<String, Pending>, Error> {
        let lists: Vec<String> = identities.iter().flat_map(|identity| keys::queues(identity)).collect();
        let lengths = self.lengths(&lists).await?;
        let pending = |lengths: &[u64]| match lengths {
            [old, high, normal, low] => Pending { old: *old, high: *high, normal: *normal, low: *low },
            _ => Pending::default(),
        };
        Ok(identities.iter().cloned().zip(lengths.chunks(4).map(pending)).collect())
    }

    /// The identities that have a routed queue, whether or not they have a bind.
    pub(crate) async fn queue_owners(&self) -> Result<BTreeSet<String>, Error> {
        let owner =
            |key: &String| TaskPriority::ALL.iter().find_map(|priority| key.strip_prefix(&keys::queue(*priority, ""))).map(str::to_owned);
        Ok(self.queues().await?.iter().filter_map(owner).collect())
    }

    /// The names of all routed queues.
    pub(super) async fn queues(&self) -> Result<BTreeSet<String>, Error> {
        let mut queues = BTreeSet::new();
        let mut cursor = 0_u64;
        loop {
            let mut pipeline = redis::pipe();
            pipeline.cmd("SCAN").arg(cursor).arg("MATCH").arg(keys::EVERY_QUEUE).arg("COUNT").arg(1000).arg("TYPE").arg("list");
            let ((next, found),): ((u64, Vec<Vec<u8>>),) = self.redis().run(&pipeline).await?;
            queues.extend(found.into_iter().filter_map(|key| String::from_utf8(key).ok()));
            cursor = next;
            if cursor == 0 {
                return Ok(queues);
            }
        }
    }

    /// A counter of the reference, by identity.
    pub(crate) async fn metric(&self, metric: Metric) -> Result<BTreeMap<String, i64>, Error> {
        let (found,): (Vec<(Vec<u8>, Vec<u8>)>,) = self.redis().run(redis::pipe().hgetall(metric.key())).await?;
        let number = |text: Vec<u8>| std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(found.into_iter().map(|(identity, count)| (String::from_utf8_lossy(&identity).into_owned(), number(count))).collect())
    }

    /// A section of `INFO`, by field.
    pub(crate) async fn info(&self, section: &str) -> Result<BTreeMap<String, String>, Error> {
        let (text,): (String,) = self.redis().run(redis::pipe().cmd("INFO").arg(section)).await?;
        Ok(text.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A setting of the server; nothing when it is not told, as by hosted servers.
    pub(crate) async fn setting(&self, name: &str) -> Result<Option<String>, Error> {
        let reply: Result<(Vec<String>,), Error> = self.redis().run(redis::pipe().cmd("CONFIG").arg("GET").arg(name)).await;
        match reply {
            Ok((pair,)) => Ok(pair.into_iter().nth(1)),
            Err(error) if error.is_temporary() && !error.is_denied() => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Whether Redis says that it closes no connection for being idle.
    pub(crate) async fn idle_connections_stay(&self) -> Result<bool, Error> {
        Ok(self.setting("timeout").await?.as_deref() == Some("0"))
    }

    /// What each of these keys is, in the words of Redis; `none` when it is not there.
    pub(crate) async fn types(&self, keys: impl Iterator<Item = &str>) -> Result<Vec<String>, Error> {
        let mut pipeline = redis::pipe();
        keys.for_each(|key| {
            pipeline.cmd("TYPE").arg(key);
        });
        self.redis().run(&pipeline).await
    }

    /// When Redis was started, by its own clock; nothing when that clock has gone back behind the start since.
    pub(crate) async fn server_start(&self) -> Result<Option<f64>, Error> {
        let info = self.info("server").await?;
        let uptime = info.get("uptime_in_seconds").and_then(|seconds| seconds.trim().parse::<f64>().ok()).unwrap_or(0.0);
        let now = self.server_time().await?;
        Ok((uptime >= 0.0).then_some(now - uptime))
    }

    /// Ids of the routers of ours that may have taken something: whether each gives signs of life, and
    /// what it has in flight.
    pub(crate) async fn routers(&self) -> Result<Vec<(String, bool, u64)>, Error> {
        let (ids,): (Vec<String>,) = self.redis().run(redis::pipe().smembers(keys::ROUTERS)).await?;
        let mut routers = BTreeMap::new();
        for id in ids {
            let mut pipeline = redis::pipe();
            pipeline.exists(keys::router(&id)).llen(keys::in_flight(&id));
            let (alive, in_flight): (bool, u64) = self.redis().run(&pipeline).await?;
            let router: &mut (bool, u64) = routers.entry(keys::router_of(&id).to_owned()).or_default();
            *router = (router.0 || alive, router.1 + in_flight);
        }
        Ok(routers.into_iter().map(|(id, (alive, in_flight))| (id, alive, in_flight)).collect())
    }

    /// When the claim on a task lapses, by the clock of Redis, and how often it was handed out in vain.
    pub(crate) async fn claim(&self, uid: &str) -> Result<(Option<f64>, Option<u64>), Error> {
        let mut pipeline = redis::pipe();
        pipeline.zscore(keys::LEASES, uid).hget(keys::DELIVERIES, uid);
        self.redis().run(&pipeline).await
    }

    /// All claims: when each lapses, by the clock of Redis.
    pub(crate) async fn claims(&self) -> Result<BTreeMap<String, f64>, Error> {
        let (found,): (Vec<(Vec<u8>, f64)>,) = self.redis().run(redis::pipe().zrange_withscores(keys::LEASES, 0, -1)).await?;
        Ok(found.into_iter().map(|(uid, lapses)| (String::from_utf8_lossy(&uid).into_owned(), lapses)).collect())
    }

    /// When a task that waits to be tried again is queued, by the clock of Redis.
    pub(crate) async fn delayed_until(&self, uid: &str) -> Result<Option<f64>, Error> {
        let (until,): (Option<f64>,) = self.redis().run(redis::pipe().zscore(keys::DELAYED, uid)).await?;
        Ok(until)
    }

    /// Where in a list a uid stands, from 0.
    pub(crate) async fn position(&self, list: &str, uid: &str) -> Result<Option<u64>, Error> {
        let outcome: Result<(Option<u64>,), Error> = self.redis().run(redis::pipe().cmd("LPOS").arg(list).arg(uid)).await;
        match outcome {
            Ok((position,)) => Ok(position),
            Err(error) if error.is_temporary() => Err(error),
            // No list: the 2.x queue of an identity may be the name of something else.
            Err(_) => Ok(None),
        }
    }
}
