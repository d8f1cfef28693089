//! Which tasks are lost, as far as two looks and more can tell.
//!
//! The one rule: who may still be at work is not disturbed. A Declared or Spawned task is lost when two
//! looks in a row find it in no queue and unchanged. A Started one is lost when, of the connections under
//! its receiver's name that were there when it started, none is left or has not been seen waiting for a
//! task since. Where nobody was ever seen under that name, as when the consumer died before this broker
//! was there, it is lost when nobody appears for [`ABSENCES`] times `orphan_grace`, and no connection
//! without a name is as old as the task. That a connection is missing tells little when Redis closes idle
//! ones or was started after the task was: then a consumer that is at work says nothing until it needs
//! Redis again, over a new connection. Its task is lost when nobody who is not waiting for a task was
//! under its name for [`LONG_ABSENCES`] times `orphan_grace`.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, hash_map::RandomState};
use std::hash::BuildHasher;

use crate::{
    backend::{Bind, OpenConnection},
    task::{Task, TaskState},
};

/// Seconds by which the clocks of consumers and of Redis may differ without harm.
const CLOCK_SLACK: f64 = 1.0;
/// How many times `orphan_grace` nobody must be seen under a name that nobody ever had.
const ABSENCES: f64 = 5.0;
/// The same when a missing connection tells little.
const LONG_ABSENCES: f64 = 60.0;
/// How many tasks are remembered from look to look; those that have not changed for the longest time.
const MOST: usize = 5_000;

/// Under each identity its connections by id.
type Workers = HashMap<String, BTreeMap<u64, Worker>>;

/// A connection that may be that of a consumer at work.
pub(super) struct Worker {
    /// When it was opened at the earliest.
    since: f64,
    /// It waits for a task, so it has none.
    idle: bool,
}

/// An asynchronous consumer waits for the next task while it works, so its waiting says nothing.
pub(super) fn workers(connections: Vec<OpenConnection>, binds: &[Bind]) -> Workers {
    let connections = connections.into_iter().filter(|connection| !connection.listens);
    connections.fold(Workers::new(), |mut workers, OpenConnection { id, name, since, waits, .. }| {
        let identity = name.split('?').next().unwrap_or_default();
        let one_at_a_time = identity.is_empty() || binds.iter().any(|bind| bind.identity == identity && !bind.is_async);
        workers.entry(identity.to_owned()).or_default().insert(id, Worker { since, idle: waits && one_at_a_time });
        workers
    })
}

/// What a look goes by beside tasks and connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Witness {
    /// By the clock of Redis.
    pub(super) now: f64,
    /// Seconds of `orphan_grace`.
    pub(super) patience: f64,
    /// Redis closes no connection because it is idle, and says so.
    pub(super) tells: bool,
    /// When Redis was started.
    pub(super) started: f64,
}

/// A task that a broker or a consumer may have lost.
#[derive(Debug)]
pub(super) struct Sighting {
    uid: String,
    receiver: String,
    started: bool,
    last_update: f64,
}

impl Sighting {
    pub(super) fn of(task: &Task) -> Option<Self> {
        let receiver = if task.status() == TaskState::Declared { "" } else { task.header_str("receiver")? };
        let started = task.status() == TaskState::Started;
        Some(Self { uid: task.uid().to_owned(), receiver: receiver.to_owned(), started, last_update: task.last_update() })
    }
}

/// Those that have not changed for the longest time, which are the ones most likely lost.
#[derive(Default)]
pub(super) struct Oldest(BinaryHeap<Sighting>);

impl Oldest {
    pub(super) fn extend(&mut self, found: Option<Sighting>) {
        self.0.extend(found);
        if self.0.len() > MOST {
            self.0.pop();
        }
    }

    pub(super) fn into_vec(self) -> Vec<Sighting> {
        self.0.into_vec()
    }
}

impl Ord for Sighting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.last_update.total_cmp(&other.last_update).then_with(|| self.uid.cmp(&other.uid))
    }
}

impl PartialOrd for Sighting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Sighting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Sighting {}

/// What earlier looks have seen.
#[derive(Default)]
pub(super) struct Suspects {
    /// By a hash of the uid.
    tasks: HashMap<u64, Suspect>,
    hasher: RandomState,
    /// Identities under whose name there ever was a connection.
    named: HashSet<String>,
    /// When the last look was, by the clock of Redis.
    looked: Option<f64>,
}

struct Suspect {
    last_update: f64,
    /// Since when nobody was seen who could be working on it.
    alone: f64,
    /// Who could be working on it when it was first seen; empty for a task in no queue.
    workers: Vec<u64>,
    /// There was somebody then, whose connection is older than the task: Redis was not started in between.
    met: bool,
    /// The last look has found it lost.
    lost: bool,
}

