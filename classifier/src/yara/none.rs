//! Stands in for the engine in a build without it: there are no rules, as no folder can be loaded.

use std::{path::Path, time::Duration};

use super::{RulesError, ScanError, YaraClass};

/// Rules, of which there are none.
#[derive(Debug)]
pub enum Rules {}

impl Rules {
    /// Refuses every folder.
    ///
    /// # Errors
    /// Always.
    pub fn load(folder: &Path) -> Result<Self, RulesError> {
        Err(RulesError::NotBuilt(folder.to_owned()))
    }

    /// Number of rules.
    pub fn count(&self) -> usize {
        match *self {}
    }

    /// All classes.
    pub fn classes(&self) -> &[YaraClass] {
        match *self {}
    }

    /// Looks for the rules.
    pub fn scanner(&self) -> Scanner<'_> {
        match *self {}
    }
}

/// Looks for rules, of which there are none.
pub struct Scanner<'r>(&'r Rules);

impl<'r> Scanner<'r> {
    /// What it looks for.
    pub fn rules(&self) -> &'r Rules {
        self.0
    }

    /// The classes of a content.
    ///
    /// # Errors
    /// Never.
    pub fn scan(&mut self, _content: &[u8], _limit: Duration) -> Result<Vec<YaraClass>, ScanError> {
        match *self.0 {}
    }
}
