//! Config hashes against mwdblib's.

use karton_rs::{
    config_dhash,
    json::{Map, Value},
};

use crate::vectors::{load, text};

/// What a client does before hashing: a top-level embedded blob becomes the id of its content.
fn replace_blobs(config: &mut Value) {
    let Some(map) = config.as_object_mut() else { return };
    for value in map.values_mut() {
        let content = value.get("in-blob").and_then(|blob| blob.get("content")).and_then(Value::as_str);
        if let Some(content) = content {
            use sha2::Digest as _;
            let id: String = sha2::Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
            *value = Value::Object(Map::from_iter([("in-blob".to_owned(), Value::from(id))]));
        }
    }
}

#[test]
fn config_hashes_equal_those_of_mwdblib() {
    let cases = load("config_dhash.jsonl");
    assert_eq!(cases.len(), 149);
    for case in &cases {
        let mut config = Value::parse(text(case, "config_json")).unwrap();
        if case.get("server_status") == Some(&Value::from(200_i64)) || case.get("server_status").is_none() {
            replace_blobs(&mut config);
        }
        if case.get("server_status").is_some_and(|status| *status == Value::from(400_i64)) {
            continue;
        }
        assert_eq!(config_dhash(&config), text(case, "dhash"), "{}: {}", text(case, "id"), text(case, "config_json"));
    }
}
