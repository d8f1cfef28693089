//! The examples of karton-core's documentation, as services of this library, tested without a server.

use karton_rs::{Consumer, LocalResource, Task, testing::KartonTest};
use serde_json::json;

/// Unit tests: a service that sums what it gets.
fn math() -> Consumer {
    Consumer::new("karton.math").filters(json!([{"type": "numbers"}])).process(|karton, task| async move {
        let numbers: Vec<i64> = task.payload_as("numbers")?.unwrap_or_default();
        let mut result = Task::new(json!({"type": "math-result"}));
        result.set_payload("result", numbers.iter().sum::<i64>());
        karton.send_task(result).await?;
        Ok(())
    })
}

#[tokio::test]
async fn math_adds_numbers() -> anyhow::Result<()> {
    let mut task = Task::new(json!({"type": "numbers"}));
    task.set_payload("numbers", vec![1, 2, 3]);
    let mut expected = Task::new(json!({"type": "math-result"}));
    expected.set_payload("result", 6);
    KartonTest::new(math()).run(task).await?.expect(&[expected]).await;
    Ok(())
}

/// Unit tests with resources: a service that turns a file around.
fn reverser() -> Consumer {
    Consumer::new("karton.reverser").filters(json!([{"type": "reverse"}])).process(|karton, task| async move {
        let mut content = karton.read(&task.resource("file")?, 1 << 20).await?.to_vec();
        content.reverse();
        let mut result = Task::new(json!({"type": "reversed"}));
        result.attach("file", LocalResource::from_bytes("reversed", content)?);
        karton.send_task(result).await?;
        Ok(())
    })
}

#[tokio::test]
async fn the_reverser_turns_a_file_around() -> anyhow::Result<()> {
    let mut task = Task::new(json!({"type": "reverse"}));
    task.attach("file", LocalResource::from_bytes("input", "I am a file")?);
    let mut expected = Task::new(json!({"type": "reversed"}));
    expected.attach("file", LocalResource::from_bytes("reversed", "elif a ma I")?);
    KartonTest::new(reverser()).run(task).await?.expect(&[expected]).await;
    Ok(())
}

/// The generic unpacker: takes runnable samples, runs a tool on each, sends what the tool has left.
fn unpacker() -> Consumer {
    let filters = json!([{"type": "sample", "stage": "recognized", "kind": "runnable", "platform": "win32"}]);
    Consumer::new("karton.unpacker").version("1.0.0").filters(filters).process(|karton, task| async move {
        let sample = karton.download_temp(&task.resource("sample")?).await?;
        for unpacked in unpack(sample.path())? {
            let mut result = Task::new(json!({"type": "sample", "kind": "raw"}));
            result.attach("sample", LocalResource::from_bytes("unpacked", unpacked)?);
            result.set_payload("parent", task.resource("sample")?.to_value());
            karton.send_task(result).await?;
        }
        Ok(())
    })
}

/// Stands for a tool of its own: what follows each `PK`.
fn unpack(path: &std::path::Path) -> std::io::Result<Vec<Vec<u8>>> {
    let content = std::fs::read(path)?;
    let starts: Vec<usize> = content.windows(2).enumerate().filter(|(_, pair)| pair == b"PK").map(|(at, _)| at + 2).collect();
    Ok(starts.iter().map(|start| content[*start..].iter().take_while(|byte| **byte != b'P').copied().collect()).collect())
}

#[tokio::test]
async fn the_unpacker_sends_what_it_unpacks_with_its_parent() -> anyhow::Result<()> {
    let headers = json!({"type": "sample", "stage": "recognized", "kind": "runnable", "platform": "win32", "extension": "exe"});
    let mut task = Task::new(headers);
    task.attach("sample", LocalResource::from_bytes("packed.exe", "MZ..PKone.PKtwo.")?);
    let unpacked = |content: &'static str| -> anyhow::Result<Task> {
        let mut expected = Task::new(json!({"type": "sample", "kind": "raw"}));
        expected.attach("sample", LocalResource::from_bytes("unpacked", content)?);
        expected.attach("parent", LocalResource::from_bytes("packed.exe", "MZ..PKone.PKtwo.")?);
        Ok(expected)
    };
    let test = KartonTest::new(unpacker());
    test.run(task).await?.expect(&[unpacked("one.")?, unpacked("two.")?]).await;
    assert!(!test.accepts(&Task::new(json!({"type": "sample", "stage": "recognized", "kind": "archive"}))));
    Ok(())
}

/// Persistent payload: what every task of an analysis is to know, without anybody passing it on.
fn downloader() -> Consumer {
    Consumer::new("karton.downloader").filters(json!([{"type": "url"}])).process(|karton, task| async move {
        let user: String = task.payload_as("uploader")?.unwrap_or_default();
        let mut sample = Task::new(json!({"type": "sample", "kind": "raw"}));
        sample.set_payload_persistent("source", format!("found for {user}"));
        sample.set_persistent_header("quality", "high");
        karton.send_task(sample).await?;
        Ok(())
    })
}

#[tokio::test]
async fn persistent_payload_and_headers_are_read_and_set() -> anyhow::Result<()> {
    let mut task = Task::new(json!({"type": "url"}));
    task.set_payload_persistent("uploader", "alice");
    let mut expected = Task::new(json!({"type": "sample", "kind": "raw"}));
    expected.set_payload_persistent("source", "found for alice");
    expected.set_persistent_header("quality", "high");
    KartonTest::new(downloader()).run(task).await?.expect(&[expected]).await;
    Ok(())
}

/// Forking: the same payload under other headers, for a second opinion.
fn classifier() -> Consumer {
    Consumer::new("karton.opinions").filters(json!([{"type": "sample", "kind": "raw"}])).process(|karton, task| async move {
        karton.send_task(task.derive(json!({"type": "sample", "stage": "recognized", "kind": "archive"}))).await?;
        karton.send_task(task.derive(json!({"type": "sample", "stage": "recognized", "kind": "document"}))).await?;
        Ok(())
    })
}

#[tokio::test]
async fn a_derived_task_has_the_payload_of_its_source() -> anyhow::Result<()> {
    let mut task = Task::new(json!({"type": "sample", "kind": "raw"}));
    task.attach("sample", LocalResource::from_bytes("s", "content")?);
    task.set_payload("tags", vec!["a"]);
    let expected: Vec<Task> =
        ["archive", "document"].map(|kind| task.derive(json!({"type": "sample", "stage": "recognized", "kind": kind}))).into();
    KartonTest::new(classifier()).run(task).await?.expect(&expected).await;
    Ok(())
}
