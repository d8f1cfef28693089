//! All task records, a bounded piece at a time.
//!
//! The one rule: however many records there are and however large they are, one piece is in memory,
//! and no command keeps Redis from others for more than some milliseconds.

use std::collections::{HashSet, VecDeque, hash_map::RandomState};
use std::hash::BuildHasher;
use std::sync::LazyLock;

use super::{Backend, Script, keys};
use crate::error::Error;

/// Bytes of records that are read at once, when it is more than one record.
const PIECE_BYTES: usize = 1 << 20;
/// Records that are read at once.
const PIECE: usize = 500;
/// Keys that are looked at by one command.
const KEYS: usize = 1000;
/// Keys that are remembered, twice.
const REMEMBERED: usize = 1 << 14;

/// One step through the keys of tasks, of which those of routed ones are left out: see [`keys::may_be_unrouted`].
const STEP: &str = r"
local step = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3], 'TYPE', 'string')
local byte, find, sub = string.byte, string.find, string.sub
local unrouted, at = {}, ARGV[4] + 2
for _, key in ipairs(step[2]) do
    local ends = byte(key, at - 1) == 123 and find(key, '}:', at, true)
    -- Most differ in the first byte: no text is cut out of those.
    if not ends or (byte(key, at) == byte(key, ends + 2) and sub(key, at, ends - 1) == sub(key, ends + 2)) then
        unrouted[#unrouted + 1] = key
    end
end
return {step[1], unrouted}
";

static UNROUTED: LazyLock<Script> = LazyLock::new(|| Script::new(&[STEP]));

/// The next cursor, and fields with their values.
type ScannedHash = (u64, Vec<(Vec<u8>, Vec<u8>)>);

/// uids with their records; what does not exist is left out.
pub(crate) type Piece = Vec<(String, Vec<u8>)>;

/// Goes through all records.
pub(crate) struct RecordScan<'a> {
    backend: &'a Backend,
    pattern: String,
    /// Of these only those that may be unrouted.
    unrouted: bool,
    /// Where to go on; nothing when all keys were named.
    cursor: Option<u64>,
    waiting: Waiting,
    named: Recent,
}

