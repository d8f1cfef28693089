//! The service in a pipeline: tasks come through a broker, samples through S3.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use classifier::{IDENTITY, INFO, VERSION, content::IN_MEMORY};
use karton_rs::{
    Task,
    json::Value,
    testing::{eventually, throughout},
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::{
    bed::Bed,
    tasks::sha256,
    vectors::{file, load, text},
};

fn tags(task: &Task) -> Vec<String> {
    task.payload_as("tags").unwrap().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_bind_is_that_of_the_reference() {
    let bed = Bed::start().await;
    bed.start_classifier().await;
    let bind = Value::parse(&bed.bind(IDENTITY).await).unwrap();
    assert_eq!(text(&bind, "service_version"), VERSION);
    assert_eq!(text(&bind, "info"), INFO);
    assert!(
        INFO.starts_with("\n    File type classifier for the Karton framework.\n\n    Entrypoint") && INFO.ends_with("`)\n    "),
        "{INFO}"
    );
    assert_eq!(bind.get("persistent"), Some(&Value::Bool(true)));
    assert_eq!(bind.get("filters"), Some(&Value::from(json!([{"type": "sample", "kind": "raw"}]))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_sample_comes_out_with_its_class() {
    let mut bed = Bed::start().await;
    bed.start_classifier().await;
    let sent = bed
        .send("setup.exe", file("pe-gui32.bin"), |task| {
            task.set_header("origin", "somebody");
            task.set_header("quality", "low");
            task.set_persistent_header("campaign", "c1");
            task.set_payload("tags", vec!["feed:a"]);
            task.set_payload("comments", vec!["c"]);
        })
        .await;
    let answer = bed.answer().await;
    assert_eq!(answer.root_uid(), sent.root_uid());
    let mut headers = answer.headers().clone();
    headers.shift_remove("receiver");
    let expected = json!({
        "type": "sample", "stage": "recognized", "kind": "runnable", "platform": "win32", "extension": "exe", "quality": "low",
        "mime": "application/vnd.microsoft.portable-executable", "origin": "karton.classifier", "campaign": "c1",
    });
    assert_eq!(Value::from(headers), Value::from(expected));
    assert_eq!(tags(&answer), ["runnable:win32:exe", "feed:a"]);
    assert_eq!(answer.payload("comments"), Some(&Value::from(vec!["c"])));
    assert_eq!(answer.resource("sample").unwrap(), sent.resource("sample").unwrap());

    bed.send("x", file("noise-a.bin"), |task| task.set_payload("tags", vec!["feed:b"])).await;
    let answer = bed.answer().await;
    assert_eq!((answer.header_str("stage"), answer.header_str("kind")), (Some("unrecognized"), Some("unknown")));
    assert_eq!(tags(&answer), ["feed:b"]);
    assert!(!answer.has_payload("magic"));
}

/// The sample of a task, with some of its fields changed.
fn with_fields(task: &Task, fields: &[(&str, Value)]) -> Value {
    let mut sample = task.resource("sample").unwrap().to_value();
    let resource = sample.as_object_mut().unwrap().get_mut("__karton_resource__").unwrap().as_object_mut().unwrap();
    for (field, value) in fields {
        resource.insert((*field).to_owned(), value.clone());
    }
    sample
}

/// A field of the sample as it stands in the record of a task.
fn field<'a>(task: &'a Task, name: &str) -> &'a Value {
    task.payload("sample").unwrap().get("__karton_resource__").unwrap().get(name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_without_name_stays_without() {
    let mut bed = Bed::start().await;
    bed.start_classifier().await;
    for (content, stage) in [(file("pe-gui32.bin"), "recognized"), (file("noise-a.bin"), "unrecognized")] {
        // With the digest to be filled in and without.
        for more in [&[][..], &[("sha256", Value::Null)]] {
            bed.send("x", content.clone(), |task| {
                let sample = with_fields(task, &[&[("name", Value::Null)][..], more].concat());
                task.set_payload("sample", sample);
            })
            .await;
            let answer = bed.answer().await;
            assert_eq!(answer.header_str("stage"), Some(stage));
            assert_eq!(field(&answer, "name"), &Value::Null);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_size_is_filled_in() {
    let mut bed = Bed::start().await;
    bed.start_classifier().await;
    let mut large = b"%PDF-1.7".to_vec();
    large.resize(usize::try_from(IN_MEMORY).unwrap() + 1, b' ');
    // Seen in parts, as its digest is known.
    let mut larger = large.clone();
    larger.resize(60 << 20, b' ');
    for content in [file("pe-gui32.bin"), file("noise-a.bin"), large, larger] {
        for (said, expected) in [(Value::Null, content.len() as u64), (5_u64.into(), 5)] {
            bed.send("x", content.clone(), |task| {
                let sample = with_fields(task, &[("size", said)]);
                task.set_payload("sample", sample);
            })
            .await;
            assert_eq!(field(&bed.answer().await, "size"), &Value::from(expected));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_digest_is_filled_in() {
    let mut bed = Bed::start().await;
    bed.start_classifier().await;
    let without_digest = |task: &mut Task| {
        let mut sample = task.resource("sample").unwrap();
        sample.metadata.insert("sha256".to_owned(), Value::Null);
        task.set_payload("sample", sample.to_value());
    };
    let content = file("text-plain.bin");
    bed.send("file", content.clone(), without_digest).await;
    assert_eq!(bed.answer().await.resource("sample").unwrap().sha256(), Some(sha256(&content).as_str()));

    // What is not recognized goes on as it came.
    let sent = bed
        .send("file", file("noise-a.bin"), |task| {
            task.set_payload("magic", "what the sender said");
            task.set_payload("tags", vec!["feed:a", "feed:a"]);
            without_digest(task);
        })
        .await;
    let answer = bed.answer().await;
    assert_eq!(answer.header_str("stage"), Some("unrecognized"));
    assert_eq!(Value::from(answer.payloads().clone()), Value::from(sent.payloads().clone()));
}

/// The whole analysis has such a sample, and all of it learns what was found out.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_persistent_sample_lacks_is_filled_in() {
    let mut bed = Bed::start().await;
    bed.start_classifier().await;
    for (content, is_known) in [(file("text-plain.bin"), true), (file("noise-a.bin"), false)] {
        let sent = bed
            .send("file", content.clone(), |task| {
                let sample = with_fields(task, &[("size", Value::Null), ("sha256", Value::Null)]);
                task.remove_payload("sample");
                task.set_payload_persistent("sample", sample);
            })
            .await;
        let answer = bed.answer().await;
        assert_eq!(answer.header_str("stage") == Some("recognized"), is_known);
        assert!(!answer.payloads().contains_key("sample"), "it stays persistent");
        let sample = answer.resource("sample").unwrap();
        assert_eq!((sample.size, sample.sha256().is_some()), (Some(content.len() as u64), is_known));
        assert!(!is_known || sample.sha256() == Some(sha256(&content).as_str()));
        assert_eq!(sample.uid, sent.resource("sample").unwrap().uid);
    }
}

/// Above the bound the sample goes through a file, and everything must come out as below it. The documents are
/// such that their head alone says something else.
#[tokio::test(flavor = "multi_thread")]
async fn large_samples_are_seen_whole() {
    let mut bed = Bed::start().await;
    bed.start_classifier().await;
    let size = usize::try_from(IN_MEMORY).unwrap() + 4096;

    let mut document = br#"{"a": ["#.to_vec();
    document.extend(b"\"some text\", ".iter().cycle().take(size / 13 * 13 + 13));
    document.extend(b"1]}");
    bed.send("big", document.clone(), |task| {
        let mut sample = task.resource("sample").unwrap();
        (sample.size, sample.metadata) = (None, karton_rs::json::Map::new());
        task.set_payload("sample", sample.to_value());
    })
    .await;
    let answer = bed.answer().await;
    assert_eq!(tags(&answer), ["misc:json"]);
    assert_eq!(answer.resource("sample").unwrap().sha256(), Some(sha256(&document).as_str()));

    // A zip archive is known by its end.
    let mut archive = b"\0junk".to_vec();
    archive.resize(size, 0);
    archive.extend(file("zip-plain.bin"));
    bed.send("big", archive, |_| {}).await;
    assert_eq!(tags(&bed.answer().await), ["archive:zip"]);

    // NUL bytes at the end are left out where libmagic would only walk over them, and nowhere else.
    let mut padded = file("pe-gui32.bin");
    padded.resize(size * 3, 0);
    bed.send("big", padded, |_| {}).await;
    assert_eq!(tags(&bed.answer().await), ["runnable:win32:exe"]);
    bed.send("big", vec![0; size * 3], |_| {}).await;
    assert_eq!(bed.answer().await.header_str("stage"), Some("unrecognized"));
}

/// The Python service crashes on all of these but the object.
#[tokio::test(flavor = "multi_thread")]
async fn odd_payloads_are_answered() {
    let mut bed = Bed::start().await;
    bed.start_classifier().await;
    let pdf = || b"%PDF-1.7".to_vec();
    let expected = ["document:win32:pdf"];

    bed.send("x", pdf(), |task| task.set_payload_persistent("magic", "said")).await;
    let answer = bed.answer().await;
    assert_eq!(answer.payload("magic"), Some(&Value::from("said")));
    assert_eq!(tags(&answer), expected);
    for odd in [json!({"a": 1}), json!(5)] {
        bed.send("x", pdf(), |task| task.set_payload("tags", odd)).await;
        assert_eq!(tags(&bed.answer().await), expected);
    }

    let name = Value::parse(r#""a\ud800.js""#).unwrap();
    bed.send("x", b"1;".to_vec(), |task| {
        let sample = with_fields(task, &[("name", name.clone())]);
        task.set_payload("sample", sample);
    })
    .await;
    let answer = bed.answer().await;
    assert_eq!((tags(&answer), field(&answer, "name")), (vec!["script:win32:js".to_owned()], &name));

    bed.send("x", pdf(), |task| {
        let sample = task.remove_payload("sample").unwrap();
        task.set_payload_persistent("sample", sample);
    })
    .await;
    assert_eq!(tags(&bed.answer().await), expected);

    // A zip64 archive of several disks.
    let mut archive = b"\0junk".repeat(20);
    archive.extend([b"PK\x06\x06".as_slice(), &44_u64.to_le_bytes(), &[45, 0, 45, 0], &[0; 40]].concat());
    archive.extend([b"PK\x06\x07".as_slice(), &1_u32.to_le_bytes(), &0_u64.to_le_bytes(), &3_u32.to_le_bytes()].concat());
    archive.extend([b"PK\x05\x06".as_slice(), &[0; 8], &[0xFF; 8], &[0; 2]].concat());
    bed.send("x", archive, |_| {}).await;
    assert_eq!(bed.answer().await.header_str("stage"), Some("unrecognized"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_samples_at_once_each_get_their_own_answer() {
    let mut bed = Bed::start().await;
    bed.config.set("karton", "concurrency", "4");
    bed.start_classifier().await;
    let rows = load("expected.jsonl");
    let mut expected = BTreeMap::new();
    for row in rows.iter().step_by(3) {
        let content = file(text(row, "file"));
        // In memory an empty resource is refused.
        if content.is_empty() {
            continue;
        }
        let task = bed.send(text(row, "sample_name"), content, |_| {}).await;
        expected.insert(task.root_uid().to_owned(), row);
    }
    assert!(expected.len() > 80);
    for _ in 0..expected.len() {
        let answer = bed.answer().await;
        let row = expected.remove(answer.root_uid()).expect("one answer for each sample");
        let mut headers = answer.headers().clone();
        headers.shift_remove("receiver");
        assert_eq!(Value::from(headers), *row.get("headers").unwrap(), "{row}");
        assert_eq!(answer.payload("tags").cloned().unwrap_or_default(), *row.get("tags").unwrap(), "{row}");
        assert_eq!(answer.payload("magic").cloned().unwrap_or_default(), *row.get("payload_magic").unwrap(), "{row}");
    }
}

/// Passes connections on to an object store; the first one waits, which `held` tells, until `open` is cancelled.
async fn gate(store: SocketAddr, held: CancellationToken, open: CancellationToken) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let waits = !held.is_cancelled();
            held.cancel();
            let open = open.clone();
            tokio::spawn(async move {
                if waits {
                    open.cancelled().await;
                }
                let mut server = TcpStream::connect(store).await.unwrap();
                // Whoever closes first ends it.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

/// A sample that is long in coming holds up no other, unless a limit of time asks for one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn samples_are_fetched_ahead_where_none_is_held_up_by_it() {
    for (task_timeout, order) in [("0", ["b.js", "a.js"]), ("60", ["a.js", "b.js"])] {
        let mut bed = Bed::start().await;
        let (held, open) = (CancellationToken::new(), CancellationToken::new());
        bed.config.set("s3", "address", &gate(bed.s3.addr(), held.clone(), open.clone()).await);
        bed.config.set("karton", "task_timeout", task_timeout);
        bed.start_classifier().await;
        bed.send("a.js", b"1;".to_vec(), |_| {}).await;
        held.cancelled().await;
        bed.send("b.js", b"2;".to_vec(), |_| {}).await;
        if order[0] == "a.js" {
            eventually("the other one to wait", || async { (bed.waiting().await == 1).then_some(()) }).await;
            throughout(Duration::from_secs(1), "it to go on waiting", || async { bed.waiting().await == 1 }).await;
            open.cancel();
        }
        let first = bed.answer().await;
        open.cancel();
        assert_eq!([first, bed.answer().await].map(|task| task.resource("sample").unwrap().name), order);
    }
}

/// An object store behind a door that is shut in the face of so many, then open; gives its address.
async fn shut_for(store: SocketAddr, mut many: usize) -> String {
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", door.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = door.accept().await {
            if many > 0 {
                many -= 1;
                continue;
            }
            tokio::spawn(async move {
                let mut server = TcpStream::connect(store).await.unwrap();
                // Ends with either side.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_waits_while_the_object_store_is_away() {
    let mut bed = Bed::start().await;
    // More often than one request is tried.
    bed.config.set("s3", "address", shut_for(bed.s3.addr(), 7).await);
    bed.start_classifier().await;
    bed.send("a.js", b"1;".to_vec(), |_| {}).await;
    assert_eq!(tags(&bed.answer().await), ["script:win32:js"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_cannot_be_served_crashes_alone() {
    let mut bed = Bed::start().await;
    bed.start_classifier().await;
    let without_sample = bed.karton.send_task(Task::new(json!({"type": "sample", "kind": "raw"}))).await.unwrap();
    let crashed = bed.crashed(without_sample.root_uid()).await;
    assert!(crashed.error().concat().contains("task has no payload `sample`"), "{:?}", crashed.error());

    let gone = bed
        .send("gone", b"content".to_vec(), |task| {
            let mut sample = task.resource("sample").unwrap();
            sample.uid = "no-such-object".to_owned();
            task.set_payload("sample", sample.to_value());
        })
        .await;
    let crashed = bed.crashed(gone.root_uid()).await;
    assert!(crashed.error().concat().contains("cannot read `gone`"), "{:?}", crashed.error());

    bed.send("a.js", b"1;".to_vec(), |_| {}).await;
    assert_eq!(tags(&bed.answer().await), ["script:win32:js"]);
}

/// An object store that answers with status 500 whenever one of the first so many objects is asked for; gives its address.
async fn failing_at_first(store: SocketAddr, many: usize) -> String {
    let bad = Arc::new(Mutex::new(BTreeSet::new()));
    let fails = move |asked: &[u8]| {
        let text = String::from_utf8_lossy(asked);
        let Some(uid) = text.strip_prefix("GET /karton/").and_then(|rest| rest.split([' ', '?']).next()) else { return false };
        let mut bad = bad.lock().unwrap();
        bad.contains(uid) || (bad.len() < many && bad.insert(uid.to_owned()))
    };
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", door.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = door.accept().await {
            let fails = fails.clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(store).await.unwrap();
                let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
                loop {
                    tokio::select! {
                        read = client.read(&mut asked) => {
                            let Ok(length @ 1..) = read else { return };
                            if fails(&asked[..length]) {
                                let _ = client.write_all(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
                                return;
                            }
                            server.write_all(&asked[..length]).await.unwrap();
                        }
                        read = server.read(&mut answered) => {
                            let Ok(length @ 1..) = read else { return };
                            client.write_all(&answered[..length]).await.unwrap();
                        }
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_at_which_the_object_store_fails_do_not_hold_up_the_others() {
    let mut bed = Bed::start().await;
    // As many as are in hand at once.
    bed.config.set("karton", "concurrency_limit", "3");
    bed.config.set("s3", "address", failing_at_first(bed.s3.addr(), 3).await);
    bed.start_classifier().await;
    let mut bad = Vec::new();
    for name in ["a.js", "b.js", "c.js"] {
        bad.push(bed.send(name, b"1;".to_vec(), |_| {}).await);
    }
    let good = bed.send("good.js", b"1;".to_vec(), |_| {}).await;
    let answer = bed.answer().await;
    assert_eq!(answer.root_uid(), good.root_uid());
    for task in bad {
        let crashed = bed.crashed(task.root_uid()).await;
        assert!(crashed.error().concat().contains("fails at this sample, 6 times"), "{:?}", crashed.error());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_waits_while_the_object_store_refuses_the_key() {
    let mut bed = Bed::start().await;
    bed.config.set("s3", "secret_key", "of-another-server");
    bed.start_classifier().await;
    let sent = bed.send("a.js", b"1;".to_vec(), |_| {}).await;
    eventually("it to be taken", || async { (bed.waiting().await == 0).then_some(()) }).await;
    // It is asked for several times, and stays as it is.
    throughout(Duration::from_secs(4), "no crash", || async { !bed.has_crashed().await }).await;
    drop(sent);
}
