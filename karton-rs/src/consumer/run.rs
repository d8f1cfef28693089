//! The loop of a consumer: registers its bind, takes tasks while there is room, and stops cleanly.

use std::future::Future;
use std::pin::Pin;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _, stream::FuturesOrdered};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Consumer, RetryPolicy,
    ahead::Ahead,
    claims::{Claims, Renewal, lease_timeout},
    ends::{Ended, Ends},
    queue::{Queue, Room, Taken},
};
use crate::{
    backend::{Backend, Bind, Settled},
    config::{Config, ConfigError, ServiceSettings},
    error::Error,
    filters::Filters,
    karton::Karton,
    logs::{self, Publisher},
    service::Outage,
};

/// How long a stopping consumer lets running tasks go on before it hands them back.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);

/// How long handing back may take.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// How long running tasks may go on, as the configuration says.
fn stop_timeout(config: &Config) -> Result<Duration, ConfigError> {
    let seconds = config.int("karton", "stop_timeout")?.and_then(|seconds| u64::try_from(seconds).ok());
    Ok(seconds.map_or(STOP_TIMEOUT, Duration::from_secs))
}

/// How long a consumer takes to stop at most, unless its handlers never wait.
pub(crate) fn longest_stop(config: &Config) -> Result<Duration, ConfigError> {
    Ok(stop_timeout(config)?.saturating_add(LAST_WRITES))
}

/// Why [`Consumer::run`] ended.
///
/// ```
/// assert_ne!(karton_rs::StopReason::Shutdown, karton_rs::StopReason::BindReplaced);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// It was told to.
    Shutdown,
    /// A newer replica has registered another bind; this one retires.
    BindReplaced,
}

/// More tasks at once than this are not run, whatever is configured.
const MOST_TASKS: usize = 10_000;

/// No more tasks than this are taken in one turn, however many may run.
const MOST_AT_ONCE: usize = 64;

/// A quick service takes as many tasks ahead as it runs at once, and no fewer than this.
const FEWEST_AHEAD: usize = 4;

/// The right to run one task. Shared with a blocking handler, which keeps it until it has really ended.
pub(super) type Slot = Arc<OwnedSemaphorePermit>;

type Waiting<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// How often a consumer that tries tasks again looks for those whose wait is over: the broker does so
/// too, unless it is one that knows nothing of waits.
const DELAYED_INTERVAL: Duration = Duration::from_secs(1);

/// Everything that the work on tasks needs.
pub(super) struct Running {
    pub(super) consumer: Consumer,
    pub(super) backend: Backend,
    pub(super) karton: Karton,
    pub(super) filters: Filters,
    pub(super) publisher: Option<Publisher>,
    pub(super) task_timeout: Option<Duration>,
    pub(super) retry: Option<RetryPolicy>,
    pub(super) signaling: bool,
    /// The last task took little time.
    pub(super) quick: AtomicBool,
    /// Cancelled when running tasks must let go.
    pub(super) hand_back: CancellationToken,
    /// Cancelled when what became of tasks can wait no longer for Redis.
    pub(super) give_up: CancellationToken,
    pub(super) queue: Queue,
    /// With each task that is held: what is dropped in the middle of its work has an end, too.
    #[expect(dead_code, reason = "held, not read")]
    renewal: Renewal,
    /// Where ends are handed over to the loop.
    pub(super) ends: mpsc::UnboundedSender<Ended>,
    /// All tasks in our hands, until what became of them is written.
    pub(super) work: TaskTracker,
    bind: Bind,
}

