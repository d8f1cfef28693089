//! Configuration: files, environment and flags, with the names and the precedence of karton-core.
//!
//! The one rule: nothing else in this crate reads the environment or a configuration file. Sources,
//! weakest first: `/etc/karton/karton.ini`, `~/.config/karton/karton.ini`, `./karton.ini`, the file
//! named by `KARTON_CONFIG_FILE`, the file given by argument, `KARTON_SECTION_KEY` variables, flags.
//! See Karton protocol §11.

mod error;
mod ini;
mod origins;
mod redis_url;
mod settings;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;

pub use error::{ConfigError, ConfigErrorKind};
pub(crate) use origins::{FileState, Origin};
pub(crate) use redis_url::TlsSettings;
pub(crate) use settings::log_level;
pub use settings::{RedisSettings, S3Keys, S3Settings, ServiceSettings};

use ConfigErrorKind as Kind;
use ini::Ini;

/// All settings of a Karton process.
///
/// ```
/// use karton_rs::Config;
///
/// let file = "[redis]\nhost = localhost\n[s3]\naddress = http://localhost:9000\naccess_key = a\nsecret_key = s\nbucket = karton\n";
/// let config = Config::from_parts(&[("karton.ini", file)], [("KARTON_REDIS_PORT".into(), "6380".into())])?;
/// assert_eq!(config.int("redis", "port")?, Some(6380));
/// # Ok::<(), karton_rs::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Config {
    sections: IndexMap<String, IndexMap<String, String>>,
    /// `AWS_*` variables that stand in for missing `[s3]` options.
    aws: IndexMap<String, String>,
    /// Why standard files were left out.
    skipped: Vec<String>,
    /// The files that were read, weakest first.
    files: Vec<String>,
    /// Section and option → what has set it, as a message tells it.
    set_by: HashMap<(String, String), String>,
}

