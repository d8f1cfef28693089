//! Multipart uploads: the file goes to the staging folder while it arrives, texts into memory.
//!
//! Parts may come in any order and unknown ones are skipped. A body that breaks off is 400 and leaves
//! nothing behind.

use std::collections::{BTreeMap, HashMap};
use std::io;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use multer::{Constraints, Multipart, SizeLimit};
use rocket::data::{Data, ToByteUnit};
use tokio_util::io::ReaderStream;

use crate::{
    content::{Staged, Staging},
    error::{ApiError, ApiResult},
    state::App,
};

/// Largest text part: attributes may hold some hundred KiB each.
const LARGEST_TEXT: usize = 16 << 20;
/// How much of the body is read at once.
const CHUNK: usize = 64 * 1024;

/// What a multipart body held.
pub(crate) struct Form<File = Staged> {
    /// The name as the client spelled it, and the content.
    pub(crate) file: Option<(String, File)>,
    /// The wanted text parts that came.
    pub(crate) texts: HashMap<String, String>,
}

/// Takes the bytes of a file as they come.
trait Sink {
    /// The file, once it is complete.
    type File;

    async fn push(&mut self, bytes: Bytes) -> io::Result<()>;

    async fn finish(self) -> io::Result<Self::File>;
}

impl Sink for Staging {
    type File = Staged;

    async fn push(&mut self, bytes: Bytes) -> io::Result<()> {
        self.push(bytes).await
    }

    async fn finish(self) -> io::Result<Staged> {
        self.finish().await
    }
}

/// Reads a multipart body: the part `file`, and the text parts in `wanted`.
pub(crate) async fn read(app: &App, content_type: Option<&str>, data: Data<'_>, wanted: &[&str]) -> ApiResult<Form> {
    // The parser takes everything that is ready into memory before it hands out any of it. A pause
    // before each piece makes it look at one piece at a time, whatever the client sends.
    let stream = ReaderStream::with_capacity(data.open(u64::MAX.bytes()), CHUNK).then(|piece| async {
        tokio::task::yield_now().await;
        piece
    });
    let start = || Staging::start(&app.store, app.config.enable_ssdeep);
    parse(content_type, stream, app.config.max_upload_size.unwrap_or(u64::MAX), wanted, start).await
}

/// Reads a multipart body of at most `most` bytes; `start` begins the file.
async fn parse<S: Sink>(
    content_type: Option<&str>,
    stream: impl Stream<Item = io::Result<Bytes>> + Send,
    most: u64,
    wanted: &[&str],
    start: impl Fn() -> S,
) -> ApiResult<Form<S::File>> {
    let boundary = content_type.and_then(|text| multer::parse_boundary(text).ok());
    let boundary = boundary.ok_or_else(|| ApiError::BadRequest("The request is not multipart/form-data".to_owned()))?;
    let limit = SizeLimit::new().whole_stream(most);
    let mut multipart = Multipart::with_constraints(stream, boundary, Constraints::new().size_limit(limit));
    let mut form = Form { file: None, texts: HashMap::new() };
    while let Some(mut part) = multipart.next_field().await.map_err(refusal)? {
        let name = part.name().unwrap_or_default().to_owned();
        let file_name = file_name(&part);
        match file_name {
            Some(file_name) if name == "file" && form.file.is_none() => {
                let mut sink = start();
                while let Some(chunk) = part.chunk().await.map_err(refusal)? {
                    sink.push(chunk).await?;
                }
                form.file = Some((file_name, sink.finish().await?));
            }
            None if wanted.contains(&name.as_str()) && !form.texts.contains_key(&name) => {
                let text = read_text(&mut part).await?;
                form.texts.insert(name, text);
            }
            _ => while part.chunk().await.map_err(refusal)?.is_some() {},
        }
    }
    Ok(form)
}

async fn read_text(part: &mut multer::Field<'_>) -> ApiResult<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(refusal)? {
        if bytes.len() + chunk.len() > LARGEST_TEXT {
            return Err(ApiError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| ApiError::BadRequest("A text part is not UTF-8".to_owned()))
}

/// What makes a part a file: a name, even an empty one.
fn file_name(part: &multer::Field<'_>) -> Option<String> {
    match part.file_name() {
        // How browsers and Python send a quotation mark.
        Some(name) if !name.is_empty() => Some(name.replace("%22", "\"")),
        plain => extended_name(part).or_else(|| plain.map(str::to_owned)),
    }
}

/// The name in the form `filename*=utf-8''na%C3%AFve`, which older clients send for names beyond ASCII.
fn extended_name(part: &multer::Field<'_>) -> Option<String> {
    let header = part.headers().get("content-disposition")?.to_str().ok()?;
    let value = header.split(';').find_map(|piece| piece.trim().strip_prefix("filename*="))?;
    let (_, encoded) = value.split_once("''")?;
    rocket::http::RawStr::new(encoded).percent_decode().ok().map(std::borrow::Cow::into_owned)
}

fn refusal(error: multer::Error) -> ApiError {
    match error {
        multer::Error::StreamSizeExceeded { .. } | multer::Error::FieldSizeExceeded { .. } => ApiError::TooLarge,
        error => ApiError::BadRequest(format!("The upload cannot be read: {error}")),
    }
}

/// Keeps a file in memory: for fuzzing.
impl Sink for Vec<u8> {
    type File = Self;

    async fn push(&mut self, bytes: Bytes) -> io::Result<()> {
        self.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self) -> io::Result<Self> {
        Ok(self)
    }
}

/// What was read of a body: file name, content, texts by name. Nothing when it was refused.
type Seen = Option<(Option<(String, Vec<u8>)>, BTreeMap<String, String>)>;

/// Reads a body, cut into pieces in two ways, and gives what was read of each.
pub(crate) fn exercise(content_type: &str, body: &[u8]) -> [Seen; 2] {
    let read = |piece: usize| {
        let pieces: Vec<io::Result<Bytes>> = body.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let stream = futures::stream::iter(pieces);
        let form = parse(Some(content_type), stream, u64::MAX, &["options", "json"], Vec::<u8>::new);
        let form = futures::executor::block_on(form).ok()?;
        Some((form.file, form.texts.into_iter().collect()))
    };
    [read(body.len().max(1)), read(1 + body.len() % 61)]
}
