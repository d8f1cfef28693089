//! The requests for each shape of task, as recorded from the reference.

use karton_rs::Task;
use reporter::{mwdb::Problem, report::ReportError};
use serde_json::json;

use crate::bench::{Bench, sample_task, value};
use crate::stub::{Answer, Stored, Stub, sha256};

/// The id of an object that is in the stub already.
fn known(stub: &Stub, character: &str, object: Stored) -> String {
    let id = character.repeat(64);
    stub.store(&id, object);
    id
}

#[tokio::test]
async fn a_sample_with_its_parent_and_everything_else() {
    let bench = Bench::start().await;
    let (parent, parent_id) = bench.file("parent.bin", "parent");
    let (sample, sample_id) = bench.file("sample.bin", "sample");
    let mut task = sample_task();
    task.set_payload("parent", parent);
    task.set_payload("sample", sample);
    task.set_payload("tags", vec!["a", "b"]);
    task.set_payload("attributes", json!({"k": ["v1", {"x": 1}], "karton": ["no"]}));
    task.set_payload("comments", vec!["hello"]);

    bench.report(&task).await;
    let requests = bench.stub.requests();
    let lines: Vec<_> = requests.iter().map(|request| request.line.clone()).collect();
    let comments = format!("GET object/{sample_id}/comment");
    // The reference also looks each object up before it uploads it.
    let expected = ["GET server", "POST file", "POST file", &comments, &format!("POST object/{sample_id}/comment")];
    assert_eq!(lines, expected);
    assert_eq!(requests[1].body, value(json!({"parent": null, "upload_as": "*", "karton_id": task.root_uid()})));
    assert_eq!(requests[1].file, Some(("parent.bin".to_owned(), parent_id.clone())));
    let options = json!({
        "parent": parent_id, "upload_as": "*", "tags": [{"tag": "a"}, {"tag": "b"}],
        "attributes": [{"key": "k", "value": "v1"}, {"key": "k", "value": {"x": 1}}], "karton_id": task.root_uid(),
    });
    assert_eq!(requests[2].body, value(options));
    assert_eq!(requests[4].body, value(json!({"comment": "hello"})));
    assert!(requests.iter().all(|request| request.token.is_some()));

    // The same again: uploaded again, so that the analysis is attached, but not commented again.
    let again = bench.lines_of(&task).await;
    assert_eq!(again, ["POST file", "POST file", &comments], "the version is known, and the comment is there");
    assert_eq!(bench.stub.stored(&sample_id).unwrap().comments, ["hello"]);
}

#[tokio::test]
async fn a_comment_twice_in_one_task_is_made_once() {
    let bench = Bench::start().await;
    let (sample, id) = bench.file("s", "sample");
    let mut task = sample_task();
    task.set_payload("sample", sample);
    task.set_payload("additional_info", vec!["same", "same", "", "other"]);
    bench.report(&task).await;
    assert_eq!(bench.stub.stored(&id).unwrap().comments, ["same", "other"]);
}

#[tokio::test]
async fn a_parent_named_by_id_is_looked_up() {
    let bench = Bench::start().await;
    let (sample, _) = bench.file("s", "sample");
    let parent = known(&bench.stub, "a", Stored::default());
    let mut task = sample_task();
    task.set_payload("sample", sample);
    for (given, query, expected) in [
        (parent.clone(), format!("GET object/{parent}"), json!(parent)),
        ("b".repeat(64), format!("GET object/{}", "b".repeat(64)), json!(null)),
        ("c".repeat(32), format!("GET file/{}", "c".repeat(32)), json!(null)),
    ] {
        bench.reporter_knows_the_version().await;
        task.set_payload("parent", given);
        assert_eq!(bench.lines_of(&task).await, [&query, "POST file"]);
        assert_eq!(bench.stub.requests()[1].body.get("parent"), Some(&value(expected)));
    }
}

impl Bench {
    /// The first upload of a process asks for the version; not what most tests are about.
    async fn reporter_knows_the_version(&self) {
        let (sample, _) = self.file("first", "first");
        let mut task = sample_task();
        task.set_payload("sample", sample);
        self.report(&task).await;
    }
}

#[tokio::test]
async fn a_parent_that_is_no_id_is_an_error_and_no_request() {
    let bench = Bench::start().await;
    let mut task = sample_task();
    task.set_payload("sample", bench.file("s", "sample").0);
    for parent in ["root", "../../auth/login", "a/b?c=d"] {
        task.set_payload("parent", parent);
        let error = bench.try_report(&task).await.unwrap_err();
        assert!(matches!(&error, ReportError::Mwdb(error) if matches!(error.problem(), Problem::InvalidId(_))), "{error}");
    }
    assert_eq!(bench.stub.lines(), [""; 0]);
}

