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
}

#[test]
fn raw_members_are_slices_of_the_text() {
    let record = RawObject::parse(r#" {"a" : [1, {"b": "}"}] , "c":null, "a": 5} "#).ok();
    let record = record.as_ref();
    assert_eq!(record.and_then(|record| record.get("a")), Some("5"));
    assert_eq!(record.and_then(|record| record.get("c")), Some("null"));
}

proptest::proptest! {
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
