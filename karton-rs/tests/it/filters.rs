//! Header filters against the truth tables, and against karton-core itself.
#![allow(clippy::print_stderr)] // a check that is left out must say so

use std::{
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use karton_rs::{
    filters::{FilterErrorKind, Filters},
    json::{Map, Value},
};
use proptest::prelude::*;

use crate::{
    filter_cases::Generator,
    vectors::{load, text},
};

/// What karton-core 5.9.1 says of these.
#[test]
fn keys_and_texts_that_are_no_unicode_match_as_in_python() {
    let headers = [
        r#"{"h\udce9": "x\udce9"}"#,
        r#"{"h\udce9": {"a\udce9": [1]}}"#,
        r#"{"l": ["h\udce9", "b"]}"#,
        r#"{"t": "abc\udce9d"}"#,
        r#"{"p\ud800": [{"q\ud800": 5}], "p": {"\ud800": 1}}"#,
    ];
    for (filter, expected) in [
        (r#"{"h\udce9": "?\udce9"}"#, "10000"),
        (r#"{"h\udce9": "x\udce9"}"#, "10000"),
        (r#"{"h\udce9": "!x\udce9"}"#, "01111"),
        (r#"{"h\udce9": "!x*"}"#, "01111"),
        (r#"{"h\udcea": {"$exists": false}}"#, "11111"),
        (r#"{"h\udce9.a\udce9": 1}"#, "01000"),
        (r#"{"l": {"h\udce9": {"$exists": true}}}"#, "ee1ee"),
        (r#"{"l": {"h\udcea": {"$exists": true}}}"#, "ee0ee"),
        (r#"{"t": {"c\udce9": {"$exists": true}}}"#, "eee1e"),
        (r#"{"t": {"c\udcea": {"$exists": true}}}"#, "eee0e"),
        (r#"{"p\ud800.q\ud800": 5}"#, "00001"),
        (r#"{"p": {"$eq": {"\ud800": 1}}}"#, "00001"),
        (r#"{"p": {"$eq": "{'\\ud800': 1}"}}"#, "00001"),
        (r#"{"l": {"$all": {"h\udce9": 1}}}"#, "00100"),
        (r#"{"$h\ud800": 1}"#, "eeeee"),
    ] {
        let filters = Value::parse(&format!("[{filter}]")).unwrap();
        let outcome = headers.map(|headers| match answer(&filters, Value::parse(headers).unwrap().as_object().unwrap()).0 {
            "true" => '1',
            "false" => '0',
            _ => 'e',
        });
        assert_eq!(String::from_iter(outcome), expected, "{filter}");
    }
}

/// `true`, `false`, `query`, `other` or `limit`.
fn answer(filters: &Value, headers: &Map) -> (&'static str, String) {
    match Filters::compile(filters).and_then(|filters| filters.matches(headers)) {
        Ok(true) => ("true", String::new()),
        Ok(false) => ("false", String::new()),
        Err(error) => match error.kind() {
            FilterErrorKind::Query => ("query", error.to_string()),
            FilterErrorKind::Limit => ("limit", error.to_string()),
            _ => ("other", error.to_string()),
        },
    }
}

#[test]
fn every_case_of_the_truth_table_holds() {
    let cases = load("filters.jsonl");
    assert_eq!(cases.len(), 2199);
    let mut wrong = Vec::new();
    for case in &cases {
        let (filters, headers) = (case.get("filters").unwrap(), case.get("headers").and_then(Value::as_object).unwrap());
        let expected = match case.get("expect").unwrap() {
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            _ => text(case, "error_kind"),
        };
        let (got, reason) = answer(filters, headers);
        if got != expected {
            wrong.push(format!(
                "{}: expected {expected}, got {got} ({reason}): {filters} on {}",
                text(case, "id"),
                case.get("headers").unwrap()
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases differ\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn errors_lead_to_the_rule() {
    for (filters, headers, expected) in [
        (
            r#"[{"a": 1}, {"b": {"$and": [{"c": {"$size": "x"}}]}}]"#,
            "{}",
            "rule 2, `b` > `$and` > `c` > `$size`: the operand must be an integer, not a string",
        ),
        (
            r#"[{"a": {"$regex": "("}}]"#,
            r#"{"a": "x"}"#,
            "rule 1, `a` > `$regex`: bad regular expression \"(\": unterminated group at character 1",
        ),
        (r#"[{"a": {"$exists": true, "$near": 1}}]"#, r#"{"a": 1}"#, "rule 1, `a` > `$near`: unknown operator"),
        (r#"[{"a": 1}, 5]"#, "{}", "rule 2: a rule must be an object, not an integer"),
        ("null", "{}", "filters must be a list of objects, not null"),
    ] {
        let headers = Value::parse(headers).unwrap();
        let (_, reason) = answer(&Value::parse(filters).unwrap(), headers.as_object().unwrap());
        assert_eq!(reason, expected);
    }
}

/// `[{"a": {operator: operand}}]`
fn one_operator(operator: &str, operand: impl Into<Value>) -> Value {
    let condition = Map::from_iter([(operator.to_owned(), operand.into())]);
    Value::Array(vec![Value::Object(Map::from_iter([("a".to_owned(), Value::Object(condition))]))])
}

#[test]
fn hostile_filters_and_headers_end_in_time() {
    let text = Value::from("a".repeat(100_000));
    let long_list = |first: i64| Value::from((first..first + 20_000).collect::<Vec<i64>>());
    let nested = |levels: usize| {
        (0..levels).fold(Value::from(1_i64), |inner, _| Value::Array(vec![Value::Object(Map::from_iter([("a".to_owned(), inner)]))]))
    };
    let long_path = |value: Value| Value::Array(vec![Value::Object(Map::from_iter([("a.".repeat(50_000), value)]))]);
    let digits = |digit: &str, count: usize| Value::parse(&digit.repeat(count)).unwrap();
    for (name, filters, value, expected) in [
        ("nested choice", one_operator("$regex", "^(a|aa)+(?=b)$"), text.clone(), "limit"),
        ("nested stars", one_operator("$regex", r"(a*)*(a*)*\1b"), text.clone(), "limit"),
        ("possessive", one_operator("$regex", "(?:a++)++(?=c)"), text.clone(), "limit"),
        ("large counts", one_operator("$regex", "((a{1,1000}){1,1000}){1,1000}b"), text.clone(), "limit"),
        ("empty rounds", one_operator("$regex", "(?:(?:){4000000000}){4000000000}b"), text.clone(), "limit"),
        ("parentheses", one_operator("$regex", "(".repeat(60_000)), text.clone(), "query"),
        ("long pattern", one_operator("$regex", "a".repeat(100_000)), text.clone(), "query"),
        ("many classes", one_operator("$regex", format!("(?i){}", r"[!-\uffff]\w".repeat(4_000))), text.clone(), "query"),
        (
            "a search per member",
            one_operator("$elemMatch", one_operator("$regex", "(?:a|aa)+(?=b)").as_array().unwrap()[0].clone()),
            Value::from(vec![Value::from(Map::from_iter([("a".to_owned(), Value::from("a".repeat(40)))])); 1_000]),
            "limit",
        ),
        (
            "wildcard",
            Value::Array(vec![Value::Object(Map::from_iter([("a".to_owned(), Value::from("?a".repeat(10_000) + "b*"))]))]),
            text,
            "limit",
        ),
        ("lists", one_operator("$in", long_list(0)), long_list(1_000_000), "limit"),
        ("long path", long_path(Value::from(1_i64)), nested(95), "false"),
        ("existence of a long path", long_path(Value::parse(r#"{"$exists": true}"#).unwrap()), nested(95), "false"),
        ("large integers", one_operator("$mod", vec![digits("7", 2_100), Value::from(1_i64)]), digits("9", 4_300), "false"),
        ("larger integers", one_operator("$mod", vec![Value::from(7_i64), Value::from(1_i64)]), digits("9", 500_000), "other"),
    ] {
        let start = std::time::Instant::now();
        let (got, reason) = answer(&filters, &Map::from_iter([("a".to_owned(), value)]));
        assert_eq!(got, expected, "{name}: {reason}");
        // Unoptimised builds on busy machines get what they need; a hang takes for ever.
        assert!(start.elapsed().as_secs() < 30, "{name} took {:?}", start.elapsed());
    }
}

#[test]
fn filters_nested_beyond_measure_are_refused() {
    let mut value = Value::from(1_i64);
    for _ in 0..1_000 {
        value = Value::Object(Map::from_iter([("$not".to_owned(), value)]));
    }
    let filters = Value::Array(vec![Value::Object(Map::from_iter([("a".to_owned(), value)]))]);
    assert_eq!(Filters::compile(&filters).unwrap_err().kind(), FilterErrorKind::Limit);
}

#[test]
fn filters_nested_up_to_the_limit_fit_the_stack_of_a_thread() {
    for (open, close) in [("{\"$not\": ", "}"), ("{\"$and\": [", "]}"), ("{\"$elemMatch\": ", "}"), ("{\"b\": ", "}")] {
        for levels in 40..=99 {
            let filters = format!("[{{\"a\": {}{{\"$in\": 1}}{}}}]", open.repeat(levels), close.repeat(levels));
            let Ok(value) = Value::parse(&filters) else { continue };
            let (got, _) = answer(&value, Value::parse(r#"{"a": "x"}"#).unwrap().as_object().unwrap());
            assert!(matches!(got, "other" | "limit"), "{got}: {filters}");
        }
    }
    for (open, close) in [("(", ")"), ("(?:a|", ")*"), ("(?=", ")"), ("(?(1)", ")"), ("(?>", ")")] {
        for levels in [10, 149, 150, 151, 5_000] {
            let filters = format!("[{{\"a\": {{\"$regex\": \"(x)?{}x{}\"}}}}]", open.repeat(levels), close.repeat(levels));
            let (got, _) = answer(&Value::parse(&filters).unwrap(), Value::parse(r#"{"a": "x"}"#).unwrap().as_object().unwrap());
            assert_eq!(got, if levels > 150 { "query" } else { "true" }, "{levels} of {open}");
        }
    }
}

#[test]
fn filters_keep_their_source() {
    let value = Value::parse(r#"[{"b": 1.0, "a": "!x*"}]"#).unwrap();
    let filters = Filters::compile(&value).unwrap();
    assert_eq!(filters.to_value().to_json(), value.to_json());
    assert_eq!(filters, Filters::compile(&Value::parse(r#"[{"a": "!x*", "b": 1}]"#).unwrap()).unwrap());
    assert_eq!((filters.len(), filters.is_empty()), (1, false));
}

fn any_value() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("$exists".to_owned()),
        Just("$in".to_owned()),
        Just("$regex".to_owned()),
        Just("$not".to_owned()),
        Just("$or".to_owned()),
        Just("$elemMatch".to_owned()),
        Just("$mod".to_owned()),
        Just("$all".to_owned()),
        Just("a".to_owned()),
        Just("a.0".to_owned()),
        Just("a.b".to_owned()),
        "[a-c!*?.$\\[\\](){}+|^0-9-]{0,6}",
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-3_i64..4).prop_map(Value::from),
        word.clone().prop_map(Value::from),
        Just(Value::parse("\"\\ud800x\"").unwrap()),
        Just(Value::parse("123456789012345678901234567890123456789012345").unwrap()),
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((word.clone(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_matching_panic(filters in any_value(), key in "(a|a\\.b|a\\.0|\\$[a-z]{2,4})", headers in any_value(), name in "[ab]") {
        let rule = Value::Object(Map::from_iter([(key, filters.clone())]));
        let headers = Map::from_iter([(name, headers)]);
        let _ = answer(&Value::Array(vec![rule]), &headers);
        let _ = answer(&filters, &headers);
    }

    #[test]
    fn nothing_makes_a_pattern_panic(pattern in "([abcsw01 ,]|\\\\[a-zA-Z0-9.]|[(]|[)]|[(][?]([:=!>#(i]|<[=!]|P<a>|P=a)|[*+?{}|^$.-]|[\\[\\]]|ß|\\n){0,14}", text in "[abc01ß \\n]{0,12}") {
        let filters = Value::Array(vec![Value::Object(Map::from_iter([(
            "a".to_owned(),
            Value::Object(Map::from_iter([("$regex".to_owned(), Value::from(pattern))])),
        )]))]);
        let _ = answer(&filters, &Map::from_iter([("a".to_owned(), Value::from(text))]));
    }
}

/// Cases generated from headers, answered by karton-core in one process.
#[test]
fn generated_cases_agree_with_karton_core() {
    let Ok(python) = std::env::var("KARTON_PEERS_PYTHON") else {
        assert!(std::env::var("CI").is_err(), "KARTON_PEERS_PYTHON must name an interpreter with karton-core");
        eprintln!("left out: KARTON_PEERS_PYTHON does not name an interpreter with karton-core");
        return;
    };
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, seed) = (number("FILTER_CASES", 100_000), number("FILTER_SEED", 1));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/filters_reference.py");
    let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = BufWriter::new(child.stdin.take().unwrap());
    // Both answer at the same time: a question is made, sent, and kept until the other answer is there.
    let (keep, kept) = std::sync::mpsc::sync_channel::<(Value, Value)>(10_000);
    let asking = std::thread::spawn(move || -> std::io::Result<()> {
        let mut generator = Generator::new(seed);
        for (filters, headers) in (0..count).map(|_| generator.case()) {
            // Order of keys is kept: it is part of the question.
            writeln!(input, "{{\"filters\": {}, \"headers\": {}}}", ordered(&filters), ordered(&headers))?;
            keep.send((filters, headers)).map_err(std::io::Error::other)?;
        }
        input.flush()
    });
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut wrong = Vec::new();
    let mut totals = std::collections::BTreeMap::new();
    for (filters, headers) in kept {
        let (got, reason) = answer(&filters, headers.as_object().unwrap());
        let line = answers.next().expect("an answer for each question").unwrap();
        let expected = line.trim_matches('"');
        if got != expected {
            wrong.push(format!("expected {expected}, got {got} ({reason}): {} on {}", ordered(&filters), ordered(&headers)));
        }
        *totals.entry(expected.to_owned()).or_insert(0_u64) += 1;
    }
    asking.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(totals.values().sum::<u64>(), count);
    eprintln!("filters: {count} cases of seed {seed}: {totals:?}, {} differ", wrong.len());
    assert!(wrong.is_empty(), "{} of {count} cases differ (seed {seed})\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
    // A table with one answer only would prove little.
    for kind in ["true", "false", "query", "other"] {
        assert!(totals.get(kind).is_some_and(|total| total * 50 > count), "{totals:?}");
    }
}

/// JSON text with the keys in their own order.
fn ordered(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(ordered).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let members: Vec<String> = map.iter().map(|(key, value)| format!("{}: {}", Value::from(key), ordered(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_json(),
    }
}