impl Config {
    /// Reads the standard files, the file named by `KARTON_CONFIG_FILE`, `file`, and the environment. A standard
    /// file that this user may not read is left out with a warning.
    ///
    /// # Errors
    /// When a named file is missing or cannot be read, a file cannot be understood, or `[redis]` or `[s3]` is absent.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        // Names and values that are not Unicode cannot be Karton settings.
        let env: Vec<(String, String)> =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
        let variable = |wanted: &str| env.iter().find(|(name, value)| name == wanted && !value.is_empty()).map(|(_, value)| value.clone());
        let standard = standard_files(variable("HOME").as_deref());
        let of_variable = variable("KARTON_CONFIG_FILE").map(PathBuf::from);
        for (path, by) in [(of_variable.as_deref(), "KARTON_CONFIG_FILE"), (file, "--config-file")] {
            if let Some(problem) = path.and_then(no_file) {
                return Err(ConfigError::new(problem.kind(), format!("{by}: {problem}")));
            }
        }
        let named: Vec<PathBuf> = of_variable.into_iter().chain(file.map(Path::to_owned)).collect();
        Self::load_from(&standard, &named, env)
    }

    /// Like [`Config::load`] with every source given: files that may be absent, files that must exist, environment.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_from(
        standard: &[PathBuf],
        named: &[PathBuf],
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        if let Some(problem) = named.iter().find_map(|path| no_file(path)) {
            return Err(problem);
        }
        let (mut files, mut skipped) = (Vec::new(), Vec::new());
        for path in standard.iter().filter(|path| path.is_file()) {
            match read_file(path)? {
                Ok(text) => files.push((path.display().to_string(), text)),
                // Written for another user, it is nothing to this one, as for the reference.
                Err(error) => skipped.push(error.to_string()),
            }
        }
        for path in named {
            files.push((path.display().to_string(), read_file(path)??));
        }
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        match Self::build(&files, env, standard) {
            Ok(config) => Ok(Self { skipped, ..config }),
            // What is missing may stand there.
            Err(error) if !skipped.is_empty() => Err(ConfigError::new(error.kind(), format!("{error}; {}", skipped.join("; ")))),
            Err(error) => Err(error),
        }
    }

    /// Builds the configuration from texts, weakest first, and an environment. Touches nothing of the process.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_parts(files: &[(&str, &str)], env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        Self::build(files, env, &[])
    }

    /// `standard`: where files were looked for, to tell of it when there are none.
    fn build(files: &[(&str, &str)], env: impl IntoIterator<Item = (String, String)>, standard: &[PathBuf]) -> Result<Self, ConfigError> {
        let mut ini = Ini::default();
        for (name, text) in files {
            ini.read(name, text)?;
        }
        let sections = ini.resolve()?;
        let options = sections.iter().flat_map(|(section, options)| options.keys().map(move |option| (section, option)));
        let set_by = options
            .filter_map(|(section, option)| Some(((section.clone(), option.clone()), format!("in `{}`", ini.file_of(section, option)?))))
            .collect();
        let files: Vec<String> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
        let mut config = Self { sections, aws: IndexMap::new(), skipped: Vec::new(), files, set_by };
        for (name, value) in env {
            if let Some((section, option)) = variable_target(&name) {
                config.set_by(&section, &option, value, &format!("by {name}"));
            } else if name.starts_with("AWS_") {
                config.aws.insert(name, value);
            }
        }
        config.adopt_minio()?;
        for (section, kind) in [("s3", Kind::MissingS3Section), ("redis", Kind::MissingRedisSection)] {
            if !config.sections.contains_key(section) {
                return Err(ConfigError::new(kind, missing_section(section, &config.files, standard)));
            }
        }
        Ok(config)
    }

    /// The text of an option; nothing when it is not set.
    pub fn get(&self, section: &str, option: &str) -> Option<&str> {
        self.sections.get(section)?.get(option).map(String::as_str)
    }

    /// A whole number in Python's notation.
    ///
    /// # Errors
    /// When the option is set to something else.
    pub fn int(&self, section: &str, option: &str) -> Result<Option<i64>, ConfigError> {
        let Some(text) = self.get(section, option) else { return Ok(None) };
        settings::parse_integer(text)
            .map(Some)
            .ok_or_else(|| ConfigError::new(Kind::BadInteger, format!("{}: `{text}` is not a whole number", self.place(section, option))))
    }

    /// A boolean: `1 yes true on` or `0 no false off`, in any case.
    ///
    /// # Errors
    /// When the option is set to something else.
    pub fn bool(&self, section: &str, option: &str) -> Result<Option<bool>, ConfigError> {
        let Some(text) = self.get(section, option) else { return Ok(None) };
        match text.to_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Ok(Some(true)),
            "0" | "no" | "false" | "off" => Ok(Some(false)),
            _ => Err(ConfigError::new(
                Kind::BadBoolean,
                format!("{}: `{text}` is not one of yes, no, true, false, on, off, 1, 0", self.place(section, option)),
            )),
        }
    }

    /// Sets an option, over files and environment.
    pub fn set(&mut self, section: &str, option: &str, value: impl Into<String>) {
        self.set_by.remove(&(section.to_owned(), option.to_owned()));
        self.insert(section, option, value);
    }

    /// As [`set`](Self::set), for a command line flag, which messages then name.
    pub fn set_by_flag(&mut self, flag: &str, section: &str, option: &str, value: impl Into<String>) {
        self.set_by(section, option, value, &format!("by {flag}"));
    }

    /// An option as messages name it, with what has set it: `[redis] port (in `karton.ini`)`.
    ///
    /// ```
    /// use karton_rs::Config;
    ///
    /// let file = "[redis]\nhost = queue\n[s3]\naddress = http://s3\n";
    /// let mut config = Config::from_parts(&[("karton.ini", file)], [("KARTON_REDIS_PORT".into(), "6380".into())])?;
    /// assert_eq!(config.place("redis", "host"), "[redis] host (in `karton.ini`)");
    /// assert_eq!(config.place("redis", "port"), "[redis] port (set by KARTON_REDIS_PORT)");
    /// # Ok::<(), karton_rs::ConfigError>(())
    /// ```
    pub fn place(&self, section: &str, option: &str) -> String {
        match self.set_by.get(&(section.to_owned(), option.to_owned())) {
            Some(file) if file.starts_with("in ") => format!("[{section}] {option} ({file})"),
            Some(other) => format!("[{section}] {option} (set {other})"),
            None => format!("[{section}] {option}"),
        }
    }

    /// How an option is set that is not: in the strongest file, or by its variable.
    pub fn way_to_set(&self, section: &str, option: &str) -> String {
        let variable = format!("KARTON_{}_{}", section.to_uppercase(), option.to_uppercase());
        match self.files.last() {
            Some(file) => format!("set `{option}` in `[{section}]` of `{file}`, or {variable}"),
            None => format!("set {variable}, or `{option}` in `[{section}]` of a configuration file"),
        }
    }

    fn set_by(&mut self, section: &str, option: &str, value: impl Into<String>, by: &str) {
        self.set_by.insert((section.to_owned(), option.to_owned()), by.to_owned());
        self.insert(section, option, value);
    }

    fn insert(&mut self, section: &str, option: &str, value: impl Into<String>) {
        self.sections.entry(section.to_owned()).or_default().insert(option.to_owned(), value.into());
    }

    /// All sections with their options, `DEFAULT` included.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &IndexMap<String, String>)> {
        self.sections.iter().map(|(name, options)| (name.as_str(), options))
    }

    /// Standard files that are there and cannot be read, for a warning.
    pub(crate) fn skipped(&self) -> &[String] {
        &self.skipped
    }

    fn aws(&self, name: &str) -> Option<&str> {
        self.aws.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Takes `[minio]` of older files as `[s3]` when there is no `[s3]` at all.
    fn adopt_minio(&mut self) -> Result<(), ConfigError> {
        if self.sections.contains_key("s3") || !self.sections.contains_key("minio") {
            return Ok(());
        }
        let secure = self.bool("minio", "secure")?.unwrap_or(true);
        let Some(address) = self.get("minio", "address").map(str::to_owned) else {
            let way = self.way_to_set("minio", "address");
            return Err(ConfigError::new(Kind::MinioWithoutAddress, format!("[minio] address is not set: {way}")));
        };
        let mut options = self.sections.get("minio").cloned().unwrap_or_default();
        if !address.starts_with("http://") && !address.starts_with("https://") {
            options.insert("address".to_owned(), format!("{}://{address}", if secure { "https" } else { "http" }));
        }
        // Messages name the section that is there.
        for option in options.keys() {
            let place = self.place("minio", option);
            self.set_by.insert(("s3".to_owned(), option.clone()), format!("by {place}"));
        }
        self.sections.insert("s3".to_owned(), options);
        Ok(())
    }
}

