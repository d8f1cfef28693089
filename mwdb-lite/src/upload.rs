//! Multipart uploads: the file goes to the staging folder while it arrives, texts into memory.
//!
//! Parts may come in any order and unknown ones are skipped. A body that breaks off is 400 and leaves
//! nothing behind.

use std::collections::HashMap;

use futures::StreamExt;
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
#[derive(Default)]
pub(crate) struct Form {
    /// The name as the client spelled it, and the content.
    pub(crate) file: Option<(String, Staged)>,
    /// The wanted text parts that came.
    pub(crate) texts: HashMap<String, String>,
}

/// Reads a multipart body: the part `file`, and the text parts in `wanted`.
pub(crate) async fn read(app: &App, content_type: Option<&str>, data: Data<'_>, wanted: &[&str]) -> ApiResult<Form> {
    let boundary = content_type.and_then(|text| multer::parse_boundary(text).ok());
    let boundary = boundary.ok_or_else(|| ApiError::BadRequest("The request is not multipart/form-data".to_owned()))?;
    let limit = SizeLimit::new().whole_stream(app.config.max_upload_size.unwrap_or(u64::MAX));
    // The parser takes everything that is ready into memory before it hands out any of it. A pause
    // before each piece makes it look at one piece at a time, whatever the client sends.
    let stream = ReaderStream::with_capacity(data.open(u64::MAX.bytes()), CHUNK).then(|piece| async {
        tokio::task::yield_now().await;
        piece
    });
    let mut multipart = Multipart::with_constraints(stream, boundary, Constraints::new().size_limit(limit));
    let mut form = Form::default();
    while let Some(mut part) = multipart.next_field().await.map_err(refusal)? {
        let name = part.name().unwrap_or_default().to_owned();
        let file_name = part.file_name().map(str::to_owned).or_else(|| extended_name(&part)).filter(|name| !name.is_empty());
        match file_name {
            Some(file_name) if name == "file" && form.file.is_none() => {
                let mut staging = Staging::start(&app.store, app.config.enable_ssdeep);
                while let Some(chunk) = part.chunk().await.map_err(refusal)? {
                    staging.push(chunk).await?;
                }
                form.file = Some((file_name, staging.finish().await?));
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