#[tokio::test]
async fn a_sample_is_not_its_own_parent() {
    let bench = Bench::start().await;
    bench.reporter_knows_the_version().await;
    let (sample, _) = bench.file("s", "sample");
    let mut task = sample_task();
    task.set_payload("sample", sample.clone());
    task.set_payload("parent", sample);
    assert_eq!(bench.lines_of(&task).await, ["POST file", "POST file"]);
    assert!(
        bench.stub.requests().iter().filter(|request| request.line == "POST file").all(|request| request
            .body
            .get("parent")
            .unwrap()
            .is_null())
    );
}

#[tokio::test]
async fn files_that_are_too_large_are_left_out() {
    let bench = Bench::start().await;
    bench.reporter_knows_the_version().await;
    let (sample, id) = bench.file("s", "sample");
    let (parent, _) = bench.file("p", "parent");
    let mut task = sample_task();
    task.set_payload("sample", sample);
    bench.stub.answer("POST file", 1, Answer::status(413));
    assert_eq!(bench.lines_of(&task).await, ["POST file"]);

    task.set_payload("parent", parent);
    bench.stub.answer("POST file", 2, Answer::status(413));
    assert_eq!(bench.lines_of(&task).await, ["POST file", "POST file"]);

    bench.stub.answer("POST file", 1, Answer::Status(413, &[], b"<html>nginx</html>".to_vec()));
    bench.report(&task).await;
    assert_eq!(bench.stub.stored(&id).unwrap().parents, [""; 0]);
}

#[tokio::test]
async fn unrecognized_samples_are_reported_on_demand() {
    let bench = Bench::start().await;
    let mut task = Task::new(json!({"type": "sample", "stage": "unrecognized"}));
    task.set_payload("sample", bench.file("s", "sample").0);
    assert_eq!(bench.lines_of(&task).await, [""; 0]);

    let bench = Bench::with(Stub::start().await, |options| options.report_unrecognized = true);
    let (sample, id) = bench.file("s", "sample");
    task.set_payload("sample", sample);
    bench.report(&task).await;
    assert!(bench.stub.stored(&id).is_some());
}

#[tokio::test]
async fn persistent_payload_wins() {
    let bench = Bench::start().await;
    let (sample, id) = bench.file("s", "sample");
    let mut task = sample_task();
    task.set_payload_persistent("sample", sample);
    task.set_payload_persistent("tags", vec!["persistent"]);
    bench.report(&task).await;
    assert_eq!(bench.stub.stored(&id).unwrap().tags, ["persistent"]);
}

fn config_task(config: serde_json::Value) -> Task {
    let mut task = Task::new(json!({"type": "config", "kind": "static", "family": "emotet"}));
    task.set_payload("config", config);
    task
}

#[tokio::test]
async fn a_config_with_files() {
    let bench = Bench::start().await;
    bench.reporter_knows_the_version().await;
    let (original, original_id) = bench.file("original", "original");
    let (parent, parent_id) = bench.file("dump", "dump");
    let mut task = config_task(json!({"a": "b"}));
    task.set_payload("executed_sample", original);
    task.set_payload("parent", parent);
    task.set_payload("tags", vec!["t"]);
    assert_eq!(bench.lines_of(&task).await, ["POST file", "POST file", "POST config"]);
    let requests = bench.stub.requests();
    let karton_id = task.root_uid();
    assert_eq!(requests[0].body, value(json!({"parent": null, "upload_as": "*", "karton_id": karton_id})));
    assert_eq!(
        requests[1].body,
        value(json!({"parent": original_id, "upload_as": "*", "tags": [{"tag": "emotet"}], "karton_id": karton_id}))
    );
    let body = json!({
        "parent": parent_id, "upload_as": "*", "tags": [{"tag": "t"}], "karton_id": karton_id,
        "family": "emotet", "config_type": "static", "cfg": {"a": "b"},
    });
    assert_eq!(requests[2].body, value(body));
    assert!(bench.stub.stored("48a6fc78b03ab9f32b04cd735c4ba09fbfaf4894ca0b039375e15b59d4b3d979").is_some());
}

#[tokio::test]
async fn a_config_with_ids() {
    let bench = Bench::start().await;
    bench.reporter_knows_the_version().await;
    let original = known(&bench.stub, "a", Stored::default());
    let parent = known(&bench.stub, "b", Stored::default());
    let mut task = config_task(json!({"a": "b"}));
    task.set_payload("executed_sample", original.as_str());
    task.set_payload("parent", parent.as_str());
    let [find_original, find_parent] = [format!("GET file/{original}"), format!("GET object/{parent}")];
    let [link, tag] = [format!("PUT object/{original}/child/{parent}"), format!("PUT object/{parent}/tag")];
    assert_eq!(bench.lines_of(&task).await, [&find_original, &find_parent, &link, &tag, "POST config"]);
    // What is there is not done again.
    assert_eq!(bench.lines_of(&task).await, [&find_original, &find_parent, "POST config"]);
}

