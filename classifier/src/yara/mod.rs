//! A folder of YARA rules, each of which names a class in its metadata.
//!
//! The one rule: **what cannot work is refused when the folder is loaded**, with file and line: rules that do not
//! compile, and rules whose `kind`, `platform` or `extension` is not the text that becomes a header.

#[cfg(feature = "yara")]
mod bytes;
#[cfg(feature = "yara")]
mod engine;
#[cfg(not(feature = "yara"))]
mod none;
#[cfg(feature = "yara")]
mod source;

use std::{path::PathBuf, time::Duration};

#[cfg(feature = "yara")]
pub use engine::{Rules, Scanner};
#[cfg(not(feature = "yara"))]
pub use none::{Rules, Scanner};

/// Longest time that the rules may take for one sample.
pub const SCAN_TIMEOUT: Duration = Duration::from_mins(1);
/// Most matches of one string that are kept; conditions see no more. That of YARA itself.
pub const MAX_MATCHES: usize = 1_000_000;
/// Largest rule file.
pub const MAX_RULE_FILE: u64 = 64 << 20;

/// A folder of rules that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// This build knows no YARA.
    #[error("YARA rules are asked for (`{0}`), but this build has no YARA support: do without, or build with the feature `yara`")]
    NotBuilt(PathBuf),
    /// There is no such folder.
    #[error("`{0}` is not a folder: name the one that holds the YARA rules")]
    NotAFolder(PathBuf),
    /// The folder or one of its files cannot be read.
    #[error("cannot read the YARA rules in `{path}`: {reason}")]
    Unreadable {
        /// Folder or file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Some rules do not compile, or lack what a class needs.
    #[error("{0}")]
    Invalid(Defects),
}

/// What is wrong with rules: one line for each defect.
#[derive(Debug)]
pub struct Defects(pub Vec<String>);

impl std::fmt::Display for Defects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 20;
        let shown = self.0.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n");
        match self.0.len().saturating_sub(SHOWN) {
            0 => f.write_str(&shown),
            more => write!(f, "{shown}\nand {more} more"),
        }
    }
}

/// A scan that gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// It took longer than it may, which is [`SCAN_TIMEOUT`] in the service.
    #[error("the YARA rules took longer than {} s", .0.as_secs())]
    Timeout(Duration),
    /// The engine gave up.
    #[error("the YARA rules failed: {0}")]
    Failed(String),
}

/// What a rule says about the samples that it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YaraClass {
    /// Identifier of the rule.
    pub rule: String,
    /// File of the rule; also its namespace, so that two files may use the same identifier.
    pub file: String,
    /// Header `kind`.
    pub kind: String,
    /// Header `platform`.
    pub platform: Option<String>,
    /// Header `extension`.
    pub extension: Option<String>,
}
