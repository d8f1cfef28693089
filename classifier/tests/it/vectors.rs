//! Reads the labelled files and tables under `tests/vectors`.

use std::path::{Path, PathBuf};

use karton_rs::json::Value;

pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

/// All lines of a table.
pub fn load(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path(name)).unwrap();
    text.lines().map(|line| Value::parse(line).unwrap_or_else(|error| panic!("{error} in {line}"))).collect()
}

/// The content of a labelled file.
pub fn file(name: &str) -> Vec<u8> {
    std::fs::read(path("files").join(name)).unwrap()
}

/// The names of all labelled files, sorted.
pub fn file_names() -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(path("files")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A member that must be a string.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("no text `{key}` in {value}"))
}
