//! Multipart uploads: the file goes to the staging folder while it arrives, texts into memory.
//!
//! Parts may come in any order and unknown ones are skipped. A body that breaks off is 400 and leaves
//! nothing behind. The one rule: the parser never holds more than [`MOST_HELD`], whatever a client sends.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
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
/// What may come without a part's head or a piece of a part: the parser holds all of it, and looks through it
/// anew each time more has come.
const MOST_HELD: usize = 256 * 1024;
/// Longest boundary, as clients write them; RFC 2046 has 70.
const MOST_BOUNDARY: usize = 200;
/// How long nothing may come of an upload.
const STALLED: Duration = Duration::from_mins(1);

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

    async fn push(&mut self, bytes: Bytes) -> ApiResult<()>;

    async fn finish(self) -> ApiResult<Self::File>;
}

impl Sink for Staging {
    type File = Staged;

    async fn push(&mut self, bytes: Bytes) -> ApiResult<()> {
        Ok(self.push(bytes).await?)
    }

    async fn finish(self) -> ApiResult<Staged> {
        Ok(self.finish().await?)
    }
}

/// Reads a multipart body: the part `file`, and the text parts in `wanted`.
pub(crate) async fn read(app: &App, content_type: Option<&str>, data: Data<'_>, wanted: &[&str]) -> ApiResult<Form> {
    let stream = patient(ReaderStream::with_capacity(data.open(u64::MAX.bytes()), CHUNK), STALLED);
    let start = || Staging::start(&app.store, app.config.enable_ssdeep);
    parse(content_type, stream, app.config.max_upload_size.unwrap_or(u64::MAX), wanted, start).await
}

/// A body that ends with an error when nothing comes of it: whoever has gone without a word would be waited for for ever.
fn patient(body: impl Stream<Item = io::Result<Bytes>> + Send + Unpin, patience: Duration) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let stalled = move || io::Error::new(io::ErrorKind::TimedOut, format!("nothing came for {} s", patience.as_secs()));
    futures::stream::unfold(body, move |mut body| async move {
        let next = tokio::time::timeout(patience, body.next()).await.unwrap_or_else(|_| Some(Err(stalled())));
        next.map(|next| (next, body))
    })
}

/// The boundary that a Content-Type names, in quotation marks or without: no library that we have takes all that mail
/// programs write, such as a blank or a `?` in it, or a semicolon at the end.
fn boundary_of(content_type: &str) -> Option<String> {
    let (kind, mut rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    loop {
        let (name, value) = rest.split_once('=')?;
        // What has no value may stand before.
        let name = name.rsplit(';').next()?.trim();
        let value = value.trim_start();
        let (text, after) = if let Some(quoted) = value.strip_prefix('"') {
            unquoted(quoted)?
        } else {
            let (token, after) = value.split_once(';').unwrap_or((value, ""));
            (token.trim_end().to_owned(), after)
        };
        if name.eq_ignore_ascii_case("boundary") {
            return Some(text).filter(|text| (1..=MOST_BOUNDARY).contains(&text.len()));
        }
        rest = after;
    }
}

/// A text up to its closing quotation mark, and what comes behind that.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => text.push(characters.next()?.1),
            _ => text.push(character),
        }
    }
    None
}

/// Reads a multipart body of at most `most` bytes; `start` begins the file.
async fn parse<S: Sink>(
    content_type: Option<&str>,
    stream: impl Stream<Item = io::Result<Bytes>> + Send,
    most: u64,
    wanted: &[&str],
    start: impl Fn() -> S,
) -> ApiResult<Form<S::File>> {
    let boundary = content_type.and_then(boundary_of);
    let boundary = boundary.ok_or_else(|| ApiError::BadRequest("The request is not multipart/form-data".to_owned()))?;
    let limit = SizeLimit::new().whole_stream(most);
    let feed = Feed::default();
    let mut multipart = Multipart::with_constraints(feed.bound(stream), boundary, Constraints::new().size_limit(limit));
    let mut form = Form { file: None, texts: HashMap::new() };
    while let Some(mut part) = feed.step(multipart.next_field()).await? {
        let name = part.name().unwrap_or_default().to_owned();
        let file_name = file_name(&part);
        match file_name {
            Some(file_name) if name == "file" && form.file.is_none() => {
                let mut sink = start();
                while let Some(chunk) = feed.step(part.chunk()).await? {
                    sink.push(chunk).await?;
                }
                form.file = Some((file_name, sink.finish().await?));
            }
            None if wanted.contains(&name.as_str()) && !form.texts.contains_key(&name) => {
                let text = read_text(&feed, &mut part).await?;
                form.texts.insert(name, text);
            }
            _ => while feed.step(part.chunk()).await?.is_some() {},
        }
    }
    Ok(form)
}

/// Between the body and the parser, which takes everything that is ready before it gives any of it: it
/// gets a piece when what it holds is not enough, and no more than [`MOST_HELD`] in a row.
#[derive(Clone, Default)]
struct Feed(Arc<Fed>);

#[derive(Default)]
struct Fed {
    /// The parser may have a piece.
    wanted: AtomicBool,
    /// What it got since it last gave something.
    held: AtomicUsize,
}

