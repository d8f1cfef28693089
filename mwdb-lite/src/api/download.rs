//! Downloads: by session or by a token in the URL, whole or one range. See MWDB API §O12.

use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

use rocket::{
    Request, Response, Route, State, get,
    http::ContentType,
    post,
    request::{FromRequest, Outcome},
    response::Responder,
    serde::json::Json,
};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncSeek, ReadBuf};

use super::params::{Hash, Query};
use crate::{
    auth::{MaybeUser, User},
    content::{self, Reader},
    error::{ApiError, ApiResult},
    objects::{Kind, access, downloads},
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![download, download_zip, token, zip_token, legacy_url, legacy_download]
}

/// How much of a file goes out at once.
const CHUNK: usize = 256 * 1024;

/// The `Range` header, if any.
struct RangeHeader(Option<String>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for RangeHeader {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Self(request.headers().get_one("Range").filter(|text| !text.is_empty()).map(str::to_owned)))
    }
}

#[get("/file/<hash>/download?<token>&<obfuscate>")]
async fn download(
    hash: Hash,
    token: Query<'_>,
    obfuscate: Query<'_>,
    range: RangeHeader,
    user: MaybeUser,
    app: &State<App>,
) -> ApiResult<Download> {
    let (sha256, _) = authorised(app, user, token.0, hash).await?;
    Download::open(app, sha256, range.0.as_deref(), obfuscate.0 == Some("1")).await
}

/// Ranges mean nothing here: each zip is encrypted anew.
#[get("/file/<hash>/download/zip?<token>")]
async fn download_zip(hash: Hash, token: Query<'_>, user: MaybeUser, app: &State<App>) -> ApiResult<Zip> {
    let (sha256, account) = authorised(app, user, token.0, hash).await?;
    Zip::open(app, account, sha256).await
}

/// Who has a token that tells no account: no account has this id.
const SOMEBODY: i64 = 0;

/// The SHA-256 of the file that a request may download, and the account on whose behalf.
async fn authorised(app: &App, user: MaybeUser, token: Option<&str>, hash: Hash) -> ApiResult<(String, i64)> {
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        let caller = user.0.ok_or(ApiError::NotAuthenticated)?;
        let found = app.look(&caller, move |c, caller| Ok(access::find(c, caller, Some(Kind::File), &hash.0)?.dhash)).await?;
        return Ok((found, caller.id));
    };
    let bad = || ApiError::Forbidden("Download token expired, please re-request download.".to_owned());
    let (sha256, account) = app.tokens.read_download(token).ok_or_else(bad)?;
    let found = app.db.read(move |c| downloads::by_token(c, &sha256, &hash.0)).await?.ok_or_else(bad)?;
    Ok((found, account.unwrap_or(SOMEBODY)))
}

#[derive(Serialize)]
struct Token {
    token: String,
}

#[post("/file/<hash>/download")]
async fn token(hash: Hash, user: User, app: &State<App>) -> ApiResult<Json<Token>> {
    Ok(Json(Token { token: make_token(app, &user, hash.0).await? }))
}

#[post("/file/<hash>/download/zip")]
async fn zip_token(hash: Hash, user: User, app: &State<App>) -> ApiResult<Json<Token>> {
    Ok(Json(Token { token: make_token(app, &user, hash.0).await? }))
}

async fn make_token(app: &App, user: &User, hash: String) -> ApiResult<String> {
    let sha256 = app.look(&user.0, move |c, caller| Ok(access::find(c, caller, Some(Kind::File), &hash)?.dhash)).await?;
    Ok(app.tokens.download(&sha256, user.0.id)?)
}

#[derive(Serialize)]
struct LegacyUrl {
    url: String,
}

#[post("/request/sample/<identifier>")]
async fn legacy_url(identifier: String, user: User, app: &State<App>) -> ApiResult<Json<LegacyUrl>> {
    let token = make_token(app, &user, identifier).await?;
    Ok(Json(LegacyUrl { url: format!("/download/{token}") }))
}

#[get("/download/<token>")]
async fn legacy_download(token: &str, app: &State<App>) -> ApiResult<Download> {
    let bad = || ApiError::Forbidden("Download token expired, please re-request download.".to_owned());
    let (sha256, _) = app.tokens.read_download(token).ok_or_else(bad)?;
    let same = sha256.clone();
    let found = app.db.read(move |c| downloads::by_token(c, &same, &same)).await?.ok_or_else(bad)?;
    Ok(Download { ranges: false, ..Download::open(app, found, None, false).await? })
}

/// Content on its way out.
pub(crate) struct Download {
    sha256: String,
    total: u64,
    /// First and last byte of a partial answer.
    range: Option<(u64, u64)>,
    /// Whether a client may ask for a part.
    ranges: bool,
    body: Slice,
}

impl Download {
    pub(crate) async fn open(app: &App, sha256: String, range: Option<&str>, obfuscate: bool) -> ApiResult<Self> {
        let content = app.store.open_content(&sha256).await?;
        let total = content.size;
        let range = range.map(|text| parse_range(text, total).ok_or(ApiError::RangeNotSatisfiable(total))).transpose()?.flatten();
        let (start, length) = range.map_or((0, total), |(start, end)| (start, end - start + 1));
        let reader = content.read(start, length).await?;
        Ok(Self { sha256, total, range, ranges: true, body: Slice { reader, left: length, obfuscate } })
    }
}

