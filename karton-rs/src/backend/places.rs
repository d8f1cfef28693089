//! Which tasks are somewhere: in a queue, in the hands of a router or a consumer, or waiting.
//!
//! The one rule: an answer takes the same memory for any number of tasks, and what is pushed while a
//! list is read is not missed: lists are read from their end.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use super::{Backend, keys};
use crate::error::Error;

/// Entries of a list that are read at once.
const ENTRIES: isize = 2_000;
/// Members of a sorted set that are looked at by one command.
const MEMBERS: usize = 1_000;
/// Bits of a set of uids.
const BITS: u64 = 1 << 23;
/// Bits that tell of one uid.
const BITS_OF_ONE: u64 = 4;

/// The next cursor, and members with their scores.
type ScannedSet = (u64, Vec<(Vec<u8>, f64)>);

/// A set of uids that may take one for a member that is none: two of a hundred when it has a million
/// members. Another set of the same ones errs about others, so what hangs on it comes a little later.
#[derive(Default)]
pub(crate) struct Places {
    /// Empty while there is no member.
    bits: Vec<u64>,
    hasher: RandomState,
}

impl Places {
    pub(crate) fn contains(&self, uid: &str) -> bool {
        !self.bits.is_empty() && self.bits_of(uid.as_bytes()).all(|(word, bit)| self.bits[word] & bit != 0)
    }

    pub(crate) fn insert(&mut self, uid: &[u8]) {
        if self.bits.is_empty() {
            self.bits = vec![0; place(BITS / 64)];
        }
        let bits = self.bits_of(uid);
        for (word, bit) in bits {
            self.bits[word] |= bit;
        }
    }

    fn bits_of(&self, uid: &[u8]) -> impl Iterator<Item = (usize, u64)> + use<> {
        let hash = self.hasher.hash_one(uid);
        (0..BITS_OF_ONE).map(move |number| {
            let bit = hash.wrapping_add(number.wrapping_mul((hash >> 32) | 1)) % BITS;
            (place(bit / 64), 1 << (bit % 64))
        })
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Goes through lists, a piece at a time.
pub(crate) struct ListScan<'a> {
    backend: &'a Backend,
    lists: VecDeque<String>,
    /// Where in the first of them, counted from its end.
    end: isize,
    /// When they are done, those of the routers follow.
    and_routers: bool,
}

impl ListScan<'_> {
    /// The next entries, which may be none; nothing when all were given. One may come twice.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Vec<u8>>>, Error> {
        let Some(list) = self.lists.front() else {
            if !std::mem::take(&mut self.and_routers) {
                return Ok(None);
            }
            let (routers,): (Vec<String>,) = self.backend.redis.run(redis::pipe().smembers(keys::ROUTERS)).await?;
            self.lists.extend(routers.iter().map(|router| keys::in_flight(router)));
            // One may have been put back from the hands of a router between the two looks.
            self.lists.push_back(keys::TASKS.to_owned());
            return Ok(Some(Vec::new()));
        };
        let range = self.backend.redis.run(redis::pipe().lrange(list, self.end - ENTRIES + 1, self.end)).await;
        let (uids,): (Vec<Vec<u8>>,) = match range {
            Err(error) if error.is_temporary() => return Err(error),
            // An identity may be the name of something that is no list.
            range => range.unwrap_or_default(),
        };
        self.end -= ENTRIES;
        if uids.len() < ENTRIES.unsigned_abs() {
            self.lists.pop_front();
            self.end = -1;
        }
        Ok(Some(uids))
    }

    async fn add_to(mut self, places: &mut Places) -> Result<(), Error> {
        while let Some(uids) = self.next().await? {
            uids.iter().for_each(|uid| places.insert(uid));
        }
        Ok(())
    }
}

impl Backend {
    /// All tasks that are in a list or a claim of anybody.
    pub(crate) async fn all_places(&self) -> Result<Places, Error> {
        let mut places = Places::default();
        self.unrouted().add_to(&mut places).await?;
        let mut queues = self.queues().await?;
        queues.extend(self.binds_raw().await?.into_keys());
        self.lists(queues.into_iter().collect()).add_to(&mut places).await?;
        for set in [keys::LEASES, keys::DELAYED] {
            self.add_sorted(set, &mut places).await?;
        }
        Ok(places)
    }

    /// The tasks that somebody holds, however old they are: the queue of the broker, a router, or a
    /// consumer at work. Whose claim has lapsed is still to be queued again.
    pub(crate) async fn held_places(&self) -> Result<Places, Error> {
        let mut places = Places::default();
        self.unrouted().add_to(&mut places).await?;
        self.add_sorted(keys::LEASES, &mut places).await?;
        Ok(places)
    }

    /// The analyses that had not ended when last looked at.
    pub(crate) async fn open_analyses(&self) -> Result<Places, Error> {
        let mut places = Places::default();
        self.add_sorted(keys::OPEN_ANALYSES, &mut places).await?;
        Ok(places)
    }

    /// uids that wait to be routed, those in the hands of a router included.
    pub(crate) fn unrouted(&self) -> ListScan<'_> {
        ListScan { and_routers: true, ..self.lists(VecDeque::from([keys::TASKS.to_owned()])) }
    }

    fn lists(&self, lists: VecDeque<String>) -> ListScan<'_> {
        ListScan { backend: self, lists, end: -1, and_routers: false }
    }

    async fn add_sorted(&self, set: &str, places: &mut Places) -> Result<(), Error> {
        let mut cursor = 0_u64;
        loop {
            let mut pipeline = redis::pipe();
            pipeline.cmd("ZSCAN").arg(set).arg(cursor).arg("COUNT").arg(MEMBERS);
            let ((next, members),): (ScannedSet,) = self.redis.run(&pipeline).await?;
            members.iter().for_each(|(member, _)| places.insert(member));
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_always_found_and_hardly_anything_else() {
        let mut places = Places::default();
        assert!(!places.contains("karton"));
        let uid = |number: u32| format!("{{{number:032x}}}:{number:032x}");
        (0..100_000).for_each(|number| places.insert(uid(number).as_bytes()));
        assert!((0..100_000).all(|number| places.contains(&uid(number))));
        let mistaken = (100_000..200_000).filter(|number| places.contains(&uid(*number))).count();
        assert!(mistaken < 100, "{mistaken} of 100,000");
    }
}
