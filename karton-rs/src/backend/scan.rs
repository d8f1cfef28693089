//! All task records, a bounded piece at a time.
//!
//! The one rule: however many records there are and however large they are, one piece is in memory.

use std::collections::{HashSet, VecDeque, hash_map::RandomState};
use std::hash::BuildHasher;

use super::{Backend, keys};
use crate::error::Error;

/// Bytes of records that are read at once, when it is more than one record.
const PIECE_BYTES: usize = 8 << 20;
/// Records that are read at once.
const PIECE: usize = 500;

/// Goes through all records; each once, though Redis may name a key twice.
pub(crate) struct RecordScan<'a> {
    backend: &'a Backend,
    pattern: String,
    cursor: u64,
    started: bool,
    /// Keys that were named and not read yet, with the sizes of their records.
    keys: VecDeque<(Vec<u8>, usize)>,
    /// Hashes of the keys that were named.
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl Backend {
    /// All records whose key matches a glob of Redis.
    pub(crate) fn scan(&self, pattern: &str) -> RecordScan<'_> {
        RecordScan {
            backend: self,
            pattern: pattern.to_owned(),
            cursor: 0,
            started: false,
            keys: VecDeque::new(),
            seen: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// Whether a record stands under a root uid.
    pub(crate) async fn has_analysis(&self, root_uid: &str) -> Result<bool, Error> {
        let mut scan = self.scan(&format!("{}{{{}}}:*", keys::TASK_PREFIX, keys::escape_glob(root_uid)));
        while let Some(records) = scan.next().await? {
            if !records.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// uids of the tasks that carry this text behind the last `:` of their uid.
    pub(crate) async fn uids_ending_in(&self, task_uid: &str) -> Result<Vec<String>, Error> {
        let pattern = format!("{}*:{}", keys::TASK_PREFIX, keys::escape_glob(task_uid));
        let mut scan = self.scan(&pattern);
        let mut found = Vec::new();
        while let Some(records) = scan.next().await? {
            found.extend(records.into_iter().map(|(uid, _)| uid));
        }
        Ok(found)
    }
}

impl RecordScan<'_> {
    /// The next piece, which may be empty; nothing when all were given.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<(String, Vec<u8>)>>, Error> {
        if self.keys.is_empty() {
            if self.started && self.cursor == 0 {
                return Ok(None);
            }
            self.name_keys().await?;
        }
        let mut bytes = 0;
        let mut piece = Vec::new();
        while let Some((_, size)) = self.keys.front() {
            bytes += size;
            if piece.len() >= PIECE || (!piece.is_empty() && bytes > PIECE_BYTES) {
                break;
            }
            piece.extend(self.keys.pop_front().map(|(key, _)| key));
        }
        if piece.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let (records,): (Vec<Option<Vec<u8>>>,) = self.backend.redis().run(redis::pipe().cmd("MGET").arg(&piece)).await?;
        let uids = piece.iter().map(|key| String::from_utf8_lossy(key.strip_prefix(keys::TASK_PREFIX.as_bytes()).unwrap_or(key)));
        Ok(Some(uids.zip(records).filter_map(|(uid, record)| Some((uid.into_owned(), record?))).collect()))
    }

    async fn name_keys(&mut self) -> Result<(), Error> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("SCAN").arg(self.cursor).arg("MATCH").arg(&self.pattern).arg("COUNT").arg(1000).arg("TYPE").arg("string");
        let ((next, mut found),): ((u64, Vec<Vec<u8>>),) = self.backend.redis().run(&pipeline).await?;
        self.started = true;
        self.cursor = next;
        found.retain(|key| self.seen.insert(self.hasher.hash_one(key)));
        if found.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for key in &found {
            pipeline.cmd("STRLEN").arg(key);
        }
        let sizes: Vec<usize> = self.backend.redis().run(&pipeline).await?;
        self.keys.extend(found.into_iter().zip(sizes));
        Ok(())
    }
}
