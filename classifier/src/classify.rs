//! From a sample's name and content to its class.
//!
//! Knows nothing of Karton. The one rule: the description is the **working** one, which says `Zip archive data`
//! when libmagic sees mere `data` that carries a zip end record.

use crate::{
    magic::Detection,
    rules::{self, Decision},
    yara::YaraClass,
};

pub use crate::rules::Trial;

/// What a sample is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classification {
    /// Label of the rule that decided, for logs and tests.
    pub rule: String,
    /// `runnable`, `document`, `archive`, ...
    pub kind: String,
    /// `win32`, `android`, ...
    pub platform: Option<String>,
    /// Usual extension of such files, without the dot.
    pub extension: Option<String>,
    /// MIME type.
    pub mime: Option<String>,
    /// Working description.
    pub magic: Option<String>,
    /// Identifier of the YARA rule that says so. Such a class says nothing of MIME type and description.
    pub yara_rule: Option<String>,
}

impl From<YaraClass> for Classification {
    fn from(class: YaraClass) -> Self {
        let YaraClass { rule, file, kind, platform, extension } = class;
        Self { rule: format!("{file}:{rule}"), kind, platform, extension, mime: None, magic: None, yara_rule: Some(rule) }
    }
}

impl Classification {
    /// The tag for MWDB: `kind[:platform][:extension]`, or `misc:kind` when there is only a kind.
    pub fn tag(&self) -> String {
        let extension = self.extension.as_deref().filter(|extension| !extension.is_empty());
        let parts: Vec<&str> = [Some(self.kind.as_str()), self.platform.as_deref(), extension].into_iter().flatten().collect();
        let tag = parts.join(":");
        if tag.contains(':') { tag } else { format!("misc:{tag}") }
    }
}

/// What was found out about a sample.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What it is; nothing when no rule holds.
    pub class: Option<Classification>,
    /// What an operator may want to know: tests that could not be made.
    pub warnings: Vec<String>,
}

/// Classifies a sample by its name, its content and the texts about it.
pub fn classify(name: &str, content: &[u8], detection: &Detection) -> Outcome {
    let (decision, warnings) = rules::decide(content, &extension(name), detection);
    Outcome { class: class(decision, detection), warnings }
}

/// As [`classify`], and every rule of the decision list that is tried, in order; the last one decides, if it holds.
pub fn explain(name: &str, content: &[u8], detection: &Detection) -> (Outcome, Vec<Trial>) {
    let (decision, trials, warnings) = rules::explain(content, &extension(name), detection);
    (Outcome { class: class(decision, detection), warnings }, trials)
}

fn class(decision: Option<Decision>, detection: &Detection) -> Option<Classification> {
    let fallback = if detection.zip_fallback { "+zipfallback" } else { "" };
    decision.map(|decision| Classification {
        rule: decision.rule + fallback,
        kind: decision.kind.to_owned(),
        platform: decision.platform.map(str::to_owned),
        extension: decision.extension,
        mime: decision.mime.map(str::to_owned).or_else(|| non_empty(&detection.mime)),
        magic: non_empty(&detection.magic),
        yara_rule: None,
    })
}

/// What stands after the last dot, in lower case. A path is not looked at: `a.d/leaf` gives `d/leaf`.
pub fn extension(name: &str) -> String {
    name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase()).unwrap_or_default()
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(kind: &str, platform: Option<&str>, extension: Option<&str>) -> Classification {
        Classification {
            rule: String::new(),
            kind: kind.to_owned(),
            platform: platform.map(str::to_owned),
            extension: extension.map(str::to_owned),
            mime: None,
            magic: None,
            yara_rule: None,
        }
    }

    #[test]
    fn tags_leave_out_what_is_absent() {
        assert_eq!(class("runnable", Some("win64"), Some("dll")).tag(), "runnable:win64:dll");
        assert_eq!(class("runnable", None, Some("mbr")).tag(), "runnable:mbr");
        assert_eq!(class("runnable", Some("macos"), None).tag(), "runnable:macos");
        assert_eq!(class("archive", None, Some("")).tag(), "misc:archive");
        assert_eq!(class("ascii", None, None).tag(), "misc:ascii");
        assert_eq!(class("a:b", None, None).tag(), "a:b");
    }

    #[test]
    fn the_extension_is_what_follows_the_last_dot() {
        for (name, expected) in
            [("a.tar.GZ", "gz"), (".js", "js"), ("file.", ""), ("file", ""), ("", ""), ("dir.zip/leaf", "zip/leaf"), (" a.js ", "js ")]
        {
            assert_eq!(extension(name), expected, "{name}");
        }
    }
}
