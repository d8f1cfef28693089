//! Stands in for the engine in a build without it: there are no rules, as no folder can be loaded.

use std::path::Path;

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

    /// The classes of a content.
    ///
    /// # Errors
    /// Never.
    pub fn scan(&self, _content: &[u8]) -> Result<Vec<YaraClass>, ScanError> {
        match *self {}
    }
}
