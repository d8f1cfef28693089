//! The consumer's side of its queues: checking the bind and claiming tasks.
//!
//! The one rule: a task leaves its queue only in the script that records the claim and marks it
//! Started. That script runs in the round trip that writes what has ended. Whatever is lost on the way
//! (the reply, the process) lapses with the claim, and the broker queues the task again. When a claim
//! lapses is told by the clock of Redis: those of two machines never agree.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::claims::{Claims, max_deliveries};
use crate::{
    backend::{Args, Backend, Bind, Connection, Ending, Script, Settled, finishing, keys},
    config::{Config, RedisSettings},
    error::Error,
};

/// How long an idle consumer waits for a sign before it looks again; also how long it needs to stop.
/// Our broker gives a sign with each task, the Python one does not.
const WAIT_SECONDS: f64 = 0.2;
/// Bytes of records after which no further task is taken at once.
const TAKE_BYTES: u64 = 4 << 20;

/// Writes what has ended. Is the bind still ours, and what is next? What is next is claimed.
///
/// A record that ends as one in today's form with the status Spawned does is marked Started here: what
/// stands behind its payload is known to the byte. The time of it comes at the end, where it is the
/// last of two; readers take the last (Karton protocol §4.4). All others are given as they are.
///
/// Its own keys and values come behind those of the ends. As many uids are taken at once as there is room for, unless
/// their records are too many bytes. What was handed out in vain before may be what kills its consumers: it is only
/// taken into a slot, and nothing beyond the slots with it, which would die for it. Once more, and it is Crashed, and so
/// would be what dies with it: then it is taken alone, by a consumer that has nothing in its hands.
///
/// Everything is read before anything is written: a queue that is none leaves all as it was. The first write is one that
/// a full Redis takes.
const TURN: &str = r#"
local n = tonumber(ARGV[2])
local settled, key, value = finish(n), 6 + 2 * n, 2 + 7 * n
local bind = redis.call('HGET', KEYS[key + 1], ARGV[1])
if bind ~= ARGV[value + 1] then return {settled, {'bind', bind}} end
local prefix, lease, history = ARGV[value + 2], ARGV[value + 3], ARGV[value + 6]
local most, most_bytes, slots = tonumber(ARGV[value + 4]), tonumber(ARGV[value + 5]), tonumber(ARGV[value + 7])
local brink, idle, alone = tonumber(ARGV[value + 8]), ARGV[value + 9] == '1', ''
local uids, records, bytes, taken, had = {}, {}, 0, {}, {}
local some_tried = redis.call('EXISTS', KEYS[2]) == 1
for i = key + 2, key + 5 do
    local queued = #uids < most and redis.call('LRANGE', KEYS[i], 0, most - #uids - 1) or {}
    local tried = some_tried and #queued > 0 and redis.pcall('HMGET', KEYS[2], unpack(queued)) or {}
    taken[i] = 0
    for place, uid in ipairs(queued) do
        local last = tried[place] and (tonumber(tried[place]) or 0) >= brink
        if bytes >= most_bytes or #uids >= most or #uids >= slots and tried[place] or last and (#uids > 0 or not idle) then break end
        if last then alone, most = 'a', 1 elseif tried[place] then most = slots end
        taken[i] = place
        if not had[uid] then
            had[uid] = true
            local record = redis.pcall('GET', prefix .. uid)
            if type(record) ~= 'string' then record = false end
            uids[#uids + 1] = uid
            records[#uids] = record
            bytes = bytes + (record and #record or 0)
        end
    end
    if taken[i] < #queued then break end
end
if #uids == 0 then return {settled, {'tasks'}} end
redis.call('PERSIST', KEYS[1])
local time = redis.call('TIME')
local now = string.format('%d.%06d', time[1], time[2])
local reply, claims, writes, started, analyses = {'tasks'}, {}, {}, {}, {}
for i, uid in ipairs(uids) do
    local record, mark = records[i], ''
    claims[2 * i - 1] = now + lease
    claims[2 * i] = uid
    local tail = ', "status": "Spawned", "uid": "' .. uid .. '"}'
    if record and string.sub(record, -#tail) == tail then
        record = string.sub(record, 1, -#tail - 1) .. ', "status": "Started", "uid": "' .. uid .. '", "last_update": ' .. now .. '}'
        mark = '1'
        writes[#writes + 1] = prefix .. uid
        writes[#writes + 1] = record
        local root = string.match(uid, '^{([^}]+)}:')
        if root then
            started[#started + 1] = uid
            analyses[#analyses + 1] = history .. root
        end
    end
    reply[3 * i - 1] = uid
    reply[3 * i] = mark .. alone
    reply[3 * i + 1] = record
end
redis.call('ZADD', KEYS[1], unpack(claims))
for i, count in pairs(taken) do
    if count > 0 then redis.call('LPOP', KEYS[i], count) end
end
if #writes > 0 then redis.call('MSET', unpack(writes)) end
local known = known(analyses)
for i, uid in ipairs(started) do
    if known[analyses[i]] then redis.pcall('HSET', analyses[i], uid .. ':s', now) end
end
return {settled, reply}
"#;

static FINISH_AND_TAKE: LazyLock<Script> = LazyLock::new(|| finishing(TURN));

/// Access to the queues of one identity, over the connection that carries its name.
pub(super) struct Queue {
    connection: Connection,
    bind: Bind,
    /// The bind as it stands in Redis; another text may mean the same bind.
    stored: Mutex<String>,
    queues: [String; 4],
    claims: Arc<Claims>,
    /// What was handed out so often is Crashed when it is handed out in vain once more.
    brink: u64,
}

/// For how many tasks there is room in a turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) slots: usize,
    /// Beyond the slots.
    pub(super) more: usize,
    /// Nothing is in our hands, nor on its way.
    pub(super) idle: bool,
}

/// What a turn of the loop brought.
pub(super) enum Taken {
    /// Claimed tasks; none when there is nothing to do.
    Tasks(Vec<Claimed>),
    /// Another replica has registered another bind.
    BindReplaced,
    /// The bind was deleted.
    BindMissing,
}

/// An entry of a queue that is ours now.
pub(super) struct Claimed {
    /// Not UTF-8 when somebody has pushed something that is no uid.
    pub(super) uid: Vec<u8>,
    /// Absent when the record was deleted meanwhile.
    pub(super) record: Option<Vec<u8>>,
    /// The record says Started already.
    pub(super) started: bool,
    /// Nothing may be in our hands beside it.
    pub(super) alone: bool,
}

impl Queue {
    pub(super) fn new(config: &Config, bind: Bind, claims: Arc<Claims>) -> Result<Self, Error> {
        let settings = RedisSettings::from_config(config)?;
        let connection = Connection::new(&settings, &bind.identity, settings.patient_timeout())?;
        let queues = keys::queues(&bind.identity);
        let brink = max_deliveries(config)?.saturating_sub(1);
        Ok(Self { connection, stored: Mutex::new(bind.to_json()), bind, queues, claims, brink })
    }

    /// Opens the named connection, so that the service is online.
    pub(super) async fn open(&self) -> Result<(), Error> {
        self.connection.run(redis::pipe().cmd("PING").ignore()).await
    }

    pub(super) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Waits a moment for a sign that there is a task.
    pub(super) async fn wait(&self) -> Result<(), Error> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("BLPOP").arg(keys::wake(&self.bind.identity)).arg(WAIT_SECONDS).ignore();
        self.connection.run(&pipeline).await
    }

    /// Writes what has ended, claims as many tasks as there is room for, and gives what came of each, in one round trip: over the connection with the name, so that a service that is never idle is online too, unless
    /// that one `waits`.
    pub(super) async fn turn(
        &self,
        backend: &Backend,
        waits: bool,
        endings: &[&Ending],
        room: Room,
    ) -> Result<(Vec<Settled>, Taken), Error> {
        let (mut keys, mut values) = (Args::default(), Args::default());
        keys.push(keys::BINDS);
        self.queues.iter().for_each(|queue| keys.push(queue));
        values.push(&self.stored.lock().unwrap_or_else(PoisonError::into_inner));
        values.push(keys::TASK_PREFIX);
        let Room { slots, more, idle } = room;
        for number in [self.claims.lease().as_secs(), (slots + more) as u64, TAKE_BYTES] {
            values.push(&number.to_string());
        }
        values.push(keys::ANALYSIS_PREFIX);
        values.push(&slots.to_string());
        values.push(&self.brink.to_string());
        values.push(if idle { "1" } else { "" });
        let connection = if waits { backend.redis() } else { &self.connection };
        let (settled, reply): (Vec<i64>, _) = backend.finish_and(connection, &FINISH_AND_TAKE, (&keys, &values), endings).await?;
        Ok((settled.into_iter().map(Settled::from_reply).collect(), self.taken(reply)))
    }

    fn taken(&self, reply: Vec<Option<Vec<u8>>>) -> Taken {
        let mut reply = reply.into_iter();
        if reply.next().flatten().as_deref() == Some(b"bind") {
            let Some(text) = reply.next().flatten() else { return Taken::BindMissing };
            let theirs = crate::backend::readable_bind(&self.bind.identity, &text);
            if theirs.is_none_or(|theirs| theirs != self.bind) {
                return Taken::BindReplaced;
            }
            *self.stored.lock().unwrap_or_else(PoisonError::into_inner) = String::from_utf8_lossy(&text).into_owned();
            return Taken::Tasks(Vec::new());
        }
        let mut tasks = Vec::new();
        while let (Some(uid), Some(marks), Some(record)) = (reply.next().flatten(), reply.next().flatten(), reply.next()) {
            tasks.push(Claimed { uid, record, started: marks.contains(&b'1'), alone: marks.contains(&b'a') });
        }
        Taken::Tasks(tasks)
    }
}
