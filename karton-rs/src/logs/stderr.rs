//! Log lines on their way to stderr.
//!
//! The one rule: a line is written before the code that logged it goes on. Only [`together`] lets lines wait, for
//! each other and in its own thread: then they are one system call.

use std::cell::RefCell;
use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

thread_local! {
    /// What waits in this thread; nothing outside of [`together`].
    static WAITING: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Bytes that may wait: beyond this they are written on the way.
const MOST_WAITING: usize = 64 << 10;

/// Stderr as the writer of a [`tracing_subscriber::fmt::layer`]: as [`std::io::stderr`], but what the broker logs
/// about one batch of tasks is one system call.
///
/// ```
/// use karton_rs::{PublishLayer, Stderr};
/// use tracing_subscriber::prelude::*;
///
/// let lines = tracing_subscriber::fmt::layer().with_writer(Stderr);
/// let subscriber = tracing_subscriber::registry().with(lines).with(PublishLayer);
/// # let _ = subscriber;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Stderr;

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let waits = WAITING.with_borrow_mut(|waiting| {
            let Some(waiting) = waiting else { return Ok(false) };
            if waiting.len() + bytes.len() > MOST_WAITING {
                io::stderr().write_all(&std::mem::take(waiting))?;
            }
            waiting.extend_from_slice(bytes);
            Ok::<_, io::Error>(true)
        });
        if waits? { Ok(bytes.len()) } else { io::stderr().write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `code`; the lines that it logs are written when it ends, by a panic as well.
pub(crate) fn together(code: impl FnOnce()) {
    /// Writes what waits.
    struct End;

    impl Drop for End {
        fn drop(&mut self) {
            let lines = WAITING.take().unwrap_or_default();
            // When stderr is gone, there is nowhere to tell it.
            let _ = io::stderr().write_all(&lines);
        }
    }

    WAITING.set(Some(Vec::new()));
    let _end = End;
    code();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(line: &[u8]) {
        Stderr.write_all(line).expect("stderr takes it");
    }

    fn waiting() -> Option<usize> {
        WAITING.with_borrow(|waiting| waiting.as_ref().map(Vec::len))
    }

    #[test]
    fn lines_wait_for_each_other_only_where_that_was_asked_for() {
        let line = b"one line of the tests of the log\n";
        log(line);
        assert_eq!(waiting(), None);
        together(|| {
            log(line);
            log(line);
            assert_eq!(waiting(), Some(2 * line.len()));
        });
        assert_eq!(waiting(), None);
    }

    #[test]
    fn not_more_waits_than_there_is_room_for_and_nothing_after_a_panic() {
        // Nothing that is seen in the output of the tests.
        let line = [b'\r'; 100];
        together(|| {
            for _ in 0..MOST_WAITING / 50 {
                log(&line);
                assert!(waiting().is_some_and(|waiting| waiting <= MOST_WAITING));
            }
        });
        let caught = std::panic::catch_unwind(|| {
            together(|| {
                log(&line);
                panic!("in the middle");
            });
        });
        assert!(caught.is_err());
        assert_eq!(waiting(), None);
    }
}
