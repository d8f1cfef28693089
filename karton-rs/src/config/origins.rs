//! Where the settings of this process come from, for those who look for a mistake.

use std::path::{Path, PathBuf};

use super::{Config, ConfigErrorKind, ini::Ini, no_file, read_file, standard_files, variable_target};

/// What is to be said of a file by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileState {
    Fine,
    Missing,
    /// A standard one that cannot be read: it does not count.
    Skipped(String),
    /// It cannot be read or understood.
    Wrong(String),
}

impl FileState {
    fn of(path: &Path, standard: bool) -> Self {
        match no_file(path) {
            Some(error) if error.kind() == ConfigErrorKind::FileNotFound => return Self::Missing,
            Some(error) => return Self::Wrong(error.to_string()),
            None => {}
        }
        let text = match read_file(path) {
            Ok(Err(error)) if standard => return Self::Skipped(error.to_string()),
            outcome => outcome.and_then(|text| text),
        };
        match text.and_then(|text| Ini::default().read(&path.display().to_string(), &text)) {
            Ok(()) => Self::Fine,
            Err(error) => Self::Wrong(error.to_string()),
        }
    }
}

/// A source of settings, weakest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file; one that was named may be missing.
    File { path: PathBuf, state: FileState },
    /// `KARTON_SECTION_KEY` variables, by name: values may be secret.
    Variables(Vec<String>),
}

impl Config {
    /// What [`Config::load`] reads.
    pub(crate) fn origins(file: Option<&Path>) -> Vec<Origin> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let standard = standard_files(variable("HOME").as_deref());
        let named = variable("KARTON_CONFIG_FILE").map(PathBuf::from).into_iter().chain(file.map(Path::to_owned));
        let origin = |path: PathBuf, standard| Origin::File { state: FileState::of(&path, standard), path };
        let mut origins: Vec<Origin> = standard.into_iter().filter(|path| path.is_file()).map(|path| origin(path, true)).collect();
        origins.extend(named.map(|path| origin(path, false)));
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let mut names: Vec<String> = names.filter(|name| variable_target(name).is_some() && name != "KARTON_CONFIG_FILE").collect();
        names.sort();
        if !names.is_empty() {
            origins.push(Origin::Variables(names));
        }
        origins
    }
}
