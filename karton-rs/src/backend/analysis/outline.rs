//! Of what is known of an analysis, that which tells whether it has ended.
//!
//! The one rule: it is read for each open analysis again and again, so it builds no headers.

use std::collections::{HashMap, HashSet};

use super::entry::{Origin, read_end};
use crate::task::TaskState;

/// How far an analysis has come.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Outline {
    /// How many tasks were routed to consumers.
    pub(crate) tasks: usize,
    /// Tasks whose end nobody has told: what their records say, or that they have none, counts.
    pub(crate) open: Vec<String>,
    /// How many are known to have crashed.
    pub(crate) crashed: usize,
    /// Unix time of the first task.
    pub(crate) started: Option<f64>,
    /// Unix time of the last known end.
    pub(crate) ended: Option<f64>,
}

impl Outline {
    /// Reads the fields of an analysis; what is no text is none of them.
    pub(super) fn read(fields: &[(Vec<u8>, Vec<u8>)]) -> Self {
        let mut outline = Self::default();
        let mut open = HashSet::new();
        let (mut starts, mut ends) = (Vec::new(), HashMap::new());
        for (field, value) in fields {
            let (Ok(field), Ok(value)) = (std::str::from_utf8(field), std::str::from_utf8(value)) else { continue };
            if let Some(uid) = field.strip_suffix(":f") {
                ends.insert(uid, value);
            } else if let Some(uid) = field.strip_suffix(":s") {
                starts.push(uid);
            } else if let Some((origin, _)) = Origin::read(value) {
                outline.started = Some(outline.started.map_or(origin.time, |started| started.min(origin.time)));
                outline.ends_at(origin.routed);
                outline.tasks += origin.forks.len() + usize::from(origin.orig_uid.is_some());
                if origin.routed.is_none() {
                    open.insert(field.to_owned());
                }
                open.extend(origin.forks.into_iter().map(|(uid, _)| uid));
            }
        }
        // Routed by somebody else, and not found yet.
        for uid in starts {
            outline.tasks += usize::from(open.insert(uid.to_owned()));
        }
        for (uid, value) in ends {
            let Some((status, time, _)) = read_end(value) else { continue };
            if open.remove(uid) {
                outline.crashed += usize::from(status == TaskState::Crashed);
                outline.ends_at(Some(time));
            }
        }
        outline.open = open.into_iter().collect();
        outline
    }

    fn ends_at(&mut self, time: Option<f64>) {
        self.ended = time.map_or(self.ended, |time| Some(self.ended.map_or(time, |ended| ended.max(time))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_open() {
        let fields = [
            ("a", "{\"t\":5.0,\"e\":5.5,\"f\":[[\"b\",\"karton.x\"],[\"c\",\"karton.y\"]]}\n{}"),
            ("b:s", "6.0"),
            ("b:f", "[\"Crashed\",7.5,\"why\"]"),
            ("d", "{\"o\":\"a\",\"t\":4.0}\n{}"),
            ("y:s", "6.5"),
            ("x:f", "[\"Crashed\",9.0,null]"),
            ("full", "1"),
            ("ended", "{}"),
        ];
        let outline = Outline::read(&fields.map(|(field, value)| (field.as_bytes().to_vec(), value.as_bytes().to_vec())));
        let mut open = outline.open.clone();
        open.sort();
        assert_eq!((open, outline.tasks, outline.crashed), (vec!["c".to_owned(), "d".to_owned(), "y".to_owned()], 4, 1));
        assert_eq!((outline.started, outline.ended), (Some(4.0), Some(7.5)));
    }
}
