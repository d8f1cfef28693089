//! Which tasks are somewhere: in a queue, in the hands of a router or a consumer, or waiting.
//!
//! The one rule: the memory that an answer takes grows by some bytes a task, not by its uid, and what
//! is pushed while a list is read is not missed: lists are read from their end.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::{Backend, keys};
use crate::error::Error;

/// Entries that are read at once.
const CHUNK: isize = 10_000;

/// The next cursor, and members with their scores.
type ScannedSet = (u64, Vec<(Vec<u8>, f64)>);

/// A set of uids. It may take one for a member that is none, once in some million years.
#[derive(Default)]
pub(crate) struct Places {
    hashes: HashSet<u64>,
    state: RandomState,
}

impl Places {
    pub(crate) fn contains(&self, uid: &str) -> bool {
        self.hashes.contains(&self.state.hash_one(uid.as_bytes()))
    }

    fn add(&mut self, uids: &[Vec<u8>]) {
        let state = &self.state;
        self.hashes.extend(uids.iter().map(|uid| state.hash_one(uid.as_slice())));
    }
}

impl Backend {
    /// All tasks that are in a list or a claim of anybody.
    pub(crate) async fn all_places(&self) -> Result<Places, Error> {
        let mut places = Places::default();
        self.add_list(keys::TASKS, &mut places).await?;
        let (routers,): (Vec<String>,) = self.redis.run(redis::pipe().smembers(keys::ROUTERS)).await?;
        for router in routers {
            self.add_list(&keys::in_flight(&router), &mut places).await?;
        }
        for queue in self.queues().await? {
            match self.add_list(&queue, &mut places).await {
                Err(error) if error.is_temporary() => return Err(error),
                // An identity may be the name of something that is no list.
                Ok(()) | Err(_) => {}
            }
        }
        for set in [keys::LEASES, keys::DELAYED] {
            self.add_sorted(set, &mut places).await?;
        }
        Ok(places)
    }

    /// The analyses that had not ended when last looked at.
    pub(crate) async fn open_analyses(&self) -> Result<Places, Error> {
        let mut places = Places::default();
        self.add_sorted(keys::OPEN_ANALYSES, &mut places).await?;
        Ok(places)
    }

    async fn add_list(&self, list: &str, places: &mut Places) -> Result<(), Error> {
        let mut end = -1;
        loop {
            let (uids,): (Vec<Vec<u8>>,) = self.redis.run(redis::pipe().lrange(list, end - CHUNK + 1, end)).await?;
            places.add(&uids);
            if uids.len() < CHUNK.unsigned_abs() {
                return Ok(());
            }
            end -= CHUNK;
        }
    }

    async fn add_sorted(&self, set: &str, places: &mut Places) -> Result<(), Error> {
        let mut cursor = 0_u64;
        loop {
            let mut pipeline = redis::pipe();
            pipeline.cmd("ZSCAN").arg(set).arg(cursor).arg("COUNT").arg(CHUNK);
            let ((next, members),): (ScannedSet,) = self.redis.run(&pipeline).await?;
            let members: Vec<Vec<u8>> = members.into_iter().map(|(member, _)| member).collect();
            places.add(&members);
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }
}
