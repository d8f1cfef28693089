//! What the service makes of a task, without any server.

use karton_rs::{LocalResource, Task};
use serde_json::json;

#[test]
fn the_result_tells_the_size_of_the_sample() {
    let mut task = Task::new(json!({"type": "sample", "stage": "recognized"}));
    task.attach("sample", LocalResource::from_bytes("a.bin", "12345").expect("a sample"));
    let result = super::result(&task).expect("a result");
    assert_eq!(result.header_str("stage"), Some("analyzed"));
    assert_eq!(result.payload_as::<Vec<String>>("comments").expect("text"), Some(vec!["5 bytes".to_owned()]));
    assert_eq!(result.resource("sample").expect("the sample").name, "a.bin");
}

#[test]
fn a_task_without_a_sample_is_an_error() {
    assert!(super::result(&Task::new(json!({"type": "sample"}))).is_err());
}
