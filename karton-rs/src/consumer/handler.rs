//! What a service author gives us to run: handlers and hooks, and how their panics are caught.
//!
//! The one rule: nothing that a handler or hook does ends the consumer. A panic becomes an error with
//! its message, its place and its backtrace.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Once};
use std::task::Poll;
use std::time::Duration;

use crate::{blocking::BlockingKarton, karton::Karton, task::Task};

pub(super) type Work = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;
pub(super) type PreHook = dyn Fn(Karton, Arc<Task>) -> Work + Send + Sync;
pub(super) type PostHook = dyn Fn(Karton, Arc<Task>, Option<Arc<anyhow::Error>>) -> Work + Send + Sync;

/// The work of a service on one task.
#[derive(Clone)]
pub(crate) enum Handler {
    Async(Arc<dyn Fn(Karton, Task) -> Work + Send + Sync>),
    /// Runs on a thread of its own.
    Blocking(Arc<dyn Fn(BlockingKarton, Task) -> anyhow::Result<()> + Send + Sync>),
}

/// A handler or hook panicked.
#[derive(Debug, thiserror::Error)]
#[error("panicked: {message}")]
pub(super) struct Panicked {
    message: String,
    /// Where, and through which calls.
    pub(super) trace: String,
}

/// How long a task waits to go back to its queue when there is no thread for it.
const NO_THREAD: Duration = Duration::from_secs(1);
/// The longest trace that is kept, in bytes.
const LONGEST_TRACE: usize = 32 << 10;

thread_local! {
    /// Set while code runs whose panics are caught; the hook puts the trace there.
    static TRACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

impl Handler {
    /// Runs the handler to its end. `slot` is let go when it has really ended: a blocking handler
    /// cannot be stopped when nobody waits for it any more.
    pub(crate) async fn run<S: Send + 'static>(&self, karton: Karton, task: Task, slot: S) -> anyhow::Result<()> {
        match self {
            Self::Async(handler) => {
                // The handler is called in there too: it may panic before it gives its future.
                let outcome = caught(async move { handler(karton, task).await }).await;
                drop(slot);
                outcome
            }
            Self::Blocking(handler) => {
                let handler = Arc::clone(handler);
                let karton = BlockingKarton::new(karton, tokio::runtime::Handle::current());
                let (span, scope) = (tracing::Span::current(), crate::logs::Inherited::here());
                let (runtime, (tell, told)) = (tokio::runtime::Handle::current(), tokio::sync::oneshot::channel());
                let work = move || {
                    let _in_runtime = runtime.enter();
                    let outcome = span.in_scope(|| scope.run(|| guarded(|| handler(karton, task))));
                    drop(slot);
                    // Nobody may wait for it any more.
                    let _ = tell.send(outcome);
                };
                // Not one of the runtime's: those are needed for what handlers wait for, as files.
                if let Err(error) = std::thread::Builder::new().name("handler".to_owned()).spawn(work) {
                    // Others end meanwhile, and it is not the fault of the task.
                    tokio::time::sleep(NO_THREAD).await;
                    return Err(super::HandBack(format!("no thread can be started: {error}")).into());
                }
                told.await.map_err(|_| anyhow::anyhow!("the thread of the handler is gone"))??
            }
        }
    }
}

/// Runs a future; a panic in it is an error.
pub(super) async fn caught(future: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| match guarded(|| future.as_mut().poll(context)) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Runs code; a panic in it is an error.
fn guarded<T>(code: impl FnOnce() -> T) -> anyhow::Result<T> {
    install_hook();
    let outer = TRACE.replace(Some(String::new()));
    let outcome = catch_unwind(AssertUnwindSafe(code));
    let trace = TRACE.replace(outer).unwrap_or_default();
    outcome.map_err(|panic| Panicked { message: message_of(panic.as_ref()), trace }.into())
}

/// From now on a panic that is caught here leaves a trace instead of a message on stderr.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let caught = TRACE.with_borrow_mut(|slot| slot.as_mut().map(|trace| *trace = trace_of(panic)).is_some());
            if !caught {
                before(panic);
            }
        }));
    });
}

fn trace_of(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map(|place| format!("at {place}\n")).unwrap_or_default();
    let mut trace = format!("{place}{}", Backtrace::force_capture());
    trace.truncate(trace.floor_char_boundary(LONGEST_TRACE));
    trace
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// An error in the form of the record: pieces of text, each ending in a newline.
pub(super) fn error_lines(error: &anyhow::Error) -> Vec<String> {
    let mut lines = vec![format!("Error: {error}\n")];
    lines.extend(error.chain().skip(1).map(|cause| format!("Caused by: {cause}\n")));
    if let Some(panic) = error.downcast_ref::<Panicked>() {
        lines.push(format!("{}\n", panic.trace.trim_end()));
    } else if error.backtrace().status() == std::backtrace::BacktraceStatus::Captured {
        lines.push(format!("{}\n", error.backtrace().to_string().trim_end()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_message_place_and_backtrace() {
        let error = caught(async { panic!("no {}", "good") }).await.expect_err("an error");
        let lines = error_lines(&error);
        assert_eq!(lines[0], "Error: panicked: no good\n");
        assert!(lines[1].starts_with(&format!("at {}:", file!())), "{}", lines[1]);
        assert!(lines[1].contains("error_with_message_place"), "{}", lines[1]);
    }

    #[tokio::test]
    async fn a_panic_after_an_await_is_caught_and_a_good_end_is_passed_on() {
        let late = caught(async {
            tokio::task::yield_now().await;
            std::panic::panic_any(7)
        });
        assert_eq!(late.await.expect_err("an error").to_string(), "panicked: no message");
        assert!(caught(async { Ok(()) }).await.is_ok());
    }
}
