//! Reads the files of a rule folder, and finds rules in their text.
//!
//! The one rule: files are taken **sorted by name**, and only those named `*.yar` directly in the folder.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use super::{MAX_RULE_FILE, RulesError};

/// One rule file.
pub(super) struct Source {
    /// Its name without the folder.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) text: Vec<u8>,
}

fn unreadable(path: &Path, reason: &impl ToString) -> RulesError {
    RulesError::Unreadable { path: path.to_owned(), reason: reason.to_string() }
}

/// The rule files of a folder.
pub(super) fn read_folder(folder: &Path) -> Result<Vec<Source>, RulesError> {
    if !folder.is_dir() {
        return Err(RulesError::NotAFolder(folder.to_owned()));
    }
    let mut paths = Vec::new();
    for entry in folder.read_dir().map_err(|error| unreadable(folder, &error))? {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "yar") || path.file_name().is_some_and(|name| name == ".yar") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.into_iter().map(read_file).collect()
}

fn read_file(path: PathBuf) -> Result<Source, RulesError> {
    let name = path.file_name().unwrap_or_default().to_str().ok_or_else(|| unreadable(&path, &"its name is not UTF-8"))?.to_owned();
    let mut text = Vec::new();
    let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
    file.take(MAX_RULE_FILE + 1).read_to_end(&mut text).map_err(|error| unreadable(&path, &error))?;
    if text.len() as u64 > MAX_RULE_FILE {
        return Err(unreadable(&path, &format!("it is larger than {} MiB", MAX_RULE_FILE >> 20)));
    }
    Ok(Source { name, path, text })
}

/// The line on which a rule is declared; nothing when the rule comes from an included file.
pub(super) fn line_of_rule(text: &[u8], rule: &str) -> Option<usize> {
    let text = String::from_utf8_lossy(text);
    let mut before = "";
    for (index, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or(line);
        for word in code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()) {
            if before == "rule" && word == rule {
                return Some(index + 1);
            }
            // The words of the text live longer than the line.
            before = word;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_found_where_it_is_declared() {
        let text = b"// rule b is not here\nrule a { condition: b }\n\nprivate rule\n  b: tag { condition: true }\n";
        assert_eq!(line_of_rule(text, "a"), Some(2));
        assert_eq!(line_of_rule(text, "b"), Some(5));
        assert_eq!(line_of_rule(text, "c"), None);
    }
}
