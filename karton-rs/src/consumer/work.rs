//! The way of one task through a consumer. See Karton protocol §8.4.
//!
//! The one rule: every way out writes what became of the task, or leaves it to the one who has changed
//! it meanwhile.

use std::future::Future;
use std::sync::{Arc, atomic::Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tracing::Instrument;

use super::{
    HandBack,
    ahead::QUICK,
    ends::Ended,
    handler::{caught, error_lines},
    queue::Claimed,
    run::{Running, Slot},
};
use crate::{
    backend::{Counted, Ending, Move, Patience, Seen, Settled, read_task},
    error::Error,
    json::Value,
    logs,
    task::{Task, TaskState},
};

/// How long hooks may go on when running tasks must be let go of.
const HOOKS_GO_ON: Duration = Duration::from_secs(2);

/// A task whose handler had no Redis is not taken again sooner than this: what keeps it away from there may last.
const REDIS_COMES_BACK: Duration = Duration::from_secs(1);

/// A claimed task; while this lives its claim is renewed.
pub(super) struct Held {
    running: Arc<Running>,
    uid: String,
}

impl Held {
    fn new(running: Arc<Running>, uid: String) -> Self {
        running.queue.claims().hold(&uid);
        Self { running, uid }
    }
}

/// What was claimed, before any work on it.
pub(super) struct Hand {
    held: Held,
    record: Option<Vec<u8>>,
    started: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.running.queue.claims().forget(&self.uid);
    }
}

impl Running {
    /// What was claimed, in our hands: none when it is no task and cannot be, which is then seen to.
    pub(super) fn hold(self: &Arc<Self>, claimed: Claimed) -> Option<Hand> {
        let Claimed { uid, record, started, .. } = claimed;
        match String::from_utf8(uid) {
            // Held from now on: handlers that keep all threads busy may let it wait for long. However the work on it
            // ends, the claim is not renewed after it.
            Ok(uid) => Some(Hand { held: Held::new(Arc::clone(self), uid), record, started }),
            Err(error) => {
                tracing::error!("queue holds something that is no uid, put into quarantine");
                let running = Arc::clone(self);
                self.spawn(async move { running.let_go(error.as_bytes(), Some("uid is not UTF-8 text")).await });
                None
            }
        }
    }

    /// Starts the work on a task.
    pub(super) fn start(&self, hand: Hand, slot: Slot) {
        self.spawn(account_for(hand, slot));
    }

    /// Puts tasks back to the head of their queue, in their order.
    pub(super) fn put_back(self: &Arc<Self>, hands: Vec<Hand>) -> JoinHandle<()> {
        let running = Arc::clone(self);
        self.spawn(async move {
            let (mut tasks, mut claims) = (Vec::new(), Vec::new());
            for hand in hands {
                let Some((held, task, seen)) = opened(hand).await else { continue };
                if task.status().is_pending() {
                    tasks.push((task, seen));
                    claims.push(held);
                } else {
                    running.let_go(task.uid().as_bytes(), None).await;
                }
            }
            running.give_back(tasks).await;
        })
    }