impl Consumer {
    /// Registers the bind and processes tasks until `shutdown` or until a newer replica takes over.
    ///
    /// While Redis is away it waits and tries again. On shutdown no new task is taken; running ones
    /// may go on for `[karton] stop_timeout` seconds (60) and are then handed back to their queue, which
    /// takes ten seconds at most.
    ///
    /// # Errors
    /// When the configuration or the filters cannot be used.
    pub async fn run(self, config: &Config, shutdown: CancellationToken) -> Result<StopReason, Error> {
        let settings = ServiceSettings::of_loop(config, &self.options.identity)?;
        let backend = Backend::new(config, &settings.identity, "")?;
        let publisher = Publisher::start(&backend, &settings);
        let concurrency = settings.concurrency.unwrap_or(self.options.concurrency).min(MOST_TASKS);
        let stop_timeout = stop_timeout(config)?;
        let bind = self.bind(&settings);
        let (ends, arriving) = mpsc::unbounded_channel();
        let claims = Arc::new(Claims::new(lease_timeout(config)?));
        let hand_back = CancellationToken::new();
        let running = Arc::new(Running {
            renewal: Renewal::start(Arc::clone(&claims), backend.beside(config)?, backend.clone())?,
            filters: Filters::compile(&self.options.filters)?,
            task_timeout: self.options.task_timeout.or(settings.task_timeout).filter(|timeout| !timeout.is_zero()),
            retry: RetryPolicy::configured(self.options.retry.clone(), config)?,
            signaling: config.bool("signaling", "status")?.unwrap_or(false),
            karton: Karton::from_backend(backend.clone(), config).with_stop(shutdown.clone()).patient_until(hand_back.clone()),
            quick: AtomicBool::new(false),
            publisher: publisher.clone(),
            hand_back,
            give_up: CancellationToken::new(),
            queue: Queue::new(config, bind.clone(), claims)?,
            ends,
            work: TaskTracker::new(),
            bind,
            backend,
            consumer: self,
        });
        let slots = Arc::new(Semaphore::new(concurrency));
        let mut ends = Ends::new(&running, arriving);
        let work = async {
            let reason = running.take_tasks(&slots, concurrency, &mut ends, &shutdown).await;
            running.drain(&mut ends, stop_timeout).await;
            reason
        };
        let reason = tokio::select! {
            reason = Box::pin(logs::scope(publisher, None, work)) => reason,
            () = running.end_waits(), if running.retry.is_some() => StopReason::Shutdown,
        };
        tracing::info!("Service {} stopped", running.bind.identity);
        Ok(reason)
    }

    fn bind(&self, settings: &ServiceSettings) -> Bind {
        let mut bind = Bind::new(&settings.identity, self.options.filters.clone());
        bind.info = self.options.info.clone().into();
        bind.service_version = self.options.version.clone().into();
        bind.persistent = settings.persistent.unwrap_or(self.options.persistent);
        bind
    }
}

impl Running {
    async fn register(&self) -> Result<(), Error> {
        let bind = &self.bind;
        self.queue.open().await?;
        let old = self.backend.register_bind(bind).await?;
        match old.and_then(|old| crate::backend::readable_bind(&bind.identity, &old)) {
            Some(old) if old == *bind => {}
            Some(_) => tracing::info!("Service binds updated"),
            None => tracing::info!("Service binds created"),
        }
        for rule in bind.filters.as_array().unwrap_or_default() {
            tracing::info!("Binding on: {rule}");
        }
        tracing::info!("Service {} started", bind.identity);
        Ok(())
    }

