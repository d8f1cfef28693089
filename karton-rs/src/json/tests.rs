#![allow(clippy::unwrap_used)]

use super::*;

fn round(text: &str) -> String {
    Value::parse(text).map_or_else(|error| error.to_string(), |value| value.to_json())
}

#[test]
fn numbers_keep_every_digit() {
    assert_eq!(
        round("[123456789012345678901234567890, -0, 1.0, 1e16, 1e-5, NaN, -Infinity]"),
        "[123456789012345678901234567890, 0, 1.0, 1e+16, 1e-05, NaN, -Infinity]"
    );
}

#[test]
fn lone_surrogates_survive_and_pairs_are_joined() {
    assert_eq!(round(r#""\uD83D\uDE00 \ud800x""#), r#""\ud83d\ude00 \ud800x""#);
    assert!(matches!(Value::parse(r#""\ud83d\ude00""#), Ok(Value::String(text)) if text == "😀"));
    assert_eq!(Value::parse(r#""\ud800a""#), Value::parse("\"\\uD800\\u0061\""));
}

#[test]
fn keys_that_are_not_unicode_come_out_as_they_went_in() {
    // In the order of Python's json.dumps(sort_keys=True): by code points, in which halves of pairs stand below U+E000.
    let sorted = r#"{"\\udce9": 1, "caf": 2, "caf\udce9": 3, "\ud800\udc00": 4}"#;
    let python = r#"{"\\udce9": 1, "caf": 2, "caf\udce9": 3, "\ud7ff": 4, "\ud800": 5, "\udfff": 6, "\ue000": 7, "\ud83d\ude00": 8}"#;
    for text in [sorted, python] {
        assert_eq!(round(text), text);
    }
    assert_eq!(round(r#"{"\uDCE9": 1, "a": 2, "\udce9": 3}"#), r#"{"a": 2, "\udce9": 3}"#);
    assert_eq!(Value::parse(r#"{"\ud800a": 1, "b": 2}"#), Value::parse(r#"{"b": 2, "\uD800\u0061": 1.0}"#));
    assert_ne!(Value::parse(r#"{"\ud800": 1}"#), Value::parse(r#"{"\ud801": 1}"#));
}

#[test]
fn no_text_finds_a_key_that_is_not_unicode() {
    let value = Value::parse(r#"{"name": 1, "\udce9": 2}"#).unwrap_or_default();
    assert_eq!(value.get("name"), Some(&Value::from(1_i64)));
    for text in ["\u{fffd}", "\\udce9", "\"\\udce9\"", "udce9"] {
        assert_eq!(value.get(text), None, "{text}");
    }
    let mut map = value.as_object().cloned().unwrap_or_default();
    map.insert("\"\\udce9\"", Value::Null);
    assert_eq!(map.len(), 3);
    let odd = map.keys().find(|key| key.as_str().is_none()).cloned();
    assert_eq!(odd.as_ref().and_then(|key| map.get(key)), Some(&Value::from(2_i64)));
    assert_eq!(odd.map(|key| key.to_string()).as_deref(), Some("\\udce9"));
}

#[test]
fn keys_are_sorted_and_the_last_duplicate_wins() {
    assert_eq!(round(r#"{"b": 1, "a": 2, "b": 3}"#), r#"{"a": 2, "b": 3}"#);
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    for bad in ["", "{", "[1,]", "{\"a\" 1}", "01", "1.", "1e", "\"\u{1}\"", "\"\\x\"", "tru", "[1] 2", "\"\\u12\"", "-", "{1: 2}", "nan"] {
        assert!(Value::parse(bad).is_err(), "{bad:?} was read");
        assert!(skip_value(bad, 0).is_err() || bad == "[1] 2" || bad == "01", "{bad:?} was skipped");
    }
    assert_eq!(Value::parse("[1, x]").map_err(|error| error.offset()), Err(4));
}

#[test]
fn deep_nesting_is_an_error_not_a_crash() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert!(Value::parse(&deep).is_err());
    assert!(RawObject::parse(&format!("{{\"a\": {deep}}}")).is_err());
}

#[test]
fn a_bounded_document_has_no_more_values_than_that() {
    let text = r#"{"a": [1, "x", {}], "b": null}"#;
    assert_eq!(Value::parse_bounded(text, 6), Value::parse(text));
    assert!(Value::parse_bounded(text, 5).is_err_and(|error| error.to_string().contains("too many values")));
}

#[test]
fn python_equality_crosses_number_types() {
    let equal = |left: &str, right: &str| Value::parse(left) == Value::parse(right);
    assert!(equal("1", "1.0") && equal("true", "1") && equal("0.0", "false") && equal("-0", "0"));
    assert!(equal("9007199254740993", "9007199254740993") && !equal("9007199254740993", "9007199254740992.0"));
    assert!(!equal("NaN", "NaN") && !equal("\"1\"", "1") && !equal("null", "false"));
    assert!(equal("10000000000000000000000", "1e22"));
}

#[test]
fn python_text_of_values() {
    let text = |json: &str| Value::parse(json).map(|value| python_text(&value)).unwrap_or_default();
    assert_eq!(text("[\"x\", 1, null, true, 1e5]"), "['x', 1, None, True, 100000.0]");
    assert_eq!(text("{\"b\": \"it's\"}"), "{'b': \"it's\"}");
    assert_eq!(text("1e15"), "1000000000000000.0");
    assert_eq!(text("123456789012345680.0"), "1.2345678901234568e+17");
    assert_eq!(text("5e-324"), "5e-324");
    assert_eq!(text("-0.0"), "-0.0");
    assert_eq!(text("0.0001"), "0.0001");
    // As Python prints strings that are not Unicode: the rest of them as it is.
    assert_eq!(text(r#"["caf\udce9 \u00e9", {"\ud800'": 1}]"#), r#"['caf\udce9 é', {"\ud800'": 1}]"#);
}

#[test]
fn raw_members_are_slices_of_the_text() {
    let record = RawObject::parse(r#" {"a" : [1, {"b": "}"}] , "c":null, "a": 5} "#).ok();
    let record = record.as_ref();
    let odd = RawObject::parse(r#"{"\ud800": 1, "\u0061": 2}"#).ok();
    assert_eq!(odd.and_then(|odd| odd.get("a")), Some("2"));
    assert_eq!(record.and_then(|record| record.get("a")), Some("5"));
    assert_eq!(record.and_then(|record| record.get("c")), Some("null"));
}

/// A key as Python can make it: any code points, halves of surrogate pairs among them.
fn any_key() -> impl proptest::strategy::Strategy<Value = Vec<u32>> {
    proptest::collection::vec(proptest::prop_oneof![0_u32..0x80, 0xd7f0_u32..0xe010, 0x1_0000_u32..0x1_0010], 0..4)
}

/// What Python's `json.dumps` gives.
fn dumped(points: &[u32]) -> String {
    let units = points.iter().flat_map(|point| match point {
        0..=0xffff => vec![*point],
        _ => vec![0xd800 + ((point - 0x1_0000) >> 10), 0xdc00 + (point & 0x3ff)],
    });
    format!("\"{}\"", units.map(|unit| format!("\\u{unit:04x}")).collect::<String>())
}

proptest::proptest! {
    #[test]
    fn keys_are_sorted_by_code_points_and_told_apart(keys in proptest::collection::btree_set(any_key(), 0..8)) {
        // A high half before a low one is a pair: in Python too, once it was read from JSON.
        let pairs = |key: &Vec<u32>| key.windows(2).any(|two| (0xd800..0xdc00).contains(&two[0]) && (0xdc00..0xe000).contains(&two[1]));
        let keys: Vec<_> = keys.into_iter().filter(|key| !pairs(key)).collect();
        let members: Vec<String> = keys.iter().enumerate().rev().map(|(index, key)| format!("{}: {index}", dumped(key))).collect();
        let value = Value::parse(&format!("{{{}}}", members.join(", "))).unwrap();
        proptest::prop_assert_eq!(value.as_object().map(|map| map.len()), Some(keys.len()));
        let written = Value::parse(&value.to_json()).unwrap();
        let order: Vec<_> = written.as_object().unwrap().values().filter_map(|value| value.as_number()?.as_u64()).collect();
        proptest::prop_assert_eq!(order, (0..keys.len() as u64).collect::<Vec<_>>());
    }

    #[test]
    fn reading_never_panics_and_writing_reads_back(text in "[\\[\\]{}:,\"\\\\a-u0-9eE.+\\-\\s\u{e9}\u{1F600}]{0,60}") {
        if let Ok(value) = Value::parse(&text) {
            let written = value.to_json();
            let again = Value::parse(&written);
            proptest::prop_assert_eq!(again.map(|value| value.to_json()), Ok(written));
        }
        let _ = RawObject::parse(&text);
    }
}
