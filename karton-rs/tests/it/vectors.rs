//! Reads the truth tables under `tests/vectors`.

use std::path::Path;

use karton_rs::json::Value;

/// All lines of a vector file, with their order of keys and exact numbers.
pub fn load(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| Value::parse(line).unwrap_or_else(|error| panic!("{error} in {line}"))).collect()
}

/// A member that must be a string.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("no text `{key}` in {value}"))
}
