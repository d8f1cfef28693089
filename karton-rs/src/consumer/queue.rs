//! The consumer's side of its queues: checking the bind, taking a task, giving one back.
//!
//! The one rule: this connection is never left in the middle of a blocking pop, because Redis would
//! still hand out a task that nobody receives.

use std::time::Duration;

use crate::{
    backend::{Backend, Bind, Connection, keys},
    config::{Config, RedisSettings},
    error::Error,
    task::{Task, TaskState},
};

/// How long a blocking pop waits; also how long an idle consumer needs to stop.
const WAIT: Duration = Duration::from_secs(1);

/// One round trip for a busy consumer: is the bind still ours, and what is next?
const TAKE: &str = r"
local bind = redis.call('HGET', KEYS[1], ARGV[1])
if bind ~= ARGV[2] then return {'bind', bind} end
for i = 2, #KEYS do
    local uid = redis.call('LPOP', KEYS[i])
    if uid then return {'task', uid, redis.call('GET', ARGV[3] .. uid)} end
end
return {'empty'}
";

/// Access to the queues of one identity, over the connection that carries its name.
pub(super) struct Queue {
    connection: Connection,
    bind: Bind,
    bind_json: String,
    queues: [String; 4],
}

/// What a turn of the loop brought.
pub(super) enum Taken {
    /// Nothing to do.
    Nothing,
    /// A task; the record is absent when it was deleted meanwhile.
    Task { uid: String, record: Option<Vec<u8>> },
    /// Another replica has registered another bind.
    BindReplaced,
    /// The bind was deleted.
    BindMissing,
}

impl Queue {
    pub(super) fn new(config: &Config, bind: Bind) -> Result<Self, Error> {
        // Replies are awaited without limit: a pop whose reply we stopped waiting for would be lost.
        let connection = Connection::new(&RedisSettings::from_config(config)?, &bind.identity, None)?;
        let queues = keys::queues(&bind.identity);
        Ok(Self { connection, bind_json: bind.to_json(), bind, queues })
    }

    /// Opens the named connection, so that the service is online.
    pub(super) async fn open(&self) -> Result<(), Error> {
        self.connection.run(redis::pipe().cmd("PING").ignore()).await
    }

    /// Takes the next task, waiting up to a second for one.
    pub(super) async fn take(&self) -> Result<Taken, Error> {
        match self.take_now().await? {
            Taken::Nothing => self.take_wait().await,
            taken => Ok(taken),
        }
    }

    async fn take_now(&self) -> Result<Taken, Error> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("EVAL").arg(TAKE).arg(self.queues.len() + 1).arg(keys::BINDS);
        for queue in &self.queues {
            pipeline.arg(queue);
        }
        pipeline.arg(&self.bind.identity).arg(&self.bind_json).arg(keys::TASK_PREFIX);
        let (reply,): (Vec<Option<Vec<u8>>>,) = self.connection.run(&pipeline).await?;
        let mut reply = reply.into_iter();
        let kind = reply.next().flatten().unwrap_or_default();
        match (kind.as_slice(), reply.next().flatten()) {
            (b"task", Some(uid)) => Ok(Taken::Task { uid: String::from_utf8_lossy(&uid).into_owned(), record: reply.next().flatten() }),
            (b"bind", None) => Ok(Taken::BindMissing),
            (b"bind", Some(text)) => {
                // Other bytes may still mean the same bind.
                let stored = crate::backend::readable_bind(&self.bind.identity, &text);
                if stored.is_some_and(|stored| stored == self.bind) { self.take_wait().await } else { Ok(Taken::BindReplaced) }
            }
            _ => Ok(Taken::Nothing),
        }
    }

    async fn take_wait(&self) -> Result<Taken, Error> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("BLPOP").arg(&self.queues).arg(WAIT.as_secs());
        let (popped,): (Option<(String, String)>,) = self.connection.run(&pipeline).await?;
        let Some((_, uid)) = popped else { return Ok(Taken::Nothing) };
        let (record,): (Option<Vec<u8>>,) = self.connection.retry(redis::pipe().get(keys::task(&uid))).await?;
        Ok(Taken::Task { uid, record })
    }
}

/// Puts a task back at the head of its queue, as if it had never been taken.
pub(super) async fn give_back(backend: &Backend, task: &mut Task) -> Result<(), Error> {
    task.set_status(TaskState::Spawned);
    let mut pipeline = redis::pipe();
    pipeline.atomic().cmd("SET").arg(keys::task(task.uid())).arg(task.to_json()).arg("XX").ignore();
    pipeline.lpush(keys::queue(task.priority(), backend.identity()), task.uid()).ignore();
    backend.redis().retry(&pipeline).await
}
