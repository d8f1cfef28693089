//! Tasks that wait to be tried again.
//!
//! The one rule: a waiting task is Spawned and in no queue; leaving the waiting and entering the queue
//! is one step, so that any number of brokers and consumers may look.

use super::{Backend, keys, read_task};
use crate::error::{Error, Failures};

/// How many tasks one look queues.
const AT_ONCE: isize = 500;

const QUEUE: &str = r"
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.call('LPUSH', KEYS[3], '1')
redis.call('LTRIM', KEYS[3], 0, 15)
redis.call('EXPIRE', KEYS[3], 10)
return 1
";

impl Backend {
    /// How often a task was tried again before.
    pub(crate) async fn attempts(&self, uid: &str) -> Result<u32, Error> {
        let (attempts,): (Option<u32>,) = self.redis.run(redis::pipe().hget(keys::ATTEMPTS, uid)).await?;
        Ok(attempts.unwrap_or(0))
    }

    /// Queues the tasks whose wait is over.
    pub(crate) async fn queue_delayed(&self) -> Result<(), Error> {
        let now = self.server_time().await?;
        let (due,): (Vec<Vec<u8>>,) = self.redis.run(redis::pipe().zrangebyscore_limit(keys::DELAYED, "-inf", now, 0, AT_ONCE)).await?;
        let uids: Vec<String> = due.iter().map(|uid| String::from_utf8_lossy(uid).into_owned()).collect();
        let mut failures = Failures::default();
        for ((raw, uid), record) in due.iter().zip(&uids).zip(self.records(&uids).await?) {
            let outcome = self.queue_due(raw, uid, record.as_deref()).await;
            failures.note(uid, outcome)?;
        }
        failures.first()
    }

    async fn queue_due(&self, raw: &[u8], uid: &str, record: Option<&[u8]>) -> Result<(), Error> {
        let task = record.and_then(|record| read_task(uid, record).ok()).filter(|task| task.status().is_pending());
        let receiver = task.as_ref().and_then(|task| task.header_str("receiver"));
        let mut pipeline = redis::pipe();
        match task.as_ref().zip(receiver) {
            Some((task, receiver)) => {
                pipeline.cmd("EVAL").arg(QUEUE).arg(3).arg(keys::DELAYED).arg(keys::queue(task.priority(), receiver));
                pipeline.arg(keys::wake(receiver)).arg(raw).ignore();
            }
            // Cancelled, deleted or unreadable by now.
            None => {
                pipeline.cmd("ZREM").arg(keys::DELAYED).arg(raw).ignore().hdel(keys::ATTEMPTS, raw).ignore();
            }
        }
        self.redis.run(&pipeline).await
    }
}
