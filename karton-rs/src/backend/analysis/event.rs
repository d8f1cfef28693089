//! The event that tells of the end of an analysis.

use serde::{Deserialize, Serialize};

use super::outline::Outline;

/// An analysis has ended: what the broker publishes then on the channel `karton.rs.analysis`, as JSON.
///
/// ```
/// let event = karton_rs::AnalysisEnded::from_json(
///     r#"{"root_uid": "r", "status": "crashed", "tasks": 3, "crashed": 1, "started": 10.0, "ended": 12.5}"#,
/// ).expect("an event");
/// assert_eq!((event.crashed, event.ended - event.started), (1, 2.5));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AnalysisEnded {
    /// Which one.
    pub root_uid: String,
    /// `finished`, or `crashed` when a task of it has crashed.
    pub status: String,
    /// How many tasks were routed to consumers.
    pub tasks: usize,
    /// How many of them have crashed.
    pub crashed: usize,
    /// Unix time of its first task.
    pub started: f64,
    /// Unix time of its last change.
    pub ended: f64,
}

impl AnalysisEnded {
    /// Of an analysis without an open task; `crashed` counts what its records say, too.
    pub(crate) fn of(root_uid: &str, outline: &Outline, crashed: usize, now: f64) -> Self {
        Self {
            root_uid: root_uid.to_owned(),
            status: if crashed > 0 { "crashed" } else { "finished" }.to_owned(),
            tasks: outline.tasks,
            crashed,
            started: outline.started.unwrap_or(now),
            ended: outline.ended.unwrap_or(now),
        }
    }

    /// Reads an event; nothing when it is something else.
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The event as it is published.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
