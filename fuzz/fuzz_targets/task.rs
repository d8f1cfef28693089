//! Task records: whatever is read is written so that it is read the same again.
#![no_main]

use karton_rs::{
    Task,
    json::{RawObject, Value},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let value = Value::parse(text);
    if let Ok(value) = &value {
        let written = value.to_json();
        assert_eq!(Value::parse(&written).map(|value| value.to_json()).as_deref(), Ok(&*written));
    }
    if let Ok(fields) = RawObject::parse(text) {
        // The router reads fields one by one: they must be those of the whole record.
        if let Ok(value) = &value {
            for name in ["uid", "headers", "payload", "status"] {
                let field = fields.get(name).map(|json| Value::parse(json).map(|value| value.to_json()));
                assert_eq!(field, value.get(name).map(|value| Ok(value.to_json())), "{name}");
            }
        }
    }
    let Ok(task) = Task::from_json(text) else { return };
    let value = value.expect("a task is JSON");
    let written = task.to_json();
    let again = Task::from_json(&written).expect("what was written can be read");
    assert_eq!(again.to_json(), written);
    assert_eq!((again.uid(), again.root_uid(), again.status()), (task.uid(), task.root_uid(), task.status()));
    // The copy of the persistent headers is written anew, with the resources in it (Karton protocol §4.3): where it was
    // another one before, there may be more of them now, or fewer.
    let copy = value.get("payload_persistent").and_then(|payload| payload.get("__headers_persistent"));
    if value.get("headers_persistent").map(Value::to_json) == copy.map(Value::to_json) {
        assert_eq!(again.resources().len(), task.resources().len());
    }
    if let Ok(restarted) = task.restart() {
        assert!(Task::from_json(&restarted.to_json()).is_ok());
    }
    let derived = task.derive(Value::Object(karton_rs::json::Map::new()));
    assert!(Task::from_json(&derived.to_json()).is_ok());
});
