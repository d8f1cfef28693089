//! What libmagic says of a file, asked on threads that hold its database.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use anyhow::Context;
use tokio::sync::oneshot;

/// libmagic is fast, but a hostile file can keep it busy for a while: the others go on.
const THREADS: usize = 2;
/// How long a file waits for its turn and its description.
const LONGEST: Duration = Duration::from_secs(10);
/// The description when libmagic has none.
const UNKNOWN: &str = "data";

type Question = (PathBuf, oneshot::Sender<String>);

/// Asks libmagic; cheap to clone.
#[derive(Clone)]
pub(crate) struct Magic {
    questions: mpsc::Sender<Question>,
}

impl Magic {
    /// Starts the threads.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let (questions, inbox) = mpsc::channel::<Question>();
        let inbox = Arc::new(Mutex::new(inbox));
        for _ in 0..THREADS {
            let inbox = Arc::clone(&inbox);
            std::thread::Builder::new().name("libmagic".to_owned()).spawn(move || answer(&inbox)).context("start a thread")?;
        }
        Ok(Self { questions })
    }

    /// The description of a file, in the words of `file`. It is asked for at once, and waited for with what this gives.
    pub(crate) fn describe(&self, path: PathBuf) -> impl Future<Output = String> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        // Without a thread that takes the question, its channel is closed.
        let _ = self.questions.send((path, reply));
        async {
            let Ok(described) = tokio::time::timeout(LONGEST, answer).await else {
                tracing::warn!("libmagic has no answer after {} s: a file is called `{UNKNOWN}`", LONGEST.as_secs());
                return UNKNOWN.to_owned();
            };
            described.unwrap_or_else(|_| UNKNOWN.to_owned())
        }
    }
}

fn answer(inbox: &Mutex<mpsc::Receiver<Question>>) {
    let cookie = magic::Cookie::open(magic::cookie::Flags::default())
        .map_err(|error| error.to_string())
        .and_then(|cookie| cookie.load(&magic::cookie::DatabasePaths::default()).map_err(|error| error.to_string()));
    if let Err(error) = &cookie {
        tracing::error!("libmagic cannot be used, every file is called `{UNKNOWN}`: {error}");
    }
    loop {
        // The lock is held while waiting: the threads take turns.
        let Ok(question) = inbox.lock().map(|inbox| inbox.recv()) else { return };
        let Ok((path, reply)) = question else { return };
        if reply.is_closed() {
            continue;
        }
        let described = cookie.as_ref().ok().and_then(|cookie| match cookie.file(&path) {
            Ok(text) => Some(text),
            Err(error) => {
                tracing::warn!("libmagic on `{}`: {error}", path.display());
                None
            }
        });
        // Nobody listens when the request is gone.
        let _ = reply.send(described.unwrap_or_else(|| UNKNOWN.to_owned()));
    }
}