impl Feed {
    /// The pieces of a body, as they are wanted.
    fn bound(&self, stream: impl Stream<Item = io::Result<Bytes>> + Send) -> impl Stream<Item = io::Result<Bytes>> + Send {
        let fed = Arc::clone(&self.0);
        let mut stream = Box::pin(stream);
        futures::stream::poll_fn(move |context| {
            if !fed.wanted.load(Ordering::Relaxed) {
                return Poll::Pending;
            }
            let next = std::task::ready!(stream.as_mut().poll_next(context));
            fed.wanted.store(false, Ordering::Relaxed);
            Poll::Ready(next.map(|piece| {
                let piece = piece?;
                if fed.held.fetch_add(piece.len(), Ordering::Relaxed) + piece.len() > MOST_HELD {
                    return Err(io::Error::other("the head of a part has no end"));
                }
                Ok(piece)
            }))
        })
    }

    /// What the parser gives next.
    async fn step<T>(&self, next: impl Future<Output = multer::Result<T>>) -> ApiResult<T> {
        let mut next = std::pin::pin!(next);
        let Fed { wanted, held } = &*self.0;
        wanted.store(false, Ordering::Relaxed);
        let given = std::future::poll_fn(|context| {
            loop {
                if let Poll::Ready(given) = next.as_mut().poll(context) {
                    return Poll::Ready(given);
                }
                // Wanted before and still is: the body wakes us. Otherwise a piece came and was not enough.
                if wanted.swap(true, Ordering::Relaxed) {
                    return Poll::Pending;
                }
            }
        });
        let given = given.await;
        held.store(0, Ordering::Relaxed);
        given.map_err(refusal)
    }
}

async fn read_text(feed: &Feed, part: &mut multer::Field<'_>) -> ApiResult<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = feed.step(part.chunk()).await? {
        if bytes.len() + chunk.len() > LARGEST_TEXT {
            return Err(ApiError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| ApiError::BadRequest("A text part is not UTF-8".to_owned()))
}

/// What makes a part a file: a name, even an empty one. Of two, the one in the newer form says more.
fn file_name(part: &multer::Field<'_>) -> Option<String> {
    // How browsers and Python send a quotation mark.
    extended_name(part).or_else(|| part.file_name().map(|name| name.replace("%22", "\"")))
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
        multer::Error::StreamReadFailed(cause) => ApiError::BadRequest(format!("The upload cannot be read: {cause}")),
        error => ApiError::BadRequest(format!("The upload cannot be read: {error}")),
    }
}

/// Keeps a file in memory: for fuzzing.
impl Sink for Vec<u8> {
    type File = Self;

    async fn push(&mut self, bytes: Bytes) -> ApiResult<()> {
        self.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self) -> ApiResult<Self> {
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
    [read(body.len().clamp(1, CHUNK)), read(1 + body.len() % 61)]
}

#[cfg(test)]
mod tests {
    #[test]
    fn boundaries_are_found_as_clients_write_them() {
        for (content_type, boundary) in [
            ("multipart/form-data; boundary=XyZ", Some("XyZ")),
            ("Multipart/Form-Data ;Boundary=XyZ;", Some("XyZ")),
            ("multipart/form-data; boundary=\"----=_Part_0_1330.1458\"", Some("----=_Part_0_1330.1458")),
            ("multipart/form-data; charset=utf-8; boundary=\"a ;b=\\\"c\" ; x=y", Some("a ;b=\"c")),
            ("multipart/form-data; a=\"boundary=no\"; flag; boundary==?:/(),b", Some("=?:/(),b")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"open", None),
            ("multipart/mixed; boundary=XyZ", None),
            ("text/plain", None),
        ] {
            assert_eq!(super::boundary_of(content_type).as_deref(), boundary, "{content_type}");
        }
    }

    use super::*;

    #[tokio::test]
    async fn a_body_of_which_nothing_comes_any_more_ends() {
        let body = futures::stream::iter([Ok(Bytes::from_static(b"begun"))]).chain(futures::stream::pending());
        let pieces: Vec<_> = patient(body, Duration::from_millis(10)).take(2).collect().await;
        assert!(pieces[0].is_ok());
        assert_eq!(pieces[1].as_ref().map_err(io::Error::kind), Err(io::ErrorKind::TimedOut));
    }

    #[test]
    fn the_parser_takes_no_more_of_a_body_than_it_needs() {
        // Thousands of small parts in each piece, then one that ends the reading, then a lot.
        let part = |name: &str, text: &[u8]| {
            [format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").as_bytes(), text, b"\r\n"].concat()
        };
        let mut body: Vec<u8> = (0..5000).flat_map(|_| part("a", b"x")).collect();
        body.extend(part("options", b"\xff"));
        let needed = body.len();
        body.extend((0..100_000).flat_map(|_| part("b", b"x")));
        let taken = AtomicUsize::new(0);
        let pieces = body.chunks(CHUNK).map(|piece| {
            taken.fetch_add(piece.len(), Ordering::Relaxed);
            Ok(Bytes::copy_from_slice(piece))
        });
        let read = parse(Some("multipart/form-data; boundary=X"), futures::stream::iter(pieces), u64::MAX, &["options"], Vec::<u8>::new);
        assert!(matches!(futures::executor::block_on(read), Err(ApiError::BadRequest(_))));
        let ahead = taken.load(Ordering::Relaxed) - needed;
        assert!(ahead <= 2 * CHUNK, "{ahead} bytes ahead");
    }
}
