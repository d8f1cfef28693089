//! How long a request may take.
//!
//! The one rule: **what gets on may take for ever, what has stopped is given up**. The SDK's own read
//! timeout runs from the start of a request, so no upload could be longer than it; here every piece of
//! a body that is taken for sending begins the wait anew.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_sdk_s3::{
    config::{RuntimeComponents, SharedHttpClient, http::HttpRequest},
    error::{BoxError, ConnectorError},
    primitives::SdkBody,
};
use aws_smithy_http_client::{Connector, ConnectorBuilder, proxy::ProxyConfig, tls};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Largest piece of a body that is sent at once: small enough to tell a slow server from one that has stopped.
const PIECE: usize = 64 * 1024;

/// The HTTP client that the SDK would make itself, but for its patience: a request is given up when
/// nothing has been sent or answered for `limit`, which is looked at once every `limit`.
pub(super) fn client(limit: Duration) -> SharedHttpClient {
    // One connector, which keeps the connections: the settings of a client do not change.
    let connector = OnceLock::new();
    http_client_fn(move |settings, components| {
        let make = || SharedHttpConnector::new(Patient { inner: connector_of_the_sdk(settings, components), limit });
        connector.get_or_init(make).clone()
    })
}

fn connector_of_the_sdk(settings: &HttpConnectorSettings, components: &RuntimeComponents) -> Connector {
    let mut connector = ConnectorBuilder::default().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc));
    connector.set_connector_settings(Some(settings.clone()));
    connector.set_sleep_impl(components.sleep_impl());
    connector.set_proxy_config(Some(ProxyConfig::from_env()));
    connector.build()
}

#[derive(Debug)]
struct Patient {
    inner: Connector,
    limit: Duration,
}

impl HttpConnector for Patient {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let taken = Arc::new(AtomicU64::new(0));
        // A request without a body has to look like one.
        if request.body().content_length() != Some(0) {
            let inner = std::mem::replace(request.body_mut(), SdkBody::taken());
            *request.body_mut() = SdkBody::from_body_1_x(Pieces { inner, rest: Bytes::new(), taken: Arc::clone(&taken) });
        }
        let mut answer = self.inner.call(request);
        let limit = self.limit;
        HttpConnectorFuture::new(async move {
            loop {
                let before = taken.load(Ordering::Relaxed);
                match tokio::time::timeout(limit, &mut answer).await {
                    Ok(outcome) => return outcome,
                    Err(_) if taken.load(Ordering::Relaxed) != before => {}
                    Err(_) => return Err(ConnectorError::timeout(format!("nothing has moved for {} seconds", limit.as_secs_f64()).into())),
                }
            }
        })
    }
}

/// A body in pieces that are counted as they are taken.
struct Pieces {
    inner: SdkBody,
    /// What is left of the piece that the body gave last: all of it, when it is held in memory.
    rest: Bytes,
    taken: Arc<AtomicU64>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        self.taken.fetch_add(1, Ordering::Relaxed);
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::SocketAddr;

    use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpSocket, TcpStream};
    use tokio::time::Instant;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);
    const SIZE: usize = 16 << 20;

    /// A server whose connections are each served by `serve`; little of what is sent to it waits in buffers.
    fn server<F: Future<Output = ()> + Send + 'static>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> String {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listener = socket.listen(16).unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection));
            }
        });
        format!("http://{address}")
    }

    /// Reads the head of a request, `SIZE` bytes of body at this rate, and says that all is well.
    async fn take_slowly(mut connection: TcpStream, rate: usize) {
        let (begun, mut received, mut head) = (Instant::now(), 0, None);
        let mut buffer = vec![0; 64 * 1024];
        let mut start = Vec::new();
        while head.is_none_or(|head| received < head + SIZE) {
            let count = connection.read(&mut buffer).await.unwrap();
            assert!(count > 0, "cut off after {received} bytes");
            received += count;
            if head.is_none() {
                start.extend_from_slice(&buffer[..count]);
                head = start.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4);
            }
            tokio::time::sleep_until(begun + Duration::from_millis((received * 1000 / rate) as u64)).await;
        }
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    }

    async fn put(endpoint: &str, body: aws_sdk_s3::primitives::ByteStream) -> Result<Duration, String> {
        let keys = SharedCredentialsProvider::new(Credentials::new("a", "s", None, None, "test"));
        let client = super::super::client_with(endpoint, "us-east-1", keys, LIMIT);
        let begun = Instant::now();
        let put = client.put_object().bucket("b").key("k").body(body).send().await;
        put.map(|_| begun.elapsed()).map_err(|error| super::super::reason(&error))
    }

    #[tokio::test]
    async fn an_upload_may_take_longer_than_the_limit_while_it_gets_on() {
        let endpoint = server(|connection| take_slowly(connection, SIZE / 6));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![7; SIZE]).unwrap();
        let from_file = aws_sdk_s3::primitives::ByteStream::read_from().path(file.path()).build().await.unwrap();
        let (from_file, from_memory) = tokio::join!(put(&endpoint, from_file), put(&endpoint, vec![7; SIZE].into()));
        for took in [from_file.unwrap(), from_memory.unwrap()] {
            assert!(took > LIMIT * 2, "the server was not slow: {took:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_stops_reading_or_never_answers_is_given_up() {
        let deaf = server(|connection| async move {
            tokio::time::sleep(Duration::from_mins(10)).await;
            drop(connection);
        });
        let mute = server(|mut connection| async move {
            let mut buffer = vec![0; 64 * 1024];
            while connection.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
        });
        for endpoint in [deaf, mute] {
            let outcome = tokio::time::timeout(LIMIT * 30, put(&endpoint, vec![7; SIZE].into())).await.expect("given up");
            let error = outcome.unwrap_err();
            assert!(error.contains("nothing has moved for 2 seconds"), "{error}");
        }
    }
}