    /// Turn by turn: writes what has ended and takes as many tasks as there is room for. While tasks come as fast as
    /// they are taken, two turns are under way, each for half of the slots: then Redis and handlers work at the same time.
    /// A quick service takes some more than it has slots for, see [`Ahead`].
    async fn take_tasks(
        self: &Arc<Self>,
        slots: &Arc<Semaphore>,
        concurrency: usize,
        ends: &mut Ends,
        shutdown: &CancellationToken,
    ) -> StopReason {
        let most_ahead = concurrency.clamp(FEWEST_AHEAD, MOST_AT_ONCE);
        let share = (concurrency + most_ahead).div_ceil(2).min(MOST_AT_ONCE);
        let mut ahead = Ahead::new(most_ahead);
        // Those that turns under way may bring.
        let mut coming = 0;
        let mut returning: Option<JoinHandle<()>> = None;
        let mut turns_beside = false;
        let mut outage = Outage::default();
        let mut registered = false;
        let mut ended = Vec::new();
        let mut turns = FuturesOrdered::new();
        let mut queue = Supply::Unknown;
        // It outlives a turn: dropped, it might swallow the sign of a task.
        let mut sign: Option<Waiting<'_>> = None;
        let reason = loop {
            if shutdown.is_cancelled() {
                break StopReason::Shutdown;
            }
            if !registered && turns.is_empty() {
                match self.register().await {
                    Ok(()) => registered = true,
                    Err(error) => {
                        outage.wait(&error, shutdown).await;
                        continue;
                    }
                }
            }
            if sign.as_mut().is_some_and(|waiting| waiting.now_or_never().is_some()) {
                (sign, queue) = (None, Supply::Unknown);
            }
            ends.drain(&mut ended);
            self.start_next(&mut ahead, slots, &mut ended);
            // While a turn may bring more, what comes back would not stand in its order; nor while it is on its way.
            if turns.is_empty() && ahead.is_overdue() {
                returning = Some(self.put_back(ahead.take_all()));
            }
            while registered && returning.is_none() && turns.len() < queue.turns() {
                // Two over one connection are answered in their order.
                let beside = sign.is_some();
                if !turns.is_empty() && beside != turns_beside {
                    break;
                }
                let mut part: Vec<Ended> = ended.drain(..ended.len().min(share)).collect();
                if part.is_empty() && queue == Supply::Nothing {
                    break;
                }
                let free = free_slots(slots, &mut part).take(share).collect::<Vec<_>>();
                if part.is_empty() && free.is_empty() {
                    break;
                }
                let idle = turns.is_empty() && ahead.len() == 0 && slots.available_permits() + free.len() == concurrency;
                let quick = self.quick.load(Ordering::Relaxed);
                let more = if quick { ahead.room(coming).min(MOST_AT_ONCE.saturating_sub(free.len())) } else { 0 };
                coming += more;
                turns.push_back(self.turn(part, free, more, idle, beside));
                turns_beside = beside;
            }
            // Who could not start a task takes the sign of one from those who could.
            let idle = turns.is_empty() && returning.is_none() && queue == Supply::Nothing && slots.available_permits() > 0;
            if idle && sign.is_none() {
                sign = Some(Box::pin(self.queue.wait()));
            }
            let turn = tokio::select! {
                Some(turn) = turns.next() => turn,
                end = ends.next() => {
                    ended.push(end);
                    continue;
                }
                () = ahead.overdue(), if turns.is_empty() => continue,
                () = returned(&mut returning) => {
                    (returning, queue) = (None, Supply::Unknown);
                    continue;
                }
                outcome = signed(&mut sign) => {
                    (sign, queue) = (None, Supply::Unknown);
                    if let Err(error) = outcome {
                        outage.wait(&error, shutdown).await;
                    }
                    continue;
                }
                // Of a blocking handler that nobody waited for. The semaphore is never closed.
                slot = Arc::clone(slots).acquire_owned(), if turns.is_empty() && returning.is_none() && !idle => {
                    drop(slot);
                    continue;
                }
                () = shutdown.cancelled() => continue,
            };
            let Turn { ended: written, free, more, outcome } = turn;
            coming -= more;
            match outcome {
                Ok((settled, taken)) => {
                    outage.over();
                    self.settled(written, settled);
                    match taken {
                        Taken::Tasks(tasks) => {
                            queue = Supply::after(tasks.len(), free.len() + more, queue);
                            let free =
                                if tasks.iter().any(|task| task.alone) { all_slots(slots, free).into_iter().collect() } else { free };
                            ahead.extend(tasks.into_iter().filter_map(|task| self.hold(task)));
                            // A service that stops puts them back.
                            let free = free.into_iter().filter(|_| !shutdown.is_cancelled());
                            for (slot, hand) in free.zip(std::iter::from_fn(|| ahead.next())) {
                                self.start(hand, Arc::new(slot));
                            }
                        }
                        Taken::BindReplaced => {
                            tracing::info!("Binds changed, shutting down: a replica with another bind took over");
                            break StopReason::BindReplaced;
                        }
                        Taken::BindMissing => {
                            if std::mem::take(&mut registered) {
                                tracing::warn!("bind was deleted, registering it again");
                            }
                        }
                    }
                }
                // What stands there afterwards decides: a replica that took over meanwhile is the newer one.
                Err(error) => {
                    queue = Supply::Unknown;
                    self.settle_alone(written);
                    drop(free);
                    outage.wait(&error, shutdown).await;
                }
            }
        };
        // What is under way may have taken tasks: they go back with those that were not begun.
        while let Some(Turn { ended: written, outcome, .. }) = turns.next().await {
            match outcome {
                Ok((settled, taken)) => {
                    self.settled(written, settled);
                    if let Taken::Tasks(tasks) = taken {
                        ahead.extend(tasks.into_iter().filter_map(|task| self.hold(task)));
                    }
                }
                Err(_) => self.settle_alone(written),
            }
        }
        self.put_back(ahead.take_all());
        self.settle_alone(ended);
        reason
    }

    /// One round trip: writes what has ended, and takes a task for each free slot, and `more`.
    async fn turn(&self, ended: Vec<Ended>, free: Vec<OwnedSemaphorePermit>, more: usize, idle: bool, waits: bool) -> Turn {
        let endings: Vec<_> = ended.iter().map(|ended| &ended.ending).collect();
        let outcome = self.queue.turn(&self.backend, waits, &endings, Room { slots: free.len(), more, idle }).await;
        Turn { ended, free, more, outcome }
    }