impl Suspects {
    /// Of tasks that are in no place, the uids that two looks in a row have found lost.
    pub(super) fn judge(&mut self, found: Vec<Sighting>, workers: &Workers, witness: &Witness) -> Vec<String> {
        self.named.extend(workers.keys().cloned());
        let now = witness.now;
        let mut before = std::mem::take(&mut self.tasks);
        let nobody = BTreeMap::new();
        let nameless = workers.get("").unwrap_or(&nobody);
        let mut lost = Vec::new();
        for Sighting { uid, receiver, started, last_update } in found {
            let online = workers.get(&receiver).unwrap_or(&nobody);
            // It started after the last look, whatever the clock of its consumer says; who came later cannot have it.
            let started_before = self.looked.map_or(f64::INFINITY, |looked| looked.max(last_update) + CLOCK_SLACK);
            let possible = || online.iter().filter(|(_, worker)| worker.since <= started_before).map(|(id, _)| *id).collect();
            let hash = self.hasher.hash_one(&uid);
            let earlier = before.remove(&hash).filter(|earlier| earlier.last_update.to_bits() == last_update.to_bits());
            let mut suspect = earlier.unwrap_or_else(|| {
                let workers = if started { possible() } else { Vec::new() };
                let met = workers.iter().any(|id| online.get(id).is_some_and(|worker| worker.since <= last_update + CLOCK_SLACK));
                Suspect { last_update, alone: now, met, workers, lost: false }
            });
            // Redis tells since when it runs in whole seconds, and the clock of the task is another one.
            let restarted = witness.started > last_update + if suspect.met { CLOCK_SLACK } else { -CLOCK_SLACK };
            if started && (restarted || !witness.tells) {
                // Whoever it is may have come back since.
                suspect.workers = online.keys().copied().collect();
            }
            suspect.workers.retain(|id| online.get(id).is_some_and(|worker| !worker.idle));
            if !suspect.workers.is_empty() {
                suspect.alone = now;
            }
            let named = self.named.contains(&receiver);
            let patience = match (named, restarted || !witness.tells) {
                (true, false) => 0.0,
                (false, false) => ABSENCES,
                (_, true) => LONG_ABSENCES,
            };
            let stranger = || nameless.values().any(|worker| !worker.idle && worker.since <= last_update + CLOCK_SLACK);
            let gone = suspect.workers.is_empty()
                && now - suspect.alone >= patience * witness.patience
                && (named || (witness.tells && !stranger()));
            let is_lost = !started || gone;
            if is_lost && suspect.lost {
                lost.push(uid);
                continue;
            }
            suspect.lost = is_lost;
            self.tasks.insert(hash, suspect);
        }
        self.looked = Some(now);
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(uid: &str, started: bool, last_update: f64) -> Sighting {
        Sighting { uid: uid.to_owned(), receiver: "karton.x".to_owned(), started, last_update }
    }

    const WAITS: u64 = 1 << 32;

    fn witness(now: f64) -> Witness {
        Witness { now, patience: 60.0, tells: true, started: 0.0 }
    }

    /// Connections that are open since the times given; those whose id is at least [`WAITS`] wait for a task.
    fn online(connections: &[(u64, f64)]) -> Workers {
        online_as(connections, false)
    }

    fn online_as(connections: &[(u64, f64)], is_async: bool) -> Workers {
        let connection = |(id, since): &(u64, f64)| named("karton.x", *id, *since);
        let mut bind = Bind::new("karton.x", crate::json::Value::Array(Vec::new()));
        bind.is_async = is_async;
        workers(connections.iter().map(connection).collect(), &[bind])
    }

    fn named(name: &str, id: u64, since: f64) -> OpenConnection {
        OpenConnection { id, name: name.to_owned(), since, waits: id >= WAITS, listens: false }
    }

    #[test]
    fn a_task_in_no_queue_is_lost_when_two_looks_find_it_so() {
        let mut suspects = Suspects::default();
        assert!(
            suspects
                .judge(vec![sighting("lost", false, 1.0), sighting("queued later", false, 1.0)], &online(&[]), &witness(1.0))
                .is_empty()
        );
        assert_eq!(suspects.judge(vec![sighting("lost", false, 1.0)], &online(&[]), &witness(2.0)), ["lost"]);
        assert!(suspects.judge(vec![sighting("queued later", false, 1.0)], &online(&[]), &witness(3.0)).is_empty());
    }

    #[test]
    fn a_task_that_changed_between_two_looks_is_a_new_suspect() {
        let mut suspects = Suspects::default();
        for time in [1.0, 2.0, 3.0] {
            assert!(suspects.judge(vec![sighting("busy", false, time)], &online(&[]), &witness(time)).is_empty());
        }
    }

    #[test]
    fn a_started_task_is_lost_when_all_its_possible_workers_are_gone() {
        let mut suspects = Suspects::default();
        let mut look =
            |connections: &[(u64, f64)]| suspects.judge(vec![sighting("t", true, 1.0)], &online(connections), &witness(1.0)).len();
        assert_eq!(look(&[(1, 0.0), (2, 0.0)]), 0);
        // One of them may still be at it; a new one cannot.
        assert_eq!(look(&[(2, 0.0), (3, 5.0)]), 0);
        assert_eq!(look(&[(3, 5.0)]), 0);
        assert_eq!(look(&[(3, 5.0)]), 1);
    }

    #[test]
    fn who_came_after_a_task_had_started_does_not_have_it() {
        let mut suspects = Suspects::default();
        let mut look = |found: &[f64], connections: &[(u64, f64)], now: f64| {
            let found = found.iter().map(|last_update| sighting("t", true, *last_update)).collect();
            suspects.judge(found, &online(connections), &witness(now)).len()
        };
        assert_eq!(look(&[], &[(1, 0.0)], 100.0), 0);
        // Its consumer died and was replaced before it was ever seen at work.
        assert_eq!(look(&[130.0], &[(2, 150.0)], 160.0), 0);
        assert_eq!(look(&[130.0], &[(2, 150.0)], 220.0), 1);
        // A consumer whose clock is an hour behind is still at work.
        for now in [280.0, 340.0, 400.0] {
            assert_eq!(look(&[-3400.0], &[(2, 150.0)], now), 0);
        }
    }

    #[test]
    fn who_waits_for_a_task_has_none_unless_it_works_on_several_at_once() {
        for (is_async, lost) in [(false, 1), (true, 0)] {
            let mut suspects = Suspects::default();
            let mut look = |connections: &[(u64, f64)]| {
                suspects.judge(vec![sighting("t", true, 1.0)], &online_as(connections, is_async), &witness(1.0)).len()
            };
            // It may have come to its work between the two looks at records and connections.
            assert_eq!(look(&[(WAITS, 0.0)]), 0);
            assert_eq!(look(&[(WAITS, 0.0)]), lost);
        }
    }

    #[test]
    fn of_a_name_that_nobody_ever_had_the_task_is_lost_after_a_while() {
        let minutes = |suspects: &mut Suspects, witness: Witness, connections: &[(u64, f64)]| {
            let look = |minute: &u32| {
                let witness = Witness { now: 1000.0 + 60.0 * f64::from(*minute), ..witness };
                !suspects.judge(vec![sighting("t", true, 900.0)], &online(connections), &witness).is_empty()
            };
            (0..100).find(look)
        };
        assert_eq!(minutes(&mut Suspects::default(), witness(0.0), &[]), Some(6));
        // Who was at work when Redis was started has no need to come back soon.
        let restarted = Witness { started: 950.0, ..witness(0.0) };
        assert_eq!(minutes(&mut Suspects::default(), restarted, &[]), Some(61));
        // Redis may have closed the connection of one who is at work.
        assert_eq!(minutes(&mut Suspects::default(), Witness { tells: false, ..witness(0.0) }, &[]), None);
        assert_eq!(minutes(&mut Suspects::default(), witness(0.0), &[(1, 0.0)]), None);
    }

    #[test]
    fn whose_connection_may_have_been_closed_at_work_is_gone_only_after_a_long_while() {
        let minutes = |witness: Witness, back: fn(u32) -> Vec<(u64, f64)>| {
            let mut suspects = Suspects::default();
            let mut look = |minute: u32, connections: &[(u64, f64)]| {
                let witness = Witness { now: 1000.0 + 60.0 * f64::from(minute), ..witness };
                !suspects.judge(vec![sighting("t", true, 900.0)], &online(connections), &witness).is_empty()
            };
            assert!(!look(0, &[(1, 0.0)]));
            (1..200).find(|minute| look(*minute, &back(*minute)))
        };
        // Nothing but the death of its consumer closes a connection.
        assert_eq!(minutes(witness(0.0), |_| Vec::new()), Some(2));
        let (restarted, closing) = (Witness { started: 950.0, ..witness(0.0) }, Witness { tells: false, ..witness(0.0) });
        for witness in [restarted, closing] {
            assert_eq!(minutes(witness, |_| Vec::new()), Some(61));
            // It has come back, and then it has gone.
            assert_eq!(minutes(witness, |minute| if minute < 30 { vec![(2, 1100.0)] } else { Vec::new() }), Some(90));
            assert_eq!(minutes(witness, |_| vec![(2, 1100.0)]), None);
            // That one waits for a task.
            assert_eq!(minutes(witness, |_| vec![(WAITS, 1100.0)]), Some(61));
        }
    }

    #[test]
    fn a_connection_without_a_name_may_be_the_one_at_work() {
        for (since, waits, lost) in [(10.0, 0, false), (2000.0, 0, true), (10.0, WAITS, true)] {
            let mut suspects = Suspects::default();
            let mut look = |minute: u32| {
                let now = Witness { now: 1000.0 + 60.0 * f64::from(minute), ..witness(0.0) };
                !suspects.judge(vec![sighting("t", true, 900.0)], &workers(vec![named("", waits, since)], &[]), &now).is_empty()
            };
            assert_eq!((0..10).any(&mut look), lost);
        }
    }

    #[test]
    fn of_very_many_those_are_looked_at_that_have_not_changed_for_the_longest_time() {
        let mut oldest = Oldest::default();
        for number in 0..u32::try_from(MOST).unwrap_or(u32::MAX) + 10 {
            oldest.extend(Some(sighting(&number.to_string(), true, -f64::from(number))));
        }
        let kept = oldest.into_vec();
        assert_eq!(kept.len(), MOST);
        assert!(kept.iter().all(|sighting| sighting.last_update <= -10.0));
    }
}