impl Backend {
    /// All records whose key matches a glob of Redis; each once, unless Redis shrinks its table by
    /// very much meanwhile.
    pub(crate) fn scan(&self, pattern: &str) -> RecordScan<'_> {
        let (waiting, named) = (Waiting::default(), Recent::default());
        RecordScan { backend: self, pattern: pattern.to_owned(), unrouted: false, cursor: Some(0), waiting, named }
    }

    /// The records of all tasks that may be unrouted, by their uid. The names of the others do not travel.
    pub(crate) fn scan_unrouted(&self) -> RecordScan<'_> {
        RecordScan { unrouted: true, ..self.scan(keys::EVERY_TASK) }
    }

    /// Calls `each` with the records of these tasks, of which a piece is in memory.
    pub(crate) async fn each_record(&self, uids: &[String], mut each: impl FnMut(&str, &[u8])) -> Result<(), Error> {
        for uids in uids.chunks(KEYS) {
            let mut waiting = Waiting::default();
            waiting.add(self, uids.iter().map(|uid| keys::task(uid).into_bytes()).collect()).await?;
            while !waiting.is_empty() {
                waiting.next(self).await?.iter().for_each(|(uid, record)| each(uid, record));
            }
        }
        Ok(())
    }

    /// Takes those uids out of a hash that have no record any more.
    pub(crate) async fn forget_absent(&self, hash: &str) -> Result<(), Error> {
        let mut cursor = 0_u64;
        loop {
            let mut pipeline = redis::pipe();
            pipeline.cmd("HSCAN").arg(hash).arg(cursor).arg("COUNT").arg(KEYS);
            let ((next, entries),): (ScannedHash,) = self.redis().run(&pipeline).await?;
            if !entries.is_empty() {
                let mut pipeline = redis::pipe();
                for (uid, _) in &entries {
                    pipeline.exists([keys::TASK_PREFIX.as_bytes(), uid].concat());
                }
                let there: Vec<bool> = self.redis().run(&pipeline).await?;
                let gone: Vec<Vec<u8>> = entries.into_iter().zip(there).filter(|(_, there)| !there).map(|((uid, _), _)| uid).collect();
                if !gone.is_empty() {
                    self.redis().run::<()>(redis::pipe().hdel(hash, gone).ignore()).await?;
                }
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    /// Whether a record stands under a root uid.
    pub(crate) async fn has_analysis(&self, root_uid: &str) -> Result<bool, Error> {
        let mut scan = self.scan(&keys::tasks_of(root_uid));
        while let Some(records) = scan.next().await? {
            if !records.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// uids of the tasks that carry this text somewhere in their uid, and are wanted.
    pub(crate) async fn uids_with(&self, text: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, Error> {
        let pattern = format!("{}*{}*", keys::TASK_PREFIX, keys::escape_glob(text));
        let mut scan = self.scan(&pattern);
        let mut found = Vec::new();
        while let Some(records) = scan.next_of(&wanted).await? {
            found.extend(records.into_iter().map(|(uid, _)| uid));
        }
        Ok(found)
    }
}

impl RecordScan<'_> {
    /// The next piece, which may be empty; nothing when all were given.
    pub(crate) async fn next(&mut self) -> Result<Option<Piece>, Error> {
        self.next_of(|_| true).await
    }

    /// The next piece of the records whose uid is wanted; those of the others are not read.
    pub(crate) async fn next_of(&mut self, wanted: impl Fn(&str) -> bool) -> Result<Option<Piece>, Error> {
        if self.waiting.is_empty() {
            let Some(cursor) = self.cursor else { return Ok(None) };
            let (next, mut found) = self.step(cursor).await?;
            self.cursor = (next != 0).then_some(next);
            found.retain(|key| self.named.insert(key) && wanted(&uid_of(key)));
            self.waiting.add(self.backend, found).await?;
        }
        self.waiting.next(self.backend).await.map(Some)
    }

    /// The next cursor, and keys.
    async fn step(&self, cursor: u64) -> Result<(u64, Vec<Vec<u8>>), Error> {
        let redis = self.backend.redis();
        if self.unrouted {
            let call = |call: &mut redis::Cmd| {
                call.arg(0).arg(cursor).arg(&self.pattern).arg(KEYS).arg(keys::TASK_PREFIX.len());
            };
            return redis.call(&UNROUTED, call).await;
        }
        let mut pipeline = redis::pipe();
        pipeline.cmd("SCAN").arg(cursor).arg("MATCH").arg(&self.pattern).arg("COUNT").arg(KEYS).arg("TYPE").arg("string");
        let (step,) = redis.run(&pipeline).await?;
        Ok(step)
    }
}

fn uid_of(key: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(key.strip_prefix(keys::TASK_PREFIX.as_bytes()).unwrap_or(key))
}

/// Keys whose records were not read yet, with their sizes.
#[derive(Default)]
struct Waiting(VecDeque<(Vec<u8>, usize)>);

impl Waiting {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    async fn add(&mut self, backend: &Backend, keys: Vec<Vec<u8>>) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for key in &keys {
            pipeline.cmd("STRLEN").arg(key);
        }
        let sizes: Vec<usize> = backend.redis().run(&pipeline).await?;
        self.0.extend(keys.into_iter().zip(sizes));
        Ok(())
    }

    /// Reads as many as fit into one piece.
    async fn next(&mut self, backend: &Backend) -> Result<Piece, Error> {
        let mut bytes = 0;
        let mut piece = Vec::new();
        while let Some((_, size)) = self.0.front() {
            bytes += size;
            if piece.len() >= PIECE || (!piece.is_empty() && bytes > PIECE_BYTES) {
                break;
            }
            piece.extend(self.0.pop_front().map(|(key, _)| key));
        }
        if piece.is_empty() {
            return Ok(Vec::new());
        }
        let (records,): (Vec<Option<Vec<u8>>>,) = backend.redis().run(redis::pipe().cmd("MGET").arg(&piece)).await?;
        Ok(piece.iter().zip(records).filter_map(|(key, record)| Some((uid_of(key).into_owned(), record?))).collect())
    }
}

/// The keys that were named last. Redis names one twice only when it makes its table smaller while it
/// is gone through, and then soon after the first time.
#[derive(Default)]
struct Recent {
    newer: HashSet<u64>,
    older: HashSet<u64>,
    hasher: RandomState,
}

impl Recent {
    /// False when it is one of them.
    fn insert(&mut self, key: &[u8]) -> bool {
        let hash = self.hasher.hash_one(key);
        if self.older.contains(&hash) || !self.newer.insert(hash) {
            return false;
        }
        if self.newer.len() >= REMEMBERED {
            std::mem::swap(&mut self.newer, &mut self.older);
            self.newer.clear();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_were_named_lately_are_known_and_the_memory_for_them_is_bounded() {
        let mut recent = Recent::default();
        for number in 0..4 * REMEMBERED {
            assert!(recent.insert(number.to_string().as_bytes()));
            if number >= 100 {
                assert!(!recent.insert((number - 100).to_string().as_bytes()), "{number}");
            }
        }
        assert!(recent.newer.len() + recent.older.len() <= 2 * REMEMBERED);
    }
}