#[tokio::test]
async fn the_original_sample_of_older_producers_is_tagged() {
    let bench = Bench::start().await;
    let (original, original_id) = bench.file("original", "original");
    let mut task = config_task(json!({"a": "b"}));
    task.set_payload("sample", original);
    bench.report(&task).await;
    assert_eq!(bench.stub.stored(&original_id).unwrap().tags, ["ripped:emotet"]);
    task.set_payload("sample", original_id.as_str());
    bench.report(&task).await;
    assert_eq!(bench.stub.stored(&original_id).unwrap().tags, ["ripped:emotet"]);
    let posted = bench.stub.requests().into_iter().find(|request| request.line == "POST config").unwrap();
    assert!(posted.body.get("parent").unwrap().is_null(), "without a parent in the task the config has none");
}

#[tokio::test]
async fn a_dump_that_is_too_large_is_replaced_by_the_original() {
    let bench = Bench::start().await;
    let original_id = known(&bench.stub, "a", Stored::default());
    let mut task = config_task(json!({"a": "b"}));
    task.set_payload("executed_sample", original_id.as_str());
    task.set_payload("parent", bench.file("dump", "dump").0);
    task.set_payload("comments", vec!["mine"]);
    bench.stub.answer("POST file", 1, Answer::status(413));
    bench.report(&task).await;
    let config = bench.stub.stored("48a6fc78b03ab9f32b04cd735c4ba09fbfaf4894ca0b039375e15b59d4b3d979").unwrap();
    assert_eq!(config.parents, [original_id]);
    assert_eq!(config.comments.len(), 2);
    assert!(config.comments[1].starts_with("warning: mwdb-reporter"), "{:?}", config.comments);
}

#[tokio::test]
async fn embedded_blobs_get_the_family_of_new_and_known_configs() {
    let bench = Bench::start().await;
    let blob = sha256(b"hello");
    bench.stub.store(&blob, Stored::default());
    let task = config_task(json!({"raw": {"in-blob": {"blob_name": "n", "blob_type": "t", "content": "hello"}}}));
    let tag = format!("PUT object/{blob}/tag");
    for _ in 0..2 {
        assert_eq!(*bench.lines_of(&task).await.last().unwrap(), tag);
    }
    let posted = bench.stub.requests().into_iter().find(|request| request.line == "POST config").unwrap();
    assert_eq!(posted.body.get("cfg").unwrap().get("raw").unwrap().get("in-blob").unwrap().get("content").unwrap().as_str(), Some("hello"));
    assert!(bench.stub.stored("9889bc58d1bbe3b329b631533079bb7ab52e9605177d6245b7ec82238e701a79").is_some());
}

