//! The identity hash of a configuration, as MWDB computes it.
//!
//! Both sides of the MWDB API need it (the reporter asks for a config by its hash before it uploads,
//! the server stores it under that hash), and this crate is what they share. The one rule: the value
//! must come from [`json`](crate::json), because `1` and `1.0`, and integers beyond 64 bits, hash
//! by their Python text. See MWDB API §O3.2.

use sha2::{Digest, Sha256};

use crate::{
    hex,
    json::{Key, Value, python_text},
};

/// The hash of a config: 64 lower-case hexadecimal digits.
///
/// Embedded blobs (`{"in-blob": {...}}`) are the caller's business: replace each by the id of its blob first.
///
/// ```
/// use karton_rs::{config_dhash, json::Value};
///
/// let config = Value::parse(r#"{"a": "b"}"#)?;
/// assert_eq!(config_dhash(&config), "48a6fc78b03ab9f32b04cd735c4ba09fbfaf4894ca0b039375e15b59d4b3d979");
/// # Ok::<(), karton_rs::json::ParseError>(())
/// ```
pub fn config_dhash(config: &Value) -> String {
    match config {
        Value::Array(items) => hash_of_sorted(items.iter().map(config_dhash).collect()),
        Value::Object(map) => {
            let pair = |(key, value): (&Key, &Value)| hash_of_sorted(vec![sha256(key.spelled()), sha256(&config_dhash(value))]);
            hash_of_sorted(map.iter().map(pair).collect())
        }
        scalar => sha256(&python_text(scalar)),
    }
}

/// Lists are compared without order: the hash is taken over the sorted hashes, in Python's list form.
fn hash_of_sorted(mut hashes: Vec<String>) -> String {
    hashes.sort_unstable();
    let quoted: Vec<String> = hashes.iter().map(|hash| format!("'{hash}'")).collect();
    sha256(&format!("[{}]", quoted.join(", ")))
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
