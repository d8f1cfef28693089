//! Listings of buckets, objects and versions.
//!
//! The rule: only the objects of the page are looked at on disk; one that went meanwhile is left out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
#[allow(clippy::wildcard_imports, reason = "each operation has two types of its own")]
use s3s::dto::*;
use s3s::{S3Result, s3_error};

use super::{NULL_VERSION, size};
use crate::list::{Page, Query};
use crate::store::{Object, Store, percent_encode};

const MAX_KEYS: i32 = 1000;

pub(super) fn buckets(store: &Store) -> ListBucketsOutput {
    let buckets = store.buckets().into_iter();
    let buckets = buckets.map(|(name, created)| Bucket { name: Some(name), creation_date: Some(created.into()), ..Default::default() });
    ListBucketsOutput { buckets: Some(buckets.collect()), ..Default::default() }
}

pub(super) fn objects(store: &Store, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
    let max_keys = limit(input.max_keys)?;
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref(),
        after: input.marker.as_deref().filter(|marker| !marker.is_empty()),
        limit: usize::try_from(max_keys).unwrap_or_default(),
    };
    let page = store.list(&input.bucket, query)?;
    let text = Text::new(input.encoding_type.as_ref());
    Ok(ListObjectsOutput {
        contents: Some(contents(store, &input.bucket, &page, text)?),
        common_prefixes: Some(text.prefixes(&page)),
        is_truncated: Some(page.next.is_some()),
        next_marker: page.next.map(|next| text.write(&next)),
        max_keys: Some(max_keys),
        marker: Some(text.write(&input.marker.unwrap_or_default())),
        prefix: Some(text.write(&input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.map(|delimiter| text.write(&delimiter)),
        encoding_type: input.encoding_type,
        name: Some(input.bucket),
        ..Default::default()
    })
}

pub(super) fn objects_v2(store: &Store, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let max_keys = limit(input.max_keys)?;
    let token = input.continuation_token.as_deref().map(read_token).transpose()?;
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref(),
        after: token.as_deref().or(input.start_after.as_deref()).filter(|after| !after.is_empty()),
        limit: usize::try_from(max_keys).unwrap_or_default(),
    };
    let page = store.list(&input.bucket, query)?;
    let text = Text::new(input.encoding_type.as_ref());
    let contents = contents(store, &input.bucket, &page, text)?;
    Ok(ListObjectsV2Output {
        key_count: Some(i32::try_from(contents.len() + page.prefixes.len()).unwrap_or(i32::MAX)),
        contents: Some(contents),
        common_prefixes: Some(text.prefixes(&page)),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.map(|next| URL_SAFE_NO_PAD.encode(next)),
        max_keys: Some(max_keys),
        continuation_token: input.continuation_token,
        prefix: Some(text.write(&input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.map(|delimiter| text.write(&delimiter)),
        start_after: input.start_after.map(|start| text.write(&start)),
        encoding_type: input.encoding_type,
        name: Some(input.bucket),
        ..Default::default()
    })
}

/// An unversioned bucket has one version of each object, `null`, and no delete markers.
pub(super) fn versions(store: &Store, input: ListObjectVersionsInput) -> S3Result<ListObjectVersionsOutput> {
    let max_keys = limit(input.max_keys)?;
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref(),
        after: input.key_marker.as_deref().filter(|marker| !marker.is_empty()),
        limit: usize::try_from(max_keys).unwrap_or_default(),
    };
    let page = store.list(&input.bucket, query)?;
    let text = Text::new(input.encoding_type.as_ref());
    let mut versions = Vec::with_capacity(page.keys.len());
    for (key, object) in present(store, &input.bucket, &page) {
        versions.push(ObjectVersion {
            key: Some(text.write(key)),
            version_id: Some(NULL_VERSION.to_owned()),
            is_latest: Some(true),
            e_tag: Some(ETag::Strong(object.record.etag)),
            size: Some(size(object.size)?),
            last_modified: Some(object.modified.into()),
            storage_class: Some(ObjectVersionStorageClass::from_static(ObjectVersionStorageClass::STANDARD)),
            ..Default::default()
        });
    }
    let truncated = page.next.is_some();
    Ok(ListObjectVersionsOutput {
        versions: Some(versions),
        common_prefixes: Some(text.prefixes(&page)),
        is_truncated: Some(truncated),
        next_key_marker: page.next.map(|next| text.write(&next)),
        next_version_id_marker: truncated.then(|| NULL_VERSION.to_owned()),
        max_keys: Some(max_keys),
        key_marker: Some(text.write(&input.key_marker.unwrap_or_default())),
        version_id_marker: input.version_id_marker,
        prefix: Some(text.write(&input.prefix.unwrap_or_default())),
        delimiter: input.delimiter.map(|delimiter| text.write(&delimiter)),
        encoding_type: input.encoding_type,
        name: Some(input.bucket),
        ..Default::default()
    })
}

fn contents(store: &Store, bucket: &str, page: &Page, text: Text) -> S3Result<Vec<s3s::dto::Object>> {
    present(store, bucket, page)
        .map(|(key, object)| {
            Ok(s3s::dto::Object {
                key: Some(text.write(key)),
                e_tag: Some(ETag::Strong(object.record.etag)),
                size: Some(size(object.size)?),
                last_modified: Some(object.modified.into()),
                storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
                ..Default::default()
            })
        })
        .collect()
}

/// The page's objects that are still there and readable; the store logs what it cannot read.
fn present<'a>(store: &'a Store, bucket: &'a str, page: &'a Page) -> impl Iterator<Item = (&'a str, Object)> {
    page.keys.iter().filter_map(move |key| Some((key.as_str(), store.open_object(bucket, key).ok()?)))
}

fn limit(max_keys: Option<i32>) -> S3Result<i32> {
    match max_keys.unwrap_or(MAX_KEYS) {
        negative if negative < 0 => Err(s3_error!(InvalidArgument, "max-keys is negative")),
        max_keys => Ok(max_keys.min(MAX_KEYS)),
    }
}

/// Tokens hold the last key in a form that passes through XML and addresses unharmed.
fn read_token(token: &str) -> S3Result<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|error| s3_error!(error, InvalidArgument, "not a continuation token"))?;
    String::from_utf8(bytes).map_err(|error| s3_error!(error, InvalidArgument, "not a continuation token"))
}

/// How keys are written: as they are, or percent-encoded when the client asks for it.
#[derive(Clone, Copy)]
struct Text {
    encode: bool,
}

impl Text {
    fn new(encoding: Option<&EncodingType>) -> Self {
        Self { encode: encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL) }
    }

    fn write(self, text: &str) -> String {
        if self.encode {
            percent_encode(text, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/'))
        } else {
            text.to_owned()
        }
    }

    fn prefixes(self, page: &Page) -> Vec<CommonPrefix> {
        page.prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(self.write(prefix)) }).collect()
    }
}
