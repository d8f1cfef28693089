//! Every name in Redis. The one rule: no other file spells a key.
//!
//! Names without `karton.rs.` are the reference's (Karton protocol §2); those with it are ours and
//! invisible to Python services (§16).

use crate::task::TaskPriority;

/// uids of unrouted tasks.
pub(crate) const TASKS: &str = "karton.tasks";
/// Status changes by consumers older than 4.4.
pub(crate) const OPERATIONS: &str = "karton.operations";
/// Identity → bind.
pub(crate) const BINDS: &str = "karton.binds";
/// Prefix of all task records.
pub(crate) const TASK_PREFIX: &str = "karton.task:";
/// Records, binds and entries that could not be read: field → JSON with reason and time.
pub(crate) const QUARANTINE: &str = "karton.rs.quarantine";
/// Ids of all routers that may have taken something.
pub(crate) const ROUTERS: &str = "karton.rs.routers";
/// Sign of life of a router, with a time to live.
pub(crate) const ROUTER_PREFIX: &str = "karton.rs.router:";
/// uids that a router has taken and not finished, one list for each router.
pub(crate) const IN_FLIGHT_PREFIX: &str = "karton.rs.inflight:";
/// Name of the connections by which a broker looks at all tasks: that of no identity.
pub(crate) const HOUSEKEEPING: &str = "karton.rs.housekeeping";
/// Held by the one collector that runs.
pub(crate) const COLLECTOR_LOCK: &str = "karton.rs.collector";

/// Tasks in the hands of our consumers: uid → Unix time when the claim lapses unless it is renewed.
pub(crate) const LEASES: &str = "karton.rs.leases";
/// How often a task was handed out in vain: to a consumer that was gone before it was done.
pub(crate) const DELIVERIES: &str = "karton.rs.deliveries";

/// Records without a time: uid → Unix time when the collector saw them first.
pub(crate) const FIRST_SEEN: &str = "karton.rs.first-seen";

/// Tasks that wait to be tried again: uid → Unix time when they are queued.
pub(crate) const DELAYED: &str = "karton.rs.delayed";
/// How often each of those was tried again.
pub(crate) const ATTEMPTS: &str = "karton.rs.attempts";

/// Prefix of what is known of an analysis, also when its records are gone.
pub(crate) const ANALYSIS_PREFIX: &str = "karton.rs.analysis:";
/// Root uids of all of those: with the time when their first task was routed.
pub(crate) const ANALYSES: &str = "karton.rs.analyses";
/// Root uids of those that had not ended when last looked at: with the time of the next look.
pub(crate) const OPEN_ANALYSES: &str = "karton.rs.analyses.open";
/// Channel that tells of each analysis that has ended.
pub(crate) const ANALYSIS_CHANNEL: &str = "karton.rs.analysis";
/// Exists while tasks may have been routed that [`ANALYSIS_PREFIX`] does not know of.
pub(crate) const UNINDEXED: &str = "karton.rs.unindexed";

/// Matches the records of all tasks.
pub(crate) const EVERY_TASK: &str = "karton.task:*";
/// Matches the routed queues of all identities.
pub(crate) const EVERY_QUEUE: &str = "karton.queue.*";

/// Record of a task.
pub(crate) fn task(uid: &str) -> String {
    format!("{TASK_PREFIX}{uid}")
}

/// Appends the key of the record of a task.
pub(crate) fn write_task(out: &mut String, uid: &str) {
    out.push_str(TASK_PREFIX);
    out.push_str(uid);
}

/// The root uid that a uid begins with; an unrouted task may be of another analysis than that.
pub(crate) fn root_in(uid: &str) -> Option<&str> {
    uid.strip_prefix('{')?.split_once("}:").map(|(root, _)| root)
}

/// Matches the records that stand under a root uid.
pub(crate) fn tasks_of(root_uid: &str) -> String {
    format!("{TASK_PREFIX}{{{}}}:*", escape_glob(root_uid))
}

/// Whether the uid may be that of an unrouted task: it names no analysis, or one that began with this very task, which
/// may have become part of another one when it was sent.
pub(crate) fn may_be_unrouted(uid: &str) -> bool {
    uid.strip_prefix('{').and_then(|rest| rest.split_once("}:")).is_none_or(|(root, task)| root == task)
}

/// Routed queue of an identity.
pub(crate) fn queue(priority: TaskPriority, identity: &str) -> String {
    format!("karton.queue.{priority}:{identity}")
}

/// The queues of an identity in the order in which they are served; the first is that of Karton 2.x.
pub(crate) fn queues(identity: &str) -> [String; 4] {
    [identity.to_owned(), queue(TaskPriority::High, identity), queue(TaskPriority::Normal, identity), queue(TaskPriority::Low, identity)]
}

/// Counters of the reference.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Metric {
    Produced,
    Assigned,
    Consumed,
    Crashed,
    GarbageCollected,
}

impl Metric {
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Produced => "karton.metrics.produced",
            Self::Assigned => "karton.metrics.assigned",
            Self::Consumed => "karton.metrics.consumed",
            Self::Crashed => "karton.metrics.crashed",
            Self::GarbageCollected => "karton.metrics.garbage-collected",
        }
    }
}

/// Header sets seen from an origin.
pub(crate) fn outputs(origin: &str) -> String {
    format!("karton.outputs:{origin}")
}

/// Channel of log records.
pub(crate) fn log_channel(level: &str, logger: &str) -> String {
    format!("karton.log.{}.{logger}", level.to_lowercase())
}

/// Sign of life of a router.
pub(crate) fn router(id: &str) -> String {
    format!("{ROUTER_PREFIX}{id}")
}

const SECOND_LOOP: &str = "+";

/// A router is two loops, which hold what they have taken under ids of their own.
pub(crate) fn second_loop(id: &str) -> String {
    format!("{id}{SECOND_LOOP}")
}

/// The router that a loop belongs to.
pub(crate) fn router_of(id: &str) -> &str {
    id.strip_suffix(SECOND_LOOP).unwrap_or(id)
}

/// What a router has taken.
pub(crate) fn in_flight(id: &str) -> String {
    format!("{IN_FLIGHT_PREFIX}{id}")
}

/// Tokens that tell waiting consumers of an identity to look into their queues.
pub(crate) fn wake(identity: &str) -> String {
    format!("karton.rs.wake:{identity}")
}

/// What is known of an analysis.
pub(crate) fn analysis(root_uid: &str) -> String {
    format!("{ANALYSIS_PREFIX}{root_uid}")
}

/// Appends the key of what is known of an analysis.
pub(crate) fn write_analysis(out: &mut String, root_uid: &str) {
    out.push_str(ANALYSIS_PREFIX);
    out.push_str(root_uid);
}

/// Text for a glob of Redis, so that it means itself.
pub(crate) fn escape_glob(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, character| {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^') {
            out.push('\\');
        }
        out.push(character);
        out
    })
}
