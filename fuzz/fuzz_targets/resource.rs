//! Resources in payloads: what is one stays one.
#![no_main]

use karton_rs::{Resource, json::Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(value) = Value::parse(text) else { return };
    let Some(resource) = Resource::from_value(&value) else { return };
    let written = resource.to_value();
    let again = Resource::from_value(&written).expect("what was written can be read");
    assert_eq!(again.to_value().to_json(), written.to_json());
    assert_eq!(again.sha256(), resource.sha256());
});
