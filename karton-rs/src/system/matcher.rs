//! The binds as the router uses them: filters compiled once for each version of a bind.
//!
//! The one rule: a bind or filter that cannot be used is reported once for each of its versions and
//! gets no tasks; the others are not touched by it.

use std::collections::HashMap;

use indexmap::IndexMap;

use crate::{backend::read_filters, filters::Filters, json::Map};

/// All binds, by identity, with what they were compiled from.
#[derive(Default)]
pub(super) struct Matcher {
    binds: IndexMap<String, Compiled>,
}

struct Compiled {
    text: Vec<u8>,
    /// None: cannot be read.
    filters: Option<Filters>,
    failure_reported: bool,
}

/// A bind that cannot be used, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unusable {
    pub(super) identity: String,
    pub(super) reason: String,
}

impl Matcher {
    /// Takes over the binds as they are stored now; gives those that cannot be read and are new.
    pub(super) fn update(&mut self, stored: &IndexMap<String, Vec<u8>>) -> Vec<Unusable> {
        let mut known: HashMap<String, Compiled> = self.binds.drain(..).collect();
        let mut unusable = Vec::new();
        for (identity, text) in stored {
            if let Some((identity, compiled)) = known.remove_entry(identity).filter(|(_, compiled)| compiled.text == *text) {
                self.binds.insert(identity, compiled);
                continue;
            }
            let (filters, failure_reported) = match read_filters(identity, text) {
                Ok(filters) => (Some(filters), false),
                Err(reason) => {
                    unusable.push(Unusable { identity: identity.clone(), reason });
                    (None, true)
                }
            };
            self.binds.insert(identity.clone(), Compiled { text: text.clone(), filters, failure_reported });
        }
        unusable
    }

    /// Who wants a task with these headers, in the order of the binds; filters that fail are added to `unusable`.
    pub(super) fn receivers<'a>(&'a mut self, headers: &Map, unusable: &mut Vec<Unusable>) -> Vec<&'a str> {
        let mut receivers = Vec::new();
        for (identity, compiled) in &mut self.binds {
            let Some(filters) = &compiled.filters else { continue };
            match filters.matches(headers) {
                Ok(true) => receivers.push(identity.as_str()),
                Ok(false) => {}
                Err(error) => {
                    if !compiled.failure_reported {
                        compiled.failure_reported = true;
                        unusable.push(Unusable { identity: identity.clone(), reason: error.to_string() });
                    }
                }
            }
        }
        receivers
    }
}
