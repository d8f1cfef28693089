//! Python's regular expressions and wildcards: a line of pattern, then the text.
#![no_main]

use karton_rs::{
    Filters,
    filters::FilterError,
    json::{Map, Value},
};
use libfuzzer_sys::fuzz_target;

fn object(key: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value)]))
}

fn answer(condition: Value, text: &str) -> Result<bool, FilterError> {
    let headers = Map::from_iter([("a".to_owned(), Value::from(text))]);
    Filters::compile(&Value::Array(vec![object("a", condition)]))?.matches(&headers)
}

fuzz_target!(|input: &str| {
    let Some((pattern, text)) = input.split_once('\n') else { return };
    let found = answer(object("$regex", Value::from(pattern)), text);
    let not_found = answer(object("$not", object("$regex", Value::from(pattern))), text);
    assert_eq!(found.as_ref().map(|found| !found).ok(), not_found.ok(), "{found:?}");
    if let Some(pattern) = pattern.strip_prefix('!') {
        let (without, with) = (answer(Value::from(pattern), text), answer(Value::from(format!("!{pattern}")), text));
        if let (false, Ok(without), Ok(with)) = (pattern.starts_with('!'), without, with) {
            assert_ne!(without, with);
        }
    } else {
        let _ = answer(Value::from(pattern), text);
    }
});
