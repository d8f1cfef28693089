//! Says in words why a rule holds, or which of its conditions fails.
//!
//! The one rule: it walks the list as the decision does, with the **same tests**, so it cannot tell another story.

use super::{Decision, Dump, Extension, Rule, Script, Subject, Test, table};
use crate::magic::Detection;

/// A rule that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Its name; several rules may share one.
    pub rule: String,
    /// Whether it holds, and so decides.
    pub holds: bool,
    /// All its conditions when it holds, else the first that fails.
    pub reasons: Vec<String>,
}

/// The rules that are tried, up to the one that holds; and what [`decide`](super::decide) gives.
pub(crate) fn explain(content: &[u8], extension: &str, detection: &Detection) -> (Option<Decision>, Vec<Trial>, Vec<String>) {
    let subject = Subject::new(content, extension, detection);
    let (mut decision, mut trials) = (None, Vec::new());
    for rule in table::RULES {
        let trial = subject.try_rule(rule);
        decision = trial.holds.then(|| rule.decision(extension));
        trials.push(trial);
        if decision.is_some() {
            break;
        }
    }
    (decision, trials, subject.warnings.into_inner())
}

impl Subject<'_> {
    fn try_rule(&self, rule: &Rule) -> Trial {
        let extension = match rule.extension {
            Extension::None => None,
            Extension::Is(extension) => Some(extension),
            Extension::OfName => Some(self.extension),
        };
        let failing = rule.when.iter().find(|test| !self.passes(**test));
        match failing {
            Some(test) => {
                let rule = rule.label.trim_end_matches('*').trim_end_matches('-').to_owned();
                Trial { rule, holds: false, reasons: vec![self.why_not(*test)] }
            }
            None => Trial { rule: rule.name(extension), holds: true, reasons: rule.when.iter().map(|test| self.why(*test)).collect() },
        }
    }

    /// What a test that passes has found.
    fn why(&self, test: Test) -> String {
        let first = |texts: &[&'static str], matches: fn(&str, &str) -> bool, of: &str| {
            texts.iter().find(|text| matches(of, text)).copied().unwrap_or_default()
        };
        match test {
            Test::Starts(texts) => {
                format!("the description starts with `{}`", first(texts, |magic, text| magic.starts_with(text), self.magic))
            }
            Test::Has(texts) => format!("the description has `{}`", first(texts, |magic, text| magic.contains(text), self.magic)),
            Test::Ends(text) => format!("the description ends with `{text}`"),
            Test::Is(text) => format!("the description is `{text}`"),
            Test::Mime(mime) => format!("the MIME type is `{mime}`"),
            Test::Named(_) => format!("the name ends in `.{}`", self.extension),
            Test::NamedLike(texts) => {
                format!("the extension of the name starts with `{}`", first(texts, |name, text| name.starts_with(text), self.extension))
            }
            Test::ZipHas(name) => format!("the zip archive has an entry `{name}`"),
            Test::ZipHasPrefix(prefix) => format!("the zip archive has an entry that starts with `{prefix}`"),
            Test::ZipHasMacApp => "the zip archive has an entry that ends with `.app/Contents/Info.plist`".to_owned(),
            Test::ZipIsXapk => "the zip archive has `manifest.json` and an `.apk`, both at the top".to_owned(),
            Test::Koly => "the last 512 bytes are the block of an Apple disk image".to_owned(),
            Test::Dump(Dump::Text) => "the ends of the file hold `.text` and the message of a DOS stub".to_owned(),
            Test::Dump(Dump::Pe) => "the ends of the file hold a PE header where the DOS header says".to_owned(),
            Test::Dump(Dump::Mz) => "the content starts with `MZ`".to_owned(),
            Test::Script(Script::EncodedJs) => "the text starts as encoded JScript does".to_owned(),
            Test::Script(script) => {
                let text = self.text().unwrap_or_default();
                let found: Vec<String> =
                    script.words().0.iter().filter(|word| text.contains(**word)).map(|word| format!("`{word}`")).collect();
                format!("the text has words of {}: {}", language(script), found.join(", "))
            }
        }
    }

    /// What a test that does not pass has missed.
    fn why_not(&self, test: Test) -> String {
        let list = |texts: &[&str]| texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ");
        match test {
            Test::Starts(texts) => format!("the description does not start with {}", list(texts)),
            Test::Has(texts) => format!("the description has no {}", list(texts)),
            Test::Ends(text) => format!("the description does not end with `{text}`"),
            Test::Is(text) => format!("the description is not `{text}`"),
            Test::Mime(mime) => format!("the MIME type is not `{mime}`"),
            Test::Named(texts) => format!("the extension of the name is not {}", list(texts)),
            Test::NamedLike(texts) => format!("the extension of the name does not start with {}", list(texts)),
            Test::ZipHas(name) => format!("no zip archive with an entry `{name}`"),
            Test::ZipHasPrefix(prefix) => format!("no zip archive with an entry that starts with `{prefix}`"),
            Test::ZipHasMacApp => "no zip archive with an entry that ends with `.app/Contents/Info.plist`".to_owned(),
            Test::ZipIsXapk => "no zip archive with `manifest.json` and an `.apk`, both at the top".to_owned(),
            Test::Koly => "the last 512 bytes are no block of an Apple disk image".to_owned(),
            Test::Dump(Dump::Text) => "the ends of the file lack `.text` or the message of a DOS stub".to_owned(),
            Test::Dump(Dump::Pe) => "the ends of the file hold no PE header where a DOS header would say".to_owned(),
            Test::Dump(Dump::Mz) => "the content does not start with `MZ`".to_owned(),
            Test::Script(_) if self.text().is_none() => "the encoding of the text is not known".to_owned(),
            Test::Script(Script::EncodedJs) => "the text does not start as encoded JScript does".to_owned(),
            Test::Script(script) => format!("the text has fewer than {} of the words of {}", script.words().1, language(script)),
        }
    }
}

fn language(script: Script) -> &'static str {
    match script {
        Script::Html => "HTML",
        Script::Vbs => "VBScript",
        Script::PowerShell => "PowerShell",
        Script::Js | Script::EncodedJs => "JavaScript",
    }
}
