//! The tasks of an analysis that have crashed: what pages tell of them, and starting them again.
//!
//! The API of MWDB does not know them; there an analysis with crashed tasks is finished. The one rule:
//! what is told is bounded, because a service may crash a thousand times and write a novel each time.

use std::collections::HashSet;

use karton_rs::TaskState;

use super::{Connected, Link, analysis::within};
use crate::error::{ApiError, ApiResult};

/// How many kinds of crashes are told of one analysis.
const TOLD: usize = 8;
/// How much is told of the last line of an error.
const LONGEST: usize = 300;
/// How much is told of a whole error, in bytes: half of it from its beginning, half from its end.
const LONGEST_WHOLE: usize = 6 << 10;
/// How much is told of the whole errors of one analysis. Many analyses are remembered.
const ALL_WHOLE: usize = 12 << 10;
/// How many tasks one click starts again.
const MOST: usize = 500;

/// What has crashed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Crashes {
    /// All tasks that have crashed.
    pub(crate) count: usize,
    /// Those of them that can be started again: their records are still there.
    pub(crate) restartable: usize,
    /// Some of them, alike ones told once.
    pub(crate) told: Vec<Crash>,
}

/// Tasks of one service that ended with the same words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crash {
    /// Nothing for a task that was never routed.
    pub(crate) service: Option<String>,
    /// The last line of the error.
    pub(crate) error: Option<String>,
    /// All of the error, or its beginning and its end, when it has several lines.
    pub(crate) whole: Option<String>,
    pub(crate) count: usize,
}

impl Crashes {
    pub(super) const NONE: Self = Self { count: 0, restartable: 0, told: Vec::new() };

    pub(super) fn of(analysis: &karton_rs::Analysis) -> Self {
        let mut crashes = Self::NONE;
        let mut seen = HashSet::new();
        for task in analysis.tasks().iter().filter(|task| task.status() == TaskState::Crashed) {
            let receiver = task.header_str("receiver");
            crashes.restartable += usize::from(receiver.is_some());
            crashes.tell(receiver, &task.error().concat());
            seen.insert(task.uid());
        }
        // Of those whose records were collected only the beginning of the error is known.
        for task in analysis.history().iter().filter(|task| task.status == TaskState::Crashed && !seen.contains(task.uid.as_str())) {
            crashes.tell(task.receiver(), task.error.as_deref().unwrap_or_default());
        }
        crashes
    }

    fn tell(&mut self, service: Option<&str>, text: &str) {
        self.count += 1;
        let (service, error) = (service.map(bounded), last_line(text).map(bounded));
        if let Some(crash) = self.told.iter_mut().find(|crash| crash.service == service && crash.error == error) {
            crash.count += 1;
        } else if self.told.len() < TOLD {
            let room = ALL_WHOLE - self.told.iter().filter_map(|crash| crash.whole.as_ref()).map(String::len).sum::<usize>();
            let whole = several_lines(text).map(|text| both_ends(text, LONGEST_WHOLE)).filter(|whole| whole.len() <= room);
            self.told.push(Crash { service, error, whole, count: 1 });
        }
    }
}

/// A text without what is empty around it, when it has more than one line.
fn several_lines(text: &str) -> Option<&str> {
    let text = text.trim_matches('\n').trim_end();
    text.contains('\n').then_some(text)
}

/// Where an error begins is what failed in Rust, where it ends in Python.
fn both_ends(text: &str, most: usize) -> String {
    const CUT: &str = "\n[…]\n";
    if text.len() <= most {
        return text.to_owned();
    }
    let half = (most - CUT.len()) / 2;
    let (start, end) = (text.floor_char_boundary(half), text.ceil_char_boundary(text.len() - half));
    format!("{}{CUT}{}", &text[..start], &text[end..])
}

fn last_line(text: &str) -> Option<&str> {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty())
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl Link {
    /// Starts the crashed tasks of an analysis again, at most [`MOST`] of them; gives how many.
    pub(crate) async fn restart_crashed(&self, id: &str) -> ApiResult<usize> {
        let Some(connected) = &self.0 else { return Err(ApiError::Unavailable("Karton is not enabled on this server".to_owned())) };
        let started = connected.restart_crashed(id).await;
        // Whatever was done: the next look is a new one.
        connected.states.forget(id);
        started.map_err(|problem| {
            tracing::warn!(analysis = id, "crashed tasks cannot be started again: {problem}");
            ApiError::Unavailable("Karton does not answer, try again".to_owned())
        })
    }
}

impl Connected {
    async fn restart_crashed(&self, id: &str) -> Result<usize, String> {
        let ids = [id.to_owned()];
        let Some(analysis) = self.look(&ids).await?.pop() else { return Ok(0) };
        let crashed = analysis.tasks().iter().filter(|task| task.status() == TaskState::Crashed);
        let mut started = 0;
        for task in crashed.filter(|task| task.header_str("receiver").is_some()).take(MOST) {
            let copy = within(super::analysis::PATIENCE, self.karton.restart(task.uid())).await?;
            started += usize::from(copy.is_some());
        }
        Ok(started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_that_are_alike_are_told_once_and_few_are_told() {
        let mut crashes = Crashes::default();
        for _ in 0..3 {
            crashes.tell(Some("karton.a"), "ValueError: no");
        }
        crashes.tell(Some("karton.b"), "ValueError: no");
        for number in 0..20 {
            crashes.tell(None, &format!("{number} {}", "ä".repeat(1000)));
        }
        assert_eq!((crashes.count, crashes.told.len(), crashes.told[0].count), (24, TOLD, 3));
        assert!(crashes.told.iter().all(|crash| crash.error.as_ref().is_none_or(|error| error.chars().count() <= LONGEST + 1)));
    }

    #[test]
    fn a_whole_error_is_told_when_it_has_lines_and_never_too_much_of_it() {
        let mut crashes = Crashes::NONE;
        crashes.tell(Some("a"), "Error: one line\n");
        crashes.tell(Some("a"), "Traceback:\n  x\nValueError: no\n\n");
        assert_eq!((crashes.told[0].whole.as_deref(), crashes.told[0].error.as_deref()), (None, Some("Error: one line")));
        assert_eq!(crashes.told[1].whole.as_deref(), Some("Traceback:\n  x\nValueError: no"));
        for number in 0..TOLD {
            crashes.tell(Some("b"), &format!("first\n{}\nlast {number}", "ä".repeat(1 << 20)));
        }
        let told: Vec<&String> = crashes.told.iter().filter_map(|crash| crash.whole.as_ref()).collect();
        assert!(told.iter().map(|whole| whole.len()).sum::<usize>() <= ALL_WHOLE);
        assert!(told[1].starts_with("first\nä") && told[1].ends_with("ä\nlast 0") && told[1].len() <= LONGEST_WHOLE, "{}", told[1].len());
    }

    #[test]
    fn the_last_line_that_says_something_is_told() {
        assert_eq!(last_line("Traceback\n  File x\nValueError: no\n\n"), Some("ValueError: no"));
        assert_eq!(last_line(" \n"), None);
    }
}
