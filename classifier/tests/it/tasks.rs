//! Whole tasks: headers and payloads of what is sent, as the reference sends it or better where it crashes.

use classifier::{
    IDENTITY,
    classify::{Classification, classify},
    magic::{DetectError, Detector, LibMagic, detect},
    task::{Answer, Found, fallback, lacks_sha256, recognized, unrecognized},
    yara::{Rules, RulesError, SCAN_TIMEOUT},
};
use karton_rs::{
    Task,
    json::{Map, Value},
};
use sha2::{Digest as _, Sha256};

use crate::vectors::{file, load, path, text};

/// libmagic that fails as a row of the table asks for.
struct Failing<'a> {
    libmagic: LibMagic,
    mode: &'a str,
}

impl Failing<'_> {
    fn fail_in(&self, modes: &[&str]) -> Result<(), DetectError> {
        if modes.contains(&self.mode) { Err(DetectError("out of order".to_owned())) } else { Ok(()) }
    }
}

impl Detector for Failing<'_> {
    fn description(&self, content: &[u8]) -> Result<String, DetectError> {
        self.fail_in(&["both texts fail"])?;
        self.libmagic.description(content)
    }

    fn mime(&self, content: &[u8]) -> Result<String, DetectError> {
        self.fail_in(&["both texts fail", "mime text fails"])?;
        self.libmagic.mime(content)
    }
}

fn object<'a>(value: &'a Value, key: &str) -> &'a Map {
    value.get(key).and_then(Value::as_object).unwrap_or_else(|| panic!("no object `{key}` in {value}"))
}

pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// The incoming task of a row.
fn incoming(row: &Value, content: &[u8]) -> Task {
    let incoming = row.get("incoming").unwrap();
    let mut task = Task::new(object(incoming, "headers").clone());
    for (name, value) in object(incoming, "headers_persistent") {
        task.set_persistent_header(name, value.clone());
    }
    for (name, value) in object(incoming, "payload") {
        task.set_payload(name, value.clone());
    }
    for (name, value) in object(incoming, "payload_persistent") {
        task.set_payload_persistent(name, value.clone());
    }
    let metadata = match incoming.get("sample_metadata") {
        Some(Value::Object(metadata)) => metadata.clone(),
        _ => Map::from_iter([("sha256".to_owned(), sha256(content).into())]),
    };
    let fields = Map::from_iter([
        ("uid".to_owned(), "c5e8d9a0-0000-4000-8000-000000000001".into()),
        ("name".to_owned(), text(row, "sample_name").into()),
        ("bucket".to_owned(), "karton".into()),
        ("size".to_owned(), (content.len() as u64).into()),
        ("metadata".to_owned(), metadata.into()),
    ]);
    let sample = Map::from_iter([("__karton_resource__".to_owned(), Value::from(fields))]);
    match incoming.get("sample_persistent") {
        Some(Value::Bool(true)) => task.set_payload_persistent("sample", sample),
        _ => task.set_payload("sample", sample),
    }
    task
}

/// Name and metadata of a resource, the parts that the table shows.
fn simplified(payload: &Map) -> Map {
    let mut payload = payload.clone();
    if let Some(fields) = payload.get("sample").and_then(|sample| sample.get("__karton_resource__")) {
        let shown = ["name", "metadata"].map(|field| (field.to_owned(), fields.get(field).cloned().unwrap_or_default()));
        let sample = Map::from_iter([("__resource__".to_owned(), Value::from(Map::from_iter(shown)))]);
        payload.insert("sample".to_owned(), sample.into());
    }
    payload
}

/// A task in the form of the table; the identity is what sending adds.
fn shown(mut task: Task) -> Value {
    task.set_header("origin", IDENTITY);
    Value::from(Map::from_iter([
        ("headers".to_owned(), task.headers().clone().into()),
        ("headers_persistent".to_owned(), task.headers_persistent().into()),
        ("payload".to_owned(), simplified(task.payloads()).into()),
        ("payload_persistent".to_owned(), simplified(task.payloads_persistent()).into()),
    ]))
}

/// What is answered to the task of a row.
fn answers(row: &Value) -> Result<Vec<Answer>, RulesError> {
    let folder = row.get("yara").and_then(Value::as_str).map(|folder| path("yara").join(folder));
    let rules = folder.map(|folder| Rules::load(&folder)).transpose()?;
    let content = file(text(row, "file"));
    let task = incoming(row, &content);
    let sample = task.resource("sample").unwrap();
    let detector = Failing { libmagic: LibMagic::open().unwrap(), mode: text(row, "detector") };
    let outcome = classify(&sample.name, &content, &detect(&detector, &content, fallback(&task)));
    let found = Found { size: None, sha256: lacks_sha256(&sample).then(|| sha256(&content)) };
    let matches = rules.map(|rules| rules.scanner().scan(&content, SCAN_TIMEOUT).unwrap()).unwrap_or_default();
    let classes: Vec<Classification> = matches.into_iter().map(Classification::from).chain(outcome.class).collect();
    if classes.is_empty() {
        return Ok(vec![unrecognized(&task, &sample, &found)]);
    }
    Ok(classes.iter().map(|class| recognized(&task, &sample, class, &found)).collect())
}

fn check(row: &Value) {
    let expected = row.get("port").filter(|port| !port.is_null()).or_else(|| row.get("upstream")).unwrap();
    match answers(row) {
        Ok(answers) => {
            let found: Vec<Value> = answers.into_iter().map(|answer| shown(answer.task)).collect();
            assert_eq!(Some(&Value::from(found)), expected.get("outgoing"), "{}", text(row, "name"));
        }
        Err(error) => assert!(expected.get("start_up_error").is_some(), "{}: {error}", text(row, "name")),
    }
}

#[test]
fn whole_tasks_are_answered_as_by_the_reference() {
    let rows = load("tasks.jsonl");
    let (without_yara, with_yara): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.get("yara").is_none_or(Value::is_null));
    assert_eq!((without_yara.len(), with_yara.len()), (24, 16));
    without_yara.into_iter().for_each(check);
    #[cfg(feature = "yara")]
    with_yara.into_iter().for_each(check);
}

#[test]
fn what_cannot_be_used_is_told() {
    let warnings = |name: &str| {
        let rows = load("tasks.jsonl");
        let mut answers = answers(rows.iter().find(|row| text(row, "name") == name).unwrap()).unwrap();
        answers.remove(0).warnings
    };
    assert_eq!(warnings("plain"), [""; 0]);
    assert_eq!(warnings("tags-persistent"), ["payload `tags` is persistent and was not changed"]);
    assert_eq!(warnings("persistent-kind-wins").len(), 1);
}