    async fn give_back(&self, mut tasks: Vec<(Task, Seen)>) {
        if tasks.is_empty() {
            return;
        }
        tasks.iter_mut().for_each(|(task, _)| task.set_status(TaskState::Spawned));
        let settled = self.insist("give back", || self.backend.give_back(&tasks)).await;
        for ((task, _), settled) in tasks.iter().zip(settled.unwrap_or_default()) {
            if settled == Settled::Changed {
                self.left_alone(task).await;
            }
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        // Several services may live in one process: the span tells which one speaks.
        self.work.spawn(work.in_current_span())
    }

    /// Runs the handler, for as long as it may take and the service goes on.
    async fn handle(&self, task: &Arc<Task>, slot: Slot) -> anyhow::Result<()> {
        if self.hand_back.is_cancelled() {
            return Err(HandBack("the service stops".to_owned()).into());
        }
        let karton = self.karton.for_task(Arc::clone(task));
        let work = self.consumer.handler.run(karton, Task::clone(task), slot);
        let Some(limit) = self.task_timeout else {
            return tokio::select! {
                outcome = work => outcome,
                () = self.hand_back.cancelled() => Err(HandBack("the service stops".to_owned()).into()),
            };
        };
        tokio::select! {
            outcome = work => outcome,
            () = tokio::time::sleep(limit) => Err(anyhow::anyhow!("task took longer than {} s", limit.as_secs())),
            () = self.hand_back.cancelled() => Err(HandBack("the service stops".to_owned()).into()),
        }
    }

    /// Whether a handler failed because our Redis was away: nothing is wrong with its task then.
    fn had_no_redis(&self, error: &anyhow::Error) -> bool {
        let is_ours = |server: &str| server == self.backend.redis().server();
        causes(error).any(|cause| matches!(cause, Error::Redis { server, .. } if cause.is_temporary() && is_ours(server)))
    }

    async fn before(&self, task: &Arc<Task>) {
        let hooks = async {
            for hook in &self.consumer.options.pre_hooks {
                let karton = self.karton.for_task(Arc::clone(task));
                let outcome = caught(async { hook(karton, Arc::clone(task)).await }).await;
                hook_failed("pre", outcome);
            }
            self.signal(task, "task_begin").await;
        };
        self.run_hooks("pre", hooks).await;
    }

    async fn after(&self, task: &Arc<Task>, error: Option<&Arc<anyhow::Error>>) {
        let hooks = async {
            self.signal(task, "task_end").await;
            for hook in &self.consumer.options.post_hooks {
                let karton = self.karton.for_task(Arc::clone(task));
                let outcome = caught(async { hook(karton, Arc::clone(task), error.cloned()).await }).await;
                hook_failed("post", outcome);
            }
        };
        self.run_hooks("post", hooks).await;
    }

    /// Runs hooks, and leaves them where they are soon after tasks must be let go of.
    async fn run_hooks(&self, kind: &str, hooks: impl Future<Output = ()>) {
        let over = async {
            self.hand_back.cancelled().await;
            tokio::time::sleep(HOOKS_GO_ON).await;
        };
        tokio::select! {
            () = hooks => {}
            () = over => tracing::error!("{kind}-hooks do not end, and the service stops: the task goes on without them"),
        }
    }

    /// Ends the claim on something that is no task for us, and puts it into quarantine when there is a reason.
    async fn let_go(&self, uid: &[u8], reason: Option<&str>) {
        self.insist("let go of", || self.backend.drop_claim(uid, reason)).await;
    }

    /// Somebody has changed or deleted a task while it was ours: theirs stands.
    pub(super) async fn left_alone(&self, task: &Task) {
        match self.insist("let go of", || self.backend.let_go_if_done(task.uid())).await {
            Some(true) => tracing::info!("task {} was cancelled meanwhile", task.task_uid()),
            Some(false) => tracing::warn!("task {} is in other hands now: the claim on it had lapsed", task.task_uid()),
            None => {}
        }
    }

    /// Tells signal listeners that work on a task begins or ends, when `[signaling] status` is set.
    async fn signal(&self, task: &Task, status: &str) {
        if !self.signaling {
            return;
        }
        let mut headers = crate::json::Map::new();
        headers.insert("type".to_owned(), "karton.signaling.status".into());
        headers.insert("status".to_owned(), status.into());
        let signal = Task::new(Value::from(headers));
        if let Err(error) = self.backend.send_task(signal, Some(task), &mut Patience::new(None)).await {
            tracing::warn!("cannot signal {status}: {error}");
        }
    }
}

/// The task of a claim, with its record as it was seen. What is none is seen to.
async fn opened(hand: Hand) -> Option<(Held, Task, Seen)> {
    let Hand { held, record, .. } = hand;
    let (running, uid) = (&held.running, &held.uid);
    // Deleted while it was queued.
    let Some(record) = record else {
        running.let_go(uid.as_bytes(), None).await;
        return None;
    };
    match read_task(uid, &record) {
        Ok(task) => Some((held, task, Seen::of(&record))),
        Err(reason) => {
            tracing::error!(task = uid, "task cannot be read, put into quarantine: {reason}");
            running.let_go(uid.as_bytes(), Some(&reason)).await;
            None
        }
    }
}

/// What a claim ends with: nothing to do, a task that is none, or the work on it.
async fn account_for(hand: Hand, slot: Slot) {
    let started = hand.started;
    let Some((held, task, seen)) = opened(hand).await else { return };
    let running = &held.running;
    let mut at_work = AtWork { running, seen, task: Arc::new(task) };
    let (publisher, current) = (running.publisher.clone(), Arc::clone(&at_work.task));
    let began = Instant::now();
    let work = at_work.process(started, Slot::clone(&slot));
    let ending = Box::pin(logs::scope(publisher, Some(current), work)).await;
    running.quick.store(began.elapsed() < QUICK, Ordering::Relaxed);
    if let Some(ending) = ending {
        Arc::clone(running).end(Ended { ending, slot: Some(slot), held });
    }
}

/// A readable task in our hands.
struct AtWork<'a> {
    running: &'a Running,
    task: Arc<Task>,
    /// The record as we have last read or written it.
    seen: Seen,
}

