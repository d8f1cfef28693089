//! Filters on headers: a line of each, as JSON.
#![no_main]

use karton_rs::{Filters, json::Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Some((filters, headers)) = text.split_once('\n') else { return };
    let (Ok(filters), Ok(headers)) = (Value::parse(filters), Value::parse(headers)) else { return };
    let (Ok(compiled), Some(headers)) = (Filters::compile(&filters), headers.as_object()) else { return };
    let answer = compiled.matches(headers).map_err(|error| error.to_string());
    // A bind that is stored and read again decides the same.
    let stored = Filters::compile(&compiled.to_value()).expect("what was compiled can be compiled again");
    assert_eq!(stored.matches(headers).map_err(|error| error.to_string()), answer);
});
