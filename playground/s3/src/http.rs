//! Sockets and HTTP around the S3 service.
//!
//! The rule: nothing a client does or leaves undone may hold the server for ever. The number of
//! connections, the wait for a request's headers and the shutdown are all bounded.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderValue, SERVER};
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::Body;
use s3s::service::S3Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Answers without a signature and says nothing; no bucket can have this name.
const HEALTH: &str = "/.health";
const MAX_CONNECTIONS: usize = 1024;
const HEADER_TIMEOUT: Duration = Duration::from_mins(1);
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// Serves connections until `shutdown`, then lets running requests finish within the grace time.
pub(crate) async fn serve(listener: TcpListener, service: S3Service, shutdown: CancellationToken) {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            stream = accept(&listener, &slots) => stream,
            Some(_) = connections.join_next() => continue,
        };
        let Some((stream, slot)) = stream else { break };
        // Without this an answer in two writes waits for the client's delayed acknowledgement: 40 ms.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let service = service.clone();
        let connection = http.serve_connection(
            TokioIo::new(stream),
            service_fn(move |request: Request<Incoming>| {
                let must_close = leaves_body_state_unclear(request.headers());
                let answer = (request.uri().path() != HEALTH).then(|| Service::call(&service, request));
                async move {
                    let mut response = match answer {
                        Some(answer) => answer.await?,
                        None => Response::new(Body::from("ok\n".to_owned())),
                    };
                    response.headers_mut().insert(SERVER, HeaderValue::from_static("playground-s3"));
                    if must_close {
                        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    }
                    Ok::<_, s3s::HttpError>(response)
                }
            }),
        );
        let connection = graceful.watch(connection.into_owned());
        connections.spawn(async move {
            let _slot = slot;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "S3 connection ended");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown()).await.is_err() {
        tracing::info!("ending S3 requests that did not finish in time");
    }
    connections.shutdown().await;
}

/// The next connection with its slot; none only when the slots are gone for good.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Some((stream, slot)),
            Err(error) => {
                tracing::warn!(%error, "cannot accept an S3 connection");
                // Out of file descriptors, for instance: trying again at once would only spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Some releases of botocore send `Expect: 100-continue` with an empty body, then wait for the
/// interim answer of their next upload on a connection that has not sent one: they hang.
/// A fresh connection for the next request avoids it.
fn leaves_body_state_unclear(headers: &HeaderMap) -> bool {
    headers.contains_key(EXPECT) && headers.get(CONTENT_LENGTH).is_some_and(|length| length == "0")
}