/// Shows sections and names of options, never a value: they hold passwords.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.sections.iter().map(|(name, options)| (name, options.keys().collect::<Vec<_>>()))).finish()
    }
}

/// What is wrong with a named file that is none.
fn no_file(path: &Path) -> Option<ConfigError> {
    let shown = path.display();
    if path.is_file() {
        None
    } else if path.is_dir() {
        Some(ConfigError::new(Kind::Unreadable, format!("configuration file `{shown}` is a folder: name the file in it")))
    } else if path.exists() {
        Some(ConfigError::new(Kind::Unreadable, format!("configuration file `{shown}` is a device or pipe: name a regular file")))
    } else {
        Some(ConfigError::new(
            Kind::FileNotFound,
            format!("configuration file `{shown}` does not exist; `karton -c FILE configure` writes one"),
        ))
    }
}

/// The text of a file. The inner error is that of the system, the outer one is in the file itself.
fn read_file(path: &Path) -> Result<Result<String, ConfigError>, ConfigError> {
    let wrong =
        |problem: &dyn std::fmt::Display| ConfigError::new(Kind::Unreadable, format!("cannot read `{}`: {problem}", path.display()));
    match std::fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes).map(Ok).map_err(|_| wrong(&"it is not UTF-8 text")),
        Err(error) => Ok(Err(wrong(&error))),
    }
}

/// Where the section was looked for, and how to get one.
fn missing_section(section: &str, files: &[String], standard: &[PathBuf]) -> String {
    let list = |names: Vec<String>, word: &str| match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, names)) => format!("{} {word} {last}", names.join(", ")),
        None => String::new(),
    };
    if !files.is_empty() {
        let names = files.iter().map(|name| format!("`{name}`")).collect();
        return format!("missing section `[{section}]` in {}: add it there", list(names, "and"));
    }
    let names: Vec<String> = standard.iter().map(|path| format!("`{}`", path.display())).collect();
    let nowhere = if names.is_empty() { String::new() } else { format!(", there is no {}", list(names, "or")) };
    format!("missing section `[{section}]`: no configuration file was found{nowhere}; `karton configure` writes one")
}

/// Files that are read when they are there, weakest first.
fn standard_files(home: Option<&str>) -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/karton/karton.ini")];
    files.extend(home.map(|home| Path::new(home).join(".config/karton/karton.ini")));
    files.push(PathBuf::from("karton.ini"));
    files
}

/// `KARTON_SECTION_OPTION` → section and option in lower case.
fn variable_target(name: &str) -> Option<(String, String)> {
    let (section, option) = name.strip_prefix("KARTON_")?.split_once('_')?;
    let section_fits = !section.is_empty() && section.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.'));
    let option_fits = !option.is_empty() && option.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
    (section_fits && option_fits).then(|| (section.to_lowercase(), option.to_lowercase()))
}
