//! An S3 server on a folder: the requests that Karton libraries make, and no others.
//!
//! The one rule: content is streamed, and names are checked before they become paths. Signatures are
//! not checked: it listens on this machine, to one service, for as long as one task takes. See Karton
//! protocol §5.4.

use std::convert::Infallible;
use std::io::{Error, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::{Buf as _, Bytes, BytesMut};
use futures::TryStreamExt as _;
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::{io::ReaderStream, task::AbortOnDropHandle};

type Body = BoxBody<Bytes, Error>;

pub(super) struct Objects {
    pub(super) folder: PathBuf,
    address: SocketAddr,
    _server: AbortOnDropHandle<()>,
}

impl Objects {
    /// Serves the buckets that are folders in `folder`.
    pub(super) async fn serve(folder: &Path) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let root = folder.to_owned();
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let root = root.clone();
                let service = service_fn(move |request| answer(root.clone(), request));
                connections.spawn(async move {
                    // A service that hangs up is no fault of ours.
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { folder: folder.to_owned(), address, _server: AbortOnDropHandle::new(server) })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The file of an object; nothing for names that no library gives.
    pub(super) fn path(folder: &Path, bucket: &str, key: &str) -> Option<PathBuf> {
        let fits = |name: &str| {
            !name.is_empty() && !name.starts_with('.') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        (fits(bucket) && fits(key) && key.len() <= 200).then(|| folder.join(bucket).join(key))
    }
}

async fn answer(root: PathBuf, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let outcome = respond(&root, request).await;
    Ok(outcome.unwrap_or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => failure(StatusCode::NOT_FOUND, "NoSuchKey"),
        _ => failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
    }))
}

async fn respond(root: &Path, request: Request<Incoming>) -> Result<Response<Body>, Error> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
    if key.is_empty() {
        let known = Objects::path(root, bucket, "x").and_then(|path| path.parent().map(Path::is_dir)).unwrap_or(false);
        return Ok(match (known, request.method()) {
            (false, _) => failure(StatusCode::NOT_FOUND, "NoSuchBucket"),
            (true, &Method::HEAD | &Method::PUT) => empty(StatusCode::OK),
            (true, _) => failure(StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
        });
    }
    let Some(file) = Objects::path(root, bucket, key) else { return Ok(failure(StatusCode::NOT_FOUND, "NoSuchKey")) };
    match *request.method() {
        Method::GET => read(&file, request.headers().get(header::RANGE).and_then(|range| range.to_str().ok())).await,
        Method::HEAD => {
            let mut response = empty(StatusCode::OK);
            response.headers_mut().insert(header::CONTENT_LENGTH, tokio::fs::metadata(&file).await?.len().into());
            Ok(response)
        }
        Method::PUT => write(&file, request).await,
        Method::DELETE => {
            tokio::fs::remove_file(&file).await?;
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => Ok(failure(StatusCode::NOT_IMPLEMENTED, "NotImplemented")),
    }
}

async fn read(path: &Path, range: Option<&str>) -> Result<Response<Body>, Error> {
    let mut file = File::open(path).await?;
    let size = file.metadata().await?.len();
    let (status, first, length) = match range.map(|range| wanted(range, size)) {
        None => (StatusCode::OK, 0, size),
        Some(Some((first, last))) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Some(None) => return Ok(failure(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange")),
    };
    file.seek(SeekFrom::Start(first)).await?;
    let content = ReaderStream::new(file.take(length)).map_ok(Frame::data);
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(content)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {first}-{}/{size}", first + length - 1);
        response.headers_mut().extend(range.parse().map(|range| (header::CONTENT_RANGE, range)).ok());
    }
    Ok(response)
}

/// First and last byte of `bytes=a-b`, `bytes=a-` or `bytes=-n`.
fn wanted(range: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = size.checked_sub(1)?;
    if first.is_empty() {
        let count: u64 = last.parse().ok().filter(|count| *count > 0)?;
        return Some((size.saturating_sub(count), end));
    }
    let first: u64 = first.parse().ok()?;
    let last = if last.is_empty() { end } else { last.parse::<u64>().ok()?.min(end) };
    (first <= last).then_some((first, last))
}

async fn write(path: &Path, request: Request<Incoming>) -> Result<Response<Body>, Error> {
    let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let framed = text("x-amz-content-sha256").starts_with("STREAMING-") || text("content-encoding").contains("aws-chunked");
    // Some releases of boto3 wait for ever on a connection that has sent no body where one was announced.
    let close = request.headers().contains_key(header::EXPECT) && text("content-length") == "0";
    let mut file = File::create(path).await?;
    let mut body = request.into_body();
    let mut frames = Frames::default();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(Error::other)?.into_data() else { continue };
        if framed { frames.write(piece, &mut file).await? } else { file.write_all(&piece).await? }
    }
    file.flush().await?;
    let mut response = empty(StatusCode::OK);
    response.headers_mut().insert(header::ETAG, header::HeaderValue::from_static("\"00000000000000000000000000000000\""));
    if close {
        response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// The frames of `aws-chunked`: a line with the size in hex, that many bytes, a line end.
#[derive(Default)]
struct Frames {
    waiting: BytesMut,
    left: u64,
    done: bool,
}

impl Frames {
    /// Longer lines are none.
    const LONGEST: usize = 4096;

    async fn write(&mut self, piece: Bytes, file: &mut File) -> Result<(), Error> {
        self.waiting.extend_from_slice(&piece);
        while !self.done && !self.waiting.is_empty() {
            if self.left > 0 {
                let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.waiting.len());
                file.write_all(&self.waiting[..length]).await?;
                self.waiting.advance(length);
                self.left -= length as u64;
                continue;
            }
            let Some(end) = self.waiting.windows(2).position(|pair| pair == b"\r\n") else {
                return if self.waiting.len() > Self::LONGEST { Err(Error::other("no frame of aws-chunked")) } else { Ok(()) };
            };
            let line = self.waiting.split_to(end + 2);
            // The line end behind the bytes of a frame.
            if end == 0 {
                continue;
            }
            let size =
                line.as_ref().split(|byte: &u8| matches!(*byte, b';' | b'\r')).next().and_then(|size| std::str::from_utf8(size).ok());
            self.left = size.and_then(|size| u64::from_str_radix(size, 16).ok()).ok_or_else(|| Error::other("no frame of aws-chunked"))?;
            // What follows the last frame are checksums.
            self.done = self.left == 0;
        }
        Ok(())
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(|never: Infallible| match never {}).boxed());
    *response.status_mut() = status;
    response
}

fn failure(status: StatusCode, code: &str) -> Response<Body> {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>");
    let mut response = Response::new(Full::from(text).map_err(|never: Infallible| match never {}).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/xml"));
    response
}
