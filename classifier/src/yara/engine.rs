//! Compiles and runs the rules, with YARA-X.
//!
//! The one rule: a scan is **bounded**: by time, and in memory by stopping at the first match of every string of
//! which a condition asks no more than whether it is there.

use std::{collections::HashMap, fmt, path::Path, time::Duration};

use yara_x::{Compiler, MetaValue, Rule, SourceCode};

use super::{
    Defects, MAX_MATCHES, RulesError, ScanError, YaraClass, bytes,
    source::{Source, line_of_rule, read_folder},
};

/// Compiled rules and their classes.
pub struct Rules {
    compiled: yara_x::Rules,
    /// By file and identifier: where in `classes`.
    index: HashMap<(String, String), usize>,
    /// In the order of the files, and within one in that of the rules.
    classes: Vec<YaraClass>,
}

impl Rules {
    /// Loads all files of a folder whose names end in `.yar`.
    ///
    /// # Errors
    /// When the folder cannot be read, or a rule in it cannot be used; all such rules are named.
    pub fn load(folder: &Path) -> Result<Self, RulesError> {
        let sources = read_folder(folder)?;
        let compiled = compile(folder, &sources)?;
        let (mut index, mut classes, mut defects) = (HashMap::new(), Vec::new(), Vec::new());
        for rule in compiled.iter() {
            match class(&rule) {
                Ok(class) => {
                    index.insert((class.file.clone(), class.rule.clone()), classes.len());
                    classes.push(class);
                }
                Err(defect) => defects.push(format!("{}: {defect}", place(&sources, &rule))),
            }
        }
        if defects.is_empty() { Ok(Self { compiled, index, classes }) } else { Err(RulesError::Invalid(Defects(defects))) }
    }

    /// Number of rules, private ones included.
    pub fn count(&self) -> usize {
        self.classes.len()
    }

    /// The classes of all rules, in their order.
    pub fn classes(&self) -> &[YaraClass] {
        &self.classes
    }

    /// Looks for the rules in one content after the other, on one thread.
    pub fn scanner(&self) -> Scanner<'_> {
        Scanner { rules: self, engine: None }
    }

    fn class_of(&self, rule: &Rule<'_, '_>) -> Option<usize> {
        self.index.get(&(rule.namespace().to_owned(), rule.identifier().to_owned())).copied()
    }
}

/// Looks for rules in contents. Making one costs more than a small content does.
pub struct Scanner<'r> {
    rules: &'r Rules,
    /// Made at the first scan, and anew after one that failed: in what state that has left it is not known.
    engine: Option<yara_x::Scanner<'r>>,
}

impl<'r> Scanner<'r> {
    /// What it looks for.
    pub fn rules(&self) -> &'r Rules {
        self.rules
    }

    /// The classes of a content, in the order of the rules. Private rules have none. The engine looks at the clock
    /// once a second.
    ///
    /// # Errors
    /// When it takes longer than `limit`, or the engine fails.
    pub fn scan(&mut self, content: &[u8], limit: Duration) -> Result<Vec<YaraClass>, ScanError> {
        let rules = self.rules;
        // Not put back by an error or a panic on the way.
        let mut engine = self.engine.take().unwrap_or_else(|| {
            let mut engine = yara_x::Scanner::new(&rules.compiled);
            engine.max_matches_per_pattern(MAX_MATCHES).fast_scan(true);
            engine
        });
        let results = engine.set_timeout(limit).scan(content).map_err(|error| match error {
            yara_x::ScanError::Timeout => ScanError::Timeout(limit),
            error => ScanError::Failed(error.to_string()),
        })?;
        let mut positions: Vec<usize> = results.matching_rules().filter_map(|rule| rules.class_of(&rule)).collect();
        positions.sort_unstable();
        self.engine = Some(engine);
        Ok(positions.into_iter().filter_map(|position| rules.classes.get(position).cloned()).collect())
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("count", &self.count()).finish_non_exhaustive()
    }
}

fn compile(folder: &Path, sources: &[Source]) -> Result<yara_x::Rules, RulesError> {
    let mut compiler = Compiler::new();
    // Expressions that YARA accepts, such as a brace that is not escaped.
    compiler.relaxed_re_syntax(true).add_include_dir(folder).switch_all_warnings(false);
    let mut defects = Vec::new();
    for source in sources {
        compiler.new_namespace(&source.name);
        let before = compiler.errors().len();
        // All errors are kept by the compiler.
        let text = bytes::as_text(&source.text);
        let _ = compiler.add_source(SourceCode::from(text.as_ref()).with_origin(source.path.to_string_lossy()));
        defects.extend(compiler.errors().iter().skip(before).map(|error| defect(source, error)));
    }
    if defects.is_empty() { Ok(compiler.build()) } else { Err(RulesError::Invalid(Defects(defects))) }
}

/// `file:line: what is wrong (where exactly)`. The place is that of the first label with one.
fn defect(source: &Source, error: &yara_x::errors::CompileError) -> String {
    let label = error.labels().find_map(|label| serde_json::to_value(label).ok());
    let text = |key: &str| label.as_ref().and_then(|label| label.get(key)).and_then(serde_json::Value::as_str);
    let line = label.as_ref().and_then(|label| label.get("line")).and_then(serde_json::Value::as_u64);
    let file = text("code_origin").map_or_else(|| source.path.to_string_lossy().into_owned(), str::to_owned);
    let line = line.map_or_else(String::new, |line| format!(":{line}"));
    let detail = text("text").filter(|text| !text.is_empty()).map_or_else(String::new, |text| format!(" ({text})"));
    format!("{file}{line}: {}{detail}", error.title())
}

fn place(sources: &[Source], rule: &Rule<'_, '_>) -> String {
    let Some(source) = sources.iter().find(|source| source.name == rule.namespace()) else { return rule.namespace().to_owned() };
    match line_of_rule(&source.text, rule.identifier()) {
        Some(line) => format!("{}:{line}", source.path.display()),
        None => source.path.display().to_string(),
    }
}

/// The class that the metadata of a rule names.
fn class(rule: &Rule<'_, '_>) -> Result<YaraClass, String> {
    let name = rule.identifier();
    let kind = meta(rule, "kind")?.ok_or_else(|| format!("rule `{name}` has no `kind` in its metadata, or an empty one"))?;
    Ok(YaraClass {
        rule: name.to_owned(),
        file: rule.namespace().to_owned(),
        kind,
        platform: meta(rule, "platform")?,
        extension: meta(rule, "extension")?,
    })
}

/// The last value of this name; an empty text counts as none.
fn meta(rule: &Rule<'_, '_>, key: &str) -> Result<Option<String>, String> {
    match rule.metadata().filter(|(name, _)| *name == key).last() {
        None => Ok(None),
        Some((_, MetaValue::String(text))) => Ok(Some(text.to_owned()).filter(|text| !text.is_empty())),
        Some((_, MetaValue::Bytes(bytes))) => Ok(Some(python_text(bytes)).filter(|text| !text.is_empty())),
        Some(_) => Err(format!("`{key}` in the metadata of rule `{}` is not a text", rule.identifier())),
    }
}

/// A text that is written with escapes, as yara-python gives it: up to the first NUL, without what is no UTF-8.
fn python_text(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    text.utf8_chunks().map(|chunk| chunk.valid()).collect()
}