impl<'r> Responder<'r, 'static> for Download {
    fn respond_to(self, _: &'r Request<'_>) -> rocket::response::Result<'static> {
        let mut response = Response::build();
        response.header(ContentType::Binary).raw_header("Content-Disposition", format!("attachment; filename={}", self.sha256));
        if self.ranges {
            response.raw_header("Accept-Ranges", "bytes");
        }
        if let Some((start, end)) = self.range {
            response.status(rocket::http::Status::PartialContent);
            response.raw_header("Content-Range", format!("bytes {start}-{end}/{}", self.total));
        }
        let length = usize::try_from(self.body.left).unwrap_or(usize::MAX);
        // Of the body that is there: before it, the size is forgotten.
        response.sized_body(length, self.body).max_chunk_size(CHUNK).ok()
    }
}

/// A zip that is made while it is sent.
pub(crate) struct Zip {
    file_name: String,
    packed: Pin<Box<dyn AsyncRead + Send>>,
}

impl Zip {
    /// For an account, which has only so many at a time.
    pub(crate) async fn open(app: &App, account: i64, sha256: String) -> ApiResult<Self> {
        let place = app.zips.take(account, "Too many zips are being made for you: end other downloads first")?;
        let known = sha256.clone();
        let name = app.db.read(move |c| downloads::entry_name(c, &known)).await?;
        let found = app.store.open_content(&sha256).await?;
        let size = found.size;
        let packed = content::pack(found.whole().await?, size, name, app.config.zip_download_password.clone(), place).await?;
        Ok(Self { file_name: sha256, packed: Box::pin(packed) })
    }

    /// With the ending by which people know what to open it with. The API's has none, as in MWDB.
    pub(crate) fn with_ending(self) -> Self {
        Self { file_name: format!("{}.zip", self.file_name), ..self }
    }
}

impl<'r> Responder<'r, 'static> for Zip {
    fn respond_to(self, _: &'r Request<'_>) -> rocket::response::Result<'static> {
        Response::build()
            .header(ContentType::Binary)
            .raw_header("Content-Disposition", format!("attachment; filename={}", self.file_name))
            .streamed_body(self.packed)
            .max_chunk_size(CHUNK)
            .ok()
    }
}

/// `None`: cannot be satisfied. `Some(None)`: the whole file.
#[expect(clippy::option_option, reason = "three answers, named here")]
fn parse_range(text: &str, total: u64) -> Option<Option<(u64, u64)>> {
    let (unit, spec) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (start, end) = spec.split_once('-')?;
    let (start, end) = (start.trim(), end.trim());
    // Digits alone are too large a number, if none: beyond any file.
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    if start.is_empty() {
        let last = number(end)?;
        if last == 0 {
            return Some(None);
        }
        return (1..=total).contains(&last).then(|| Some((total - last, total - 1)));
    }
    let start = number(start)?;
    let end = if end.is_empty() { total.checked_sub(1)? } else { number(end)? };
    (start < total && start <= end).then(|| Some((start, end.min(total - 1))))
}

/// A piece of content, its bits turned over when the client asked for it (so that scanners on the way stay calm).
struct Slice {
    reader: Reader,
    left: u64,
    obfuscate: bool,
}

impl AsyncRead for Slice {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let wanted = usize::try_from(this.left).unwrap_or(usize::MAX).min(buffer.remaining());
        if wanted == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(wanted));
        match Pin::new(&mut this.reader).poll_read(context, &mut piece) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => {
                tracing::warn!("a download breaks off: {error}");
                return Poll::Ready(Err(error));
            }
            Poll::Pending => return Poll::Pending,
        }
        if this.obfuscate {
            piece.filled_mut().iter_mut().for_each(|byte| *byte = !*byte);
        }
        let read = piece.filled().len();
        buffer.advance(read);
        this.left -= read as u64;
        Poll::Ready(Ok(()))
    }
}

/// Rocket asks for it and, knowing the size, never seeks.
impl AsyncSeek for Slice {
    fn start_seek(self: Pin<&mut Self>, _: SeekFrom) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn poll_complete(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::parse_range;

    #[test]
    fn ranges_are_clipped_and_nonsense_is_refused() {
        assert_eq!(parse_range("bytes=0-9", 100), Some(Some((0, 9))));
        assert_eq!(parse_range("Bytes= 90 - 900 ", 100), Some(Some((90, 99))));
        assert_eq!(parse_range("bytes=90-", 100), Some(Some((90, 99))));
        assert_eq!(parse_range("bytes=-10", 100), Some(Some((90, 99))));
        assert_eq!(parse_range("bytes=-0", 100), Some(None));
        for refused in
            ["bytes=100-", "bytes=5-4", "bytes=-100-", "bytes=-101", "bytes=0-1,3-4", "lines=0-1", "bytes", "bytes=a-b", "bytes=-"]
        {
            assert_eq!(parse_range(refused, 100), None, "{refused}");
        }
    }
}