impl AtWork<'_> {
    /// From claimed to its end, which is given when it is still to be written; `started` when the
    /// record says so already.
    async fn process(&mut self, started: bool, slot: Slot) -> Option<Ending> {
        let running = self.running;
        let uid = self.task.uid().to_owned();
        if !self.task.status().is_pending() {
            tracing::info!("task {} was cancelled, or is done already", self.task.task_uid());
            running.let_go(uid.as_bytes(), None).await;
            return None;
        }
        match running.filters.matches(self.task.headers()) {
            Ok(true) => {}
            Ok(false) => {
                tracing::info!("Task rejected because binds are no longer valid");
                return Some(self.end(TaskState::Finished, Vec::new(), Counted::Nothing));
            }
            Err(error) => {
                tracing::error!("filters cannot be evaluated: {error}");
                return Some(self.end(TaskState::Crashed, vec![format!("{error}\n")], Counted::Crashed));
            }
        }
        tracing::info!("Received new task - {uid}");
        if !started && !self.mark_started().await {
            return None;
        }
        running.before(&self.task).await;
        let outcome = running.handle(&self.task, slot).await.map_err(Arc::new);
        running.after(&self.task, outcome.as_ref().err()).await;
        match outcome {
            Ok(()) => {
                tracing::info!("Task done - {uid}");
                Some(self.end(TaskState::Finished, Vec::new(), Counted::Consumed))
            }
            Err(error) if error.is::<HandBack>() || waited_in_vain(&error) => {
                tracing::info!("task {} goes back to its queue: {error}", self.task.task_uid());
                running.give_back(vec![(Task::clone(&self.task), self.seen.clone())]).await;
                None
            }
            Err(error) if running.had_no_redis(&error) => {
                tracing::warn!("task {} goes back to its queue, as it had no Redis: {error:#}", self.task.task_uid());
                tokio::select! {
                    () = tokio::time::sleep(REDIS_COMES_BACK) => {}
                    () = running.hand_back.cancelled() => {}
                }
                running.give_back(vec![(Task::clone(&self.task), self.seen.clone())]).await;
                None
            }
            Err(error) => {
                if let Some(wait) = self.wait_before_retry(&error).await {
                    tracing::warn!("Failed to process task - {uid}: {error:#}; trying again in {} s", wait.as_secs_f64());
                    self.settle(|task| task.set_status(TaskState::Spawned), Move::Later(wait)).await;
                    return None;
                }
                tracing::error!("Failed to process task - {uid}: {error:#}");
                Some(self.end(TaskState::Crashed, error_lines(&error), Counted::Crashed))
            }
        }
    }

    /// False when the task must not be worked on.
    async fn mark_started(&mut self) -> bool {
        let mut task = Task::clone(&self.task);
        task.set_status(TaskState::Started);
        match self.write(&task, Move::Start).await {
            Some(Settled::Written) => {
                self.seen = Seen::of(task.to_json().as_bytes());
                self.task = Arc::new(task);
                true
            }
            Some(Settled::Gone | Settled::Changed) => {
                self.left_alone().await;
                false
            }
            None => false,
        }
    }

    fn end(&self, status: TaskState, error: Vec<String>, counted: Counted) -> Ending {
        let mut task = Task::clone(&self.task);
        if status == TaskState::Crashed {
            task.crash(error);
        } else {
            task.set_status(status);
        }
        Ending { task, seen: self.seen.clone(), counted, retried: self.running.retry.is_some() }
    }

    async fn settle(&mut self, change: impl FnOnce(&mut Task), to: Move) {
        let mut task = Task::clone(&self.task);
        change(&mut task);
        if self.write(&task, to).await == Some(Settled::Changed) {
            self.left_alone().await;
        }
    }

    async fn write(&self, task: &Task, to: Move) -> Option<Settled> {
        self.running.insist("write the status of", || self.running.backend.move_on(task, &self.seen, to)).await
    }

    async fn left_alone(&self) {
        self.running.left_alone(&self.task).await;
    }

    /// When to try again after `error`; none for now or never.
    async fn wait_before_retry(&self, error: &anyhow::Error) -> Option<Duration> {
        let policy = self.running.retry.as_ref().filter(|policy| policy.is_for(error))?;
        let retries = self.running.insist("read how often we tried", || self.running.backend.attempts(self.task.uid())).await;
        policy.wait(retries.unwrap_or(0).saturating_add(1))
    }
}

/// Whether a handler was waiting for a server when the service had to stop.
fn waited_in_vain(error: &anyhow::Error) -> bool {
    causes(error).any(|cause| matches!(cause, Error::Stopped(_)))
}

/// The errors of this library among the causes of an error.
fn causes(error: &anyhow::Error) -> impl Iterator<Item = &Error> {
    error.downcast_ref().into_iter().chain(error.chain().filter_map(|cause| cause.downcast_ref()))
}

fn hook_failed(kind: &str, outcome: anyhow::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!("{kind}-hook failed, the task goes on: {error:#}");
    }
}
