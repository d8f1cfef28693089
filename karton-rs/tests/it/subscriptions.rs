//! What listens: log consumers, and those who wait for the end of an analysis.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use karton_rs::{Inspect, LogConsumer, testing::within};
use tokio_util::sync::CancellationToken;

use crate::bed::{Bed, Running};

#[tokio::test]
async fn a_listener_gets_in_without_credentials_where_the_server_has_no_users() {
    let bed = Bed::start().await;
    let config = bed.with_options(&[("redis", "password", "of-another-server")]);
    let _events = Inspect::new(&config, "karton.test", None).unwrap().ended_analyses().await.unwrap();
    let heard = Arc::new(Mutex::new(0));
    let count = Arc::clone(&heard);
    let _listener = Running::spawn(move |shutdown| async move {
        LogConsumer::new("karton.listener").run(&config, shutdown, move |_| *count.lock().unwrap() += 1).await
    });
    within(Duration::from_secs(20), "a record", || async {
        let () = bed.command(&["PUBLISH", "karton.log.info.karton.x", "{}"]).await;
        (*heard.lock().unwrap() > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_says_nothing_keeps_no_listener_waiting() {
    let bed = Bed::start().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let url = format!("redis://{address}?socket_connect_timeout=0.5");
    let config = bed.with_options(&[("redis", "url", &url)]);
    let begun = Instant::now();
    let error = Inspect::new(&config, "karton.test", None).unwrap().ended_analyses().await.err().expect("no subscription");
    assert!(error.is_temporary() && begun.elapsed() < Duration::from_secs(5), "{error} after {:?}", begun.elapsed());
    // One that may wait for long is stopped at once.
    let patient = bed.with_options(&[("redis", "url", &format!("redis://{address}?socket_connect_timeout=600"))]);
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let listener = tokio::spawn(async move { LogConsumer::new("karton.listener").run(&patient, stop, |_| ()).await });
    // The first one is that of the stream.
    for _ in 0..2 {
        silent.accept().await.unwrap();
    }
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(2), listener).await.expect("a prompt end").unwrap().unwrap();
}
