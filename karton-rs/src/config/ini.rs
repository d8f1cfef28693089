//! The INI dialect of Python's `configparser`, which decides what a Python peer sees in the same file.
//!
//! The one rule: all files feed **one** [`Ini`], so sections and `%(name)s` span files; values are
//! resolved only after the last file. See Karton protocol §11.2.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::error::{ConfigError, ConfigErrorKind as Kind};

/// The section whose options every other section inherits.
const DEFAULT: &str = "DEFAULT";
/// How many times a value may refer to another one before it counts as circular.
const MAX_REFERENCES: u32 = 10;

type Options = IndexMap<String, String>;

/// Sections as they were read, before `%` is resolved.
#[derive(Debug, Default)]
pub(super) struct Ini {
    sections: IndexMap<String, Options>,
    defaults: Options,
    /// Section and option → the file that has set it last.
    files: HashMap<(String, String), String>,
}

impl Ini {
    /// Adds a file. `name` is used in errors.
    pub(super) fn read(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let mut file = File { ini: self, name, seen: Vec::new(), section: None, option: None, indent: 0 };
        for (index, line) in text.lines().enumerate() {
            file.line(index + 1, line)?;
        }
        file.close_option();
        Ok(())
    }

    /// All sections with defaults filled in and references resolved, in order of appearance.
    pub(super) fn resolve(&self) -> Result<IndexMap<String, Options>, ConfigError> {
        let mut resolved = IndexMap::new();
        for (section, own) in &self.sections {
            let mut options = self.defaults.clone();
            options.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
            resolved.insert(section.clone(), self.interpolate_all(section, &options)?);
        }
        resolved.insert(DEFAULT.to_owned(), self.interpolate_all(DEFAULT, &self.defaults)?);
        resolved.retain(|_, options| !options.is_empty());
        Ok(resolved)
    }

    /// The file that has set an option, in its section or for all.
    pub(super) fn file_of(&self, section: &str, option: &str) -> Option<&str> {
        let of = |section: &str| self.files.get(&(section.to_owned(), option.to_owned()));
        of(section).or_else(|| of(DEFAULT)).map(String::as_str)
    }

    fn interpolate_all(&self, section: &str, options: &Options) -> Result<Options, ConfigError> {
        let resolve = |(key, value): (&String, &String)| match interpolate(value, options, 1) {
            Ok(value) => Ok((key.clone(), value)),
            Err((kind, problem)) => {
                let file = self.file_of(section, key).map_or_else(String::new, |file| format!(" (in `{file}`)"));
                Err(ConfigError::new(kind, format!("[{section}] {key}{file}: {problem}")))
            }
        };
        options.iter().map(resolve).collect()
    }

    fn options(&mut self, section: &str) -> &mut Options {
        if section == DEFAULT { &mut self.defaults } else { self.sections.entry(section.to_owned()).or_default() }
    }
}

/// State while one file is read.
struct File<'a> {
    ini: &'a mut Ini,
    name: &'a str,
    /// Sections and options of this file, to find duplicates.
    seen: Vec<(String, Option<String>)>,
    section: Option<String>,
    /// The option that indented lines continue.
    option: Option<String>,
    indent: usize,
}

impl File<'_> {
    fn line(&mut self, number: usize, line: &str) -> Result<(), ConfigError> {
        let text = line.trim();
        if text.starts_with(['#', ';']) {
            return Ok(());
        }
        let indent = line.len() - line.trim_start().len();
        if text.is_empty() || (self.option.is_some() && indent > self.indent) {
            self.continue_option(text);
            return Ok(());
        }
        self.close_option();
        self.indent = indent;
        if let Some(section) = header(text) {
            return self.open_section(number, section);
        }
        let Some(section) = self.section.clone() else {
            return Err(self.error(Kind::NoSectionHeader, number, "option before the first `[section]`"));
        };
        let Some((key, value)) = text.split_once(['=', ':']) else {
            return Err(self.error(Kind::Parse, number, "expected `key = value`"));
        };
        let key = key.trim().to_lowercase();
        if key.is_empty() {
            return Err(self.error(Kind::Parse, number, "expected a key before the delimiter"));
        }
        let seen = (section.clone(), Some(key.clone()));
        if self.seen.contains(&seen) {
            return Err(self.error(Kind::DuplicateOption, number, &format!("`{key}` is set twice in `[{section}]`")));
        }
        self.seen.push(seen);
        self.ini.options(&section).insert(key.clone(), value.trim().to_owned());
        self.ini.files.insert((section, key.clone()), self.name.to_owned());
        self.option = Some(key);
        Ok(())
    }

    fn open_section(&mut self, number: usize, section: &str) -> Result<(), ConfigError> {
        let seen = (section.to_owned(), None);
        if section != DEFAULT && self.seen.contains(&seen) {
            return Err(self.error(Kind::DuplicateSection, number, &format!("section `[{section}]` appears twice")));
        }
        self.seen.push(seen);
        self.ini.options(section);
        self.section = Some(section.to_owned());
        Ok(())
    }

    fn current_value(&mut self) -> Option<&mut String> {
        let (section, option) = (self.section.as_ref()?, self.option.as_ref()?);
        self.ini.options(section).get_mut(option)
    }

    fn continue_option(&mut self, text: &str) {
        if let Some(value) = self.current_value() {
            value.push('\n');
            value.push_str(text);
        }
    }

    fn close_option(&mut self) {
        if let Some(value) = self.current_value() {
            value.truncate(value.trim_end().len());
        }
        self.option = None;
    }

    fn error(&self, kind: Kind, line: usize, message: &str) -> ConfigError {
        ConfigError::new(kind, format!("{}: line {line}: {message}", self.name))
    }
}

/// `[name]`: everything up to the last bracket, untrimmed; what follows it is ignored.
fn header(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.rfind(']').filter(|end| *end > 0)?;
    Some(&inner[..end])
}

/// A value with what it refers to; the error goes to whoever knows whose value it is.
fn interpolate(value: &str, options: &Options, depth: u32) -> Result<String, (Kind, String)> {
    let fail = |kind, message: String| Err((kind, message));
    if depth > MAX_REFERENCES {
        return fail(Kind::InterpolationDepth, "`%(…)s` refers to itself".to_owned());
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('%') {
            out.push('%');
            rest = tail;
            continue;
        }
        let Some((name, tail)) = after.strip_prefix('(').and_then(|inner| inner.split_once(")s")) else {
            return fail(Kind::InterpolationSyntax, "`%` must be written `%%`, or start `%(name)s`".to_owned());
        };
        let Some(referred) = options.get(&name.to_lowercase()) else {
            return fail(Kind::InterpolationMissingOption, format!("`%({name})s` refers to an option that is not set"));
        };
        out.push_str(&interpolate(referred, options, depth + 1)?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}