#[tokio::test]
async fn numbers_of_a_config_arrive_as_they_were_written() {
    let bench = Bench::start().await;
    let mut task = config_task(json!({}));
    task.set_payload(
        "config",
        karton_rs::json::Value::parse(r#"{"big": 123456789012345678901234567890, "float": 1.0, "text": "ż"}"#).unwrap(),
    );
    bench.report(&task).await;
    let posted = bench.stub.requests().into_iter().find(|request| request.line == "POST config").unwrap();
    assert_eq!(posted.body.get("cfg").unwrap().to_json(), task.payload("config").unwrap().to_json());
}

#[tokio::test]
async fn configs_that_cannot_be_reported_say_why() {
    let bench = Bench::start().await;
    let error = bench.try_report(&config_task(json!({"store-in-gridfs": {}}))).await.unwrap_err();
    assert!(matches!(error, ReportError::Gridfs), "{error}");
    let error = bench.try_report(&Task::new(json!({"type": "config"}))).await.unwrap_err();
    assert_eq!(error.to_string(), "payload `config` is missing");
    assert_eq!(bench.stub.lines(), [""; 0]);
}

#[tokio::test]
async fn a_config_that_is_too_large_is_an_error() {
    let bench = Bench::start().await;
    bench.stub.answer("POST config", 1, Answer::status(413));
    let error = bench.try_report(&config_task(json!({"a": "b"}))).await.unwrap_err();
    assert!(matches!(&error, ReportError::Mwdb(error) if matches!(error.problem(), Problem::TooLarge)), "{error}");
}

#[tokio::test]
async fn a_blob_with_parent_tag_and_comment() {
    let bench = Bench::start().await;
    bench.reporter_knows_the_version().await;
    let (parent, parent_id) = bench.file("p", "parent");
    let mut task = Task::new(json!({"type": "blob", "kind": "raw_cfg"}));
    task.set_payload("content", "żółw");
    task.set_payload("parent", parent);
    task.set_payload("tags", vec!["t"]);
    task.set_payload("comments", vec!["c"]);
    let id = sha256("żółw".as_bytes());
    let [read, write] = ["GET", "POST"].map(|method| format!("{method} object/{id}/comment"));
    assert_eq!(bench.lines_of(&task).await, ["POST file", "POST blob", &read, &write]);
    let body = json!({
        "parent": parent_id, "upload_as": "*", "tags": [{"tag": "t"}], "karton_id": task.root_uid(),
        "blob_name": "blob", "blob_type": "raw_cfg", "content": "żółw",
    });
    assert_eq!(bench.stub.requests()[1].body, value(body));
}

#[tokio::test]
async fn blobs_that_cannot_be_reported_say_why() {
    let bench = Bench::start().await;
    let error = bench.try_report(&Task::new(json!({"type": "blob"}))).await.unwrap_err();
    assert_eq!(error.to_string(), "task has no header `kind`");
    let mut task = Task::new(json!({"type": "blob", "kind": "k"}));
    assert_eq!(bench.try_report(&task).await.unwrap_err().to_string(), "payload `content` is missing");
    task.set_payload("content", 5);
    assert_eq!(bench.try_report(&task).await.unwrap_err().to_string(), "payload `content` must be text");
    task.set_payload("content", karton_rs::json::Value::parse(r#""\ud800""#).unwrap());
    assert_eq!(bench.try_report(&task).await.unwrap_err().to_string(), "payload `content` is not Unicode text");
    assert!(matches!(bench.try_report(&Task::new(json!({"type": "other"}))).await, Err(ReportError::UnknownType)));
}

#[tokio::test]
async fn an_old_server_gets_metakeys_one_by_one() {
    let bench = Bench::with(Stub::start_version("2.2.0").await, |_| {});
    bench.reporter_knows_the_version().await;
    let (sample, id) = bench.file("s", "sample");
    let mut task = sample_task();
    task.set_payload("sample", sample);
    task.set_payload("tags", vec!["t"]);
    task.set_payload("attributes", json!({"k": ["v", 5]}));
    task.set_payload("comments", vec!["c"]);
    let object = |rest: &str| rest.replace("ID", &id);
    let all = ["GET file/ID", "POST file", "PUT object/ID/tag", "GET object/ID/meta", "POST object/ID/meta", "POST object/ID/meta"];
    let mut expected: Vec<String> = all.map(object).to_vec();
    expected.extend([object("GET object/ID/comment"), object("POST object/ID/comment")]);
    assert_eq!(bench.lines_of(&task).await, expected);
    let requests = bench.stub.requests();
    let metakeys = json!({"parent": null, "upload_as": "*", "metakeys": [{"key": "karton", "value": task.root_uid()}]});
    assert_eq!(requests[1].body, value(metakeys));
    assert_eq!(requests[5].body, value(json!({"key": "k", "value": "5"})));

    // An object that exists is not uploaded, and keeps what it has.
    let parent = known(&bench.stub, "a", Stored::default());
    task.set_payload("parent", parent.as_str());
    let expected = [
        format!("GET object/{parent}"),
        format!("GET file/{id}"),
        format!("PUT object/{parent}/child/{id}"),
        format!("GET object/{id}/meta"),
        format!("GET object/{id}/comment"),
    ];
    assert_eq!(bench.lines_of(&task).await, expected);
}

#[tokio::test]
async fn existing_objects_get_what_is_new_without_their_content_when_asked_for() {
    let bench = Bench::with(Stub::start().await, |options| options.upload_existing = false);
    let (sample, id) = bench.file("s", "sample");
    let parent = known(&bench.stub, "a", Stored::default());
    let mut task = sample_task();
    task.set_payload("sample", sample);
    bench.report(&task).await;
    assert!(bench.stub.requests().iter().any(|request| request.file.is_some()), "a new one is uploaded");
    task.set_payload("parent", parent.as_str());
    task.set_payload("tags", vec!["t"]);
    task.set_payload("attributes", json!({"k": ["v", 5]}));
    let all = [
        format!("GET object/{parent}"),
        format!("GET file/{id}"),
        format!("PUT object/{parent}/child/{id}"),
        format!("PUT object/{id}/tag"),
        format!("GET object/{id}/attribute"),
        format!("POST object/{id}/attribute"),
        format!("POST object/{id}/attribute"),
        format!("PUT object/{id}/karton/{}", task.root_uid()),
    ];
    assert_eq!(bench.lines_of(&task).await, all);
    let again = [0, 1, 4, 7].map(|index| all[index].clone());
    assert_eq!(bench.lines_of(&task).await, again, "what is there is not added again");
}
