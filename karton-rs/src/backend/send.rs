//! Sending a task: record, then objects, then the push, so that the collector sees the references and
//! no consumer sees a missing object. See Karton protocol §3.
//!
//! The one rule: **a task is routed once, however often sending it is tried**. When a reply was lost
//! nobody knows what has happened: a record that was written stays as the broker has left it meanwhile.

use redis::Pipeline;

use super::{Backend, Patience, keys, keys::Metric};
use crate::{
    error::Error,
    json::float_text,
    resource::{LocalResource, Resource},
    task::Task,
};

/// Writes the record and pushes the uid, unless that was done: then a record of this time, or a later one, is there.
const SEND_AGAIN: &str = r"
local current = redis.pcall('GET', KEYS[1])
if type(current) == 'string' then
    local read, task = pcall(cjson.decode, current)
    local time = read and type(task) == 'table' and tonumber(task['last_update'])
    if time and time >= tonumber(ARGV[3]) then return end
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('RPUSH', KEYS[2], ARGV[1])
redis.pcall('HINCRBY', KEYS[3], ARGV[4], 1)
";

impl Backend {
    /// Sends a task as a child of the one at work, if there is one; gives it as it was sent.
    pub(crate) async fn send_task(&self, mut task: Task, current: Option<&Task>, patience: &mut Patience) -> Result<Task, Error> {
        if let Some(current) = current {
            task.inherit(current);
        }
        task.set_header("origin", &*self.identity);
        task.touch();
        let uploads = if task.resources().is_empty() { Vec::new() } else { task.prepare_uploads(self.storage.bucket()?) };
        let record = task.to_json();
        if uploads.is_empty() {
            return self.send_record(task, &record, patience).await;
        }
        self.redis.retry::<()>(redis::pipe().set(keys::task(task.uid()), &record).ignore(), patience).await?;
        for (resource, source) in &uploads {
            self.upload(resource, source, patience).await?;
        }
        // Pushed twice it is routed once: the broker knows by the record what it has routed.
        let answers = self.redis.retry(self.push(redis::pipe().atomic(), &task), patience).await?;
        self.redis.accepted(answers)?;
        Ok(task)
    }

    /// Uploads a file, again and again while the object store is away. One that a store refuses which answers
    /// others does not hold up its task for ever.
    async fn upload(&self, resource: &Resource, source: &LocalResource, patience: &mut Patience) -> Result<(), Error> {
        loop {
            match self.storage.upload(resource, source).await {
                Err(error) if error.is_temporary() => {
                    let away = error.is_denied() || (patience.is_endless() && !self.storage.answers(resource).await);
                    patience.rest(error, away).await?;
                }
                outcome => {
                    patience.over();
                    return outcome;
                }
            }
        }
    }

    async fn send_record(&self, task: Task, record: &str, patience: &mut Patience) -> Result<Task, Error> {
        let mut first = redis::pipe();
        first.atomic().set(keys::task(task.uid()), record).ignore();
        match self.redis.run(self.push(&mut first, &task)).await {
            Err(error) if error.is_temporary() => {
                let mut again = redis::pipe();
                again.cmd("EVAL").arg(SEND_AGAIN).arg(3).arg(keys::task(task.uid())).arg(keys::TASKS).arg(Metric::Produced.key());
                again.arg(task.uid()).arg(record).arg(float_text(task.last_update())).arg(&*self.identity).ignore();
                self.redis.retry::<()>(&again, patience).await?;
            }
            answers => self.redis.accepted(answers?)?,
        }
        Ok(task)
    }

    /// Gives the uid to the broker, and counts that. That it cannot be counted is no error.
    fn push<'a>(&self, pipeline: &'a mut Pipeline, task: &Task) -> &'a Pipeline {
        pipeline.ignore_errors().rpush(keys::TASKS, task.uid()).hincr(Metric::Produced.key(), &*self.identity, 1).ignore()
    }
}