    /// Starts what was taken ahead in the slots of what has ended, and in free ones.
    fn start_next(&self, ahead: &mut Ahead, slots: &Arc<Semaphore>, ended: &mut [Ended]) {
        for slot in free_slots(slots, ended).take(ahead.len()) {
            if let Some(hand) = ahead.next() {
                self.start(hand, Arc::new(slot));
            }
        }
    }

    /// Queues tasks whose wait is over, for ever.
    async fn end_waits(&self) {
        let mut outage = Outage::default();
        loop {
            tokio::time::sleep(DELAYED_INTERVAL).await;
            match self.backend.queue_delayed().await {
                Ok(()) => outage.over(),
                Err(error) => outage.note("queue tasks whose wait is over", &error),
            }
        }
    }

    /// Waits for the tasks in our hands, and makes those that take too long go back.
    async fn drain(self: &Arc<Self>, ends: &mut Ends, patience: Duration) {
        self.work.close();
        if tokio::time::timeout(patience, self.wait_for_work(ends)).await.is_err() {
            self.hand_back.cancel();
            if tokio::time::timeout(LAST_WRITES, self.wait_for_work(ends)).await.is_err() {
                tracing::error!("stops with {} tasks in its hands: when the claims on them lapse they are queued again", self.work.len());
            }
        }
        self.give_up.cancel();
    }

    /// Waits until nothing is in our hands, and what has ended is written.
    async fn wait_for_work(self: &Arc<Self>, ends: &mut Ends) {
        let mut ended = Vec::new();
        loop {
            tokio::select! {
                end = ends.next() => ended.push(end),
                () = self.work.wait() => {}
            }
            // What ends last is handed over before its work counts as done.
            ends.drain(&mut ended);
            if ended.is_empty() {
                return;
            }
            self.settle_alone(std::mem::take(&mut ended));
        }
    }
}

/// The end of a wait for a sign; without one it takes for ever.
async fn signed(sign: &mut Option<Waiting<'_>>) -> Result<(), Error> {
    match sign {
        Some(waiting) => waiting.await,
        None => std::future::pending().await,
    }
}

/// The end of putting tasks back; without any it takes for ever.
async fn returned(returning: &mut Option<JoinHandle<()>>) {
    match returning {
        Some(returning) => {
            // It logs what went wrong, and a panic of it leaves the claims to lapse.
            let _ = returning.await;
        }
        None => std::future::pending().await,
    }
}

/// A turn that is over.
struct Turn {
    ended: Vec<Ended>,
    free: Vec<OwnedSemaphorePermit>,
    more: usize,
    outcome: Result<(Vec<Settled>, Taken), Error>,
}

/// What the last turn says of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Supply {
    /// There was less than there was room for, or nobody has looked.
    Unknown,
    /// There was nothing.
    Nothing,
    /// There was as much as there was room for.
    Plenty,
}

impl Supply {
    fn after(taken: usize, room: usize, before: Self) -> Self {
        match (taken, room) {
            // It took nothing because it could not.
            (_, 0) => before,
            (0, _) => Self::Nothing,
            (taken, room) if taken == room => Self::Plenty,
            _ => Self::Unknown,
        }
    }

    /// How many turns may be under way.
    fn turns(self) -> usize {
        if self == Self::Plenty { 2 } else { 1 }
    }
}

/// The free slots, first those of what has ended.
fn free_slots(slots: &Arc<Semaphore>, ended: &mut [Ended]) -> impl Iterator<Item = OwnedSemaphorePermit> {
    // Who had all of them gives one back here, and the others to who asks.
    let of_ended = ended.iter_mut().filter_map(|ended| Arc::into_inner(ended.slot.take()?)?.split(1));
    of_ended.chain(std::iter::from_fn(|| Arc::clone(slots).try_acquire_owned().ok()))
}

/// All slots as one, for a task that has nothing beside it. Nobody else has one.
fn all_slots(slots: &Arc<Semaphore>, free: Vec<OwnedSemaphorePermit>) -> Option<OwnedSemaphorePermit> {
    let rest = u32::try_from(slots.available_permits()).unwrap_or(u32::MAX);
    let rest = Arc::clone(slots).try_acquire_many_owned(rest).ok();
    free.into_iter().chain(rest).reduce(|mut all, slot| {
        all.merge(slot);
        all
    })
}
