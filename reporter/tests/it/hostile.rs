//! Answers that are none: the client ends with an error, in bounded time and memory.

use std::time::{Duration, Instant};

use reporter::mwdb::{ObjectType, Problem, UploadOptions};

use crate::bench::{Bench, client_of, sample_task};
use crate::stub::{Answer, Stub};

fn hash() -> String {
    "a".repeat(64)
}

#[tokio::test]
async fn answers_that_are_no_objects() {
    let stub = Stub::start().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in ["", "<html>", "{", "null", "[]", "\"x\"", "{}", r#"{"id": 5}"#, "\u{feff}{}", &deep] {
        let client = client_of(&stub);
        let is_json = ["null", "[]", "\"x\"", "{}", r#"{"id": 5}"#].contains(&body);
        let expected =
            |problem: &Problem| if is_json { matches!(problem, Problem::BadAnswer(_)) } else { matches!(problem, Problem::NotJson(_)) };
        // A proxy may answer with a page in the place of MWDB: that is asked again.
        let times = if is_json { 1 } else { 6 };
        stub.answer("GET file", times, Answer::json(body));
        let error = client.query(ObjectType::File, &hash()).await.unwrap_err();
        assert!(expected(error.problem()), "{body:.20}: {error}");
        // Each with a client of its own: three that were given up would make it more patient.
        stub.answer("POST blob", times, Answer::json(body));
        let error = client_of(&stub).upload_blob("n", "t", "c", &UploadOptions::default()).await.unwrap_err();
        assert!(expected(error.problem()), "{body:.20}: {error}");
    }
    stub.answer("GET file", 6, Answer::Status(200, &[], vec![0xff, 0xfe]));
    let error = client_of(&stub).query(ObjectType::File, &hash()).await.unwrap_err();
    assert!(matches!(error.problem(), Problem::NotJson(_)), "{error}");
}

#[tokio::test]
async fn versions_and_tokens_that_are_none() {
    let stub = Stub::start().await;
    let client = client_of(&stub);
    for body in ["{}", r#"{"server_version": 2}"#, r#"{"server_version": "master"}"#] {
        stub.answer("GET server", 1, Answer::json(body));
        let error = client.server_version().await.unwrap_err();
        assert!(matches!(error.problem(), Problem::BadAnswer(_)), "{error}");
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let stub = Stub::start().await;
    stub.answer("GET file", 1, Answer::Endless);
    let error = client_of(&stub).query(ObjectType::File, &hash()).await.unwrap_err();
    assert!(matches!(error.problem(), Problem::BadAnswer(reason) if reason.contains("larger than")), "{error}");
}

#[tokio::test]
async fn silence_is_bounded() {
    let asked = [Answer::Hang, Answer::Stall].map(|answer| async move {
        let stub = Stub::start().await;
        stub.answer("GET file", 100, answer);
        let start = Instant::now();
        let error = client_of(&stub).query(ObjectType::File, &hash()).await.unwrap_err();
        assert!(matches!(error.problem(), Problem::TimedOut(_)), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10));
        assert_eq!(stub.lines().iter().filter(|line| line.starts_with("GET file")).count(), 6);
    });
    futures::future::join_all(asked).await;
}

#[tokio::test]
async fn an_upload_that_is_refused_early_is_too_large_and_not_broken() {
    let bench = Bench::start().await;
    let mut task = sample_task();
    task.set_payload("sample", bench.file("s", &"x".repeat(32 * 1024 * 1024)).0);
    bench.stub.answer("POST file", 1, Answer::Early(413));
    bench.report(&task).await;
    assert_eq!(bench.stub.lines().iter().filter(|line| *line == "POST file").count(), 1);
}

#[tokio::test]
async fn file_names_cannot_break_out_of_their_header() {
    let bench = Bench::start().await;
    for (name, sent) in [
        ("a\"; name=\"options", "a%22; name=%22options"),
        ("a\r\nX-Evil: 1\r\n\r\nb", "a%0D%0AX-Evil: 1%0D%0A%0D%0Ab"),
        ("żółw.exe", "żółw.exe"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("a\0b", "a_b"),
    ] {
        let mut task = sample_task();
        task.set_payload("sample", bench.file(name, "sample").0);
        bench.stub.forget();
        bench.report(&task).await;
        let upload = bench.stub.requests().into_iter().find(|request| request.line == "POST file").unwrap();
        assert_eq!(upload.file.unwrap().0, sent);
    }
}
