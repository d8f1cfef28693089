//! Single objects: put, get, head, copy, delete.
//!
//! The rule: content is streamed both ways and never held as a whole.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use futures::{StreamExt as _, stream};
use hyper::body::Bytes;
#[allow(clippy::wildcard_imports, reason = "each operation has two types of its own")]
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};
use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::{Folder, check_version, copy_source, size};
use crate::conditions::{ReadConditions, WriteConditions};
use crate::ingest::Expected;
use crate::store::{Checksums, Headers, Object, Record, Store, internal};

const READ_CHUNK: usize = 128 * 1024;
const DEFAULT_TYPE: &str = "binary/octet-stream";
/// What S3 takes in one multi-object delete.
const MAX_DELETES: usize = 1000;

pub(super) async fn put(folder: &Folder, mut request: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
    let input = &mut request.input;
    let (bucket, key) = (input.bucket.clone(), input.key.clone());
    let body = input.body.take();
    let conditions = WriteConditions { if_match: input.if_match.take(), if_none_match: input.if_none_match.take() };
    let headers = Headers {
        content_type: input.content_type.take(),
        content_encoding: input.content_encoding.take(),
        content_disposition: input.content_disposition.take(),
        content_language: input.content_language.take(),
        cache_control: input.cache_control.take(),
        metadata: input.metadata.take().unwrap_or_default().into_iter().collect(),
    };
    let checksum = Checksum {
        checksum_crc32: input.checksum_crc32.take(),
        checksum_crc32c: input.checksum_crc32c.take(),
        checksum_crc64nvme: input.checksum_crc64nvme.take(),
        checksum_sha1: input.checksum_sha1.take(),
        checksum_sha256: input.checksum_sha256.take(),
        ..Default::default()
    };
    let (content_md5, algorithm) = (input.content_md5.take(), input.checksum_algorithm.take());
    let expected = Expected::new(&mut request, content_md5, checksum, algorithm.as_ref());
    folder.store.check_target(&bucket, &key)?;
    let received = expected.receive(&folder.store.temporary_folder(), body).await?;
    let record = Record { key, etag: received.md5, headers, checksums: received.checksums };
    let output = PutObjectOutput {
        e_tag: Some(ETag::Strong(record.etag.clone())),
        checksum_crc32: record.checksums.crc32.clone(),
        checksum_crc32c: record.checksums.crc32c.clone(),
        checksum_sha1: record.checksums.sha1.clone(),
        checksum_sha256: record.checksums.sha256.clone(),
        checksum_crc64nvme: record.checksums.crc64nvme.clone(),
        ..Default::default()
    };
    folder.blocking(move |store| store.commit(&bucket, received.file, &record, &conditions)).await?;
    Ok(output)
}

pub(super) async fn get(folder: &Folder, input: GetObjectInput) -> S3Result<GetObjectOutput> {
    check_version(input.version_id.as_deref())?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    let range = input.range;
    let (object, start, length, first) = folder
        .blocking(move |store| {
            let mut object = store.open_object(&input.bucket, &input.key)?;
            conditions.check(&object.record.etag, object.modified)?;
            let window = window(range.as_ref(), object.size)?;
            object.file.seek(SeekFrom::Start(window.start)).map_err(internal)?;
            let length = window.end - window.start;
            // Small objects are all here, so that they take this one trip to a thread that may block.
            let mut first = Vec::with_capacity(usize::try_from(length).unwrap_or(usize::MAX).min(READ_CHUNK));
            (&object.file).take(length.min(READ_CHUNK as u64)).read_to_end(&mut first).map_err(internal)?;
            Ok((object, window.start, length, Bytes::from(first)))
        })
        .await?;
    let Object { file, record, size: whole, modified } = object;
    let content_range = range.is_some().then(|| format!("bytes {start}-{}/{whole}", (start + length).saturating_sub(1)));
    let rest = length - first.len() as u64;
    let rest = (rest > 0).then(|| ReaderStream::with_capacity(AsyncReadExt::take(tokio::fs::File::from_std(file), rest), READ_CHUNK));
    let body = stream::iter([Ok(first)]).chain(stream::iter(rest).flatten());
    let Headers { content_type, content_encoding, content_disposition, content_language, cache_control, metadata } = record.headers;
    let checksums = shown_checksums(record.checksums, input.checksum_mode.as_ref(), content_range.is_none());
    Ok(GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(StreamingBlob::wrap(body)),
        content_length: Some(size(length)?),
        content_range,
        e_tag: Some(ETag::Strong(record.etag)),
        last_modified: Some(modified.into()),
        content_type: content_type.or_else(|| Some(DEFAULT_TYPE.to_owned())),
        content_encoding,
        content_disposition,
        content_language,
        cache_control,
        metadata: to_metadata(metadata),
        checksum_crc32: checksums.crc32,
        checksum_crc32c: checksums.crc32c,
        checksum_sha1: checksums.sha1,
        checksum_sha256: checksums.sha256,
        checksum_crc64nvme: checksums.crc64nvme,
        ..Default::default()
    })
}

pub(super) async fn head(folder: &Folder, input: HeadObjectInput) -> S3Result<HeadObjectOutput> {
    check_version(input.version_id.as_deref())?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    let object = folder
        .blocking(move |store| {
            let object = store.open_object(&input.bucket, &input.key)?;
            conditions.check(&object.record.etag, object.modified)?;
            Ok(object)
        })
        .await?;
    let Headers { content_type, content_encoding, content_disposition, content_language, cache_control, metadata } = object.record.headers;
    let checksums = shown_checksums(object.record.checksums, input.checksum_mode.as_ref(), true);
    Ok(HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        content_length: Some(size(object.size)?),
        e_tag: Some(ETag::Strong(object.record.etag)),
        last_modified: Some(object.modified.into()),
        content_type: content_type.or_else(|| Some(DEFAULT_TYPE.to_owned())),
        content_encoding,
        content_disposition,
        content_language,
        cache_control,
        metadata: to_metadata(metadata),
        checksum_crc32: checksums.crc32,
        checksum_crc32c: checksums.crc32c,
        checksum_sha1: checksums.sha1,
        checksum_sha256: checksums.sha256,
        checksum_crc64nvme: checksums.crc64nvme,
        ..Default::default()
    })
}

pub(super) fn copy(store: &Store, input: CopyObjectInput) -> S3Result<CopyObjectOutput> {
    let (bucket, key) = copy_source(input.copy_source)?;
    let source = store.open_object(&bucket, &key)?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match,
        if_none_match: input.copy_source_if_none_match,
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    // A copy has no "not modified" answer: each unmet condition is a failed one.
    conditions.check(&source.record.etag, source.modified).map_err(|_| s3_error!(PreconditionFailed))?;
    let mut record = source.record;
    record.key = input.key;
    if input.metadata_directive.is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE) {
        record.headers = Headers {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_disposition: input.content_disposition,
            content_language: input.content_language,
            cache_control: input.cache_control,
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
        };
    }
    let mut temporary = NamedTempFile::new_in(store.temporary_folder()).map_err(internal)?;
    let copied = io::copy(&mut io::Read::take(source.file, source.size), temporary.as_file_mut()).map_err(internal)?;
    if copied != source.size {
        return Err(s3_error!(InternalError, "the source is shorter than it was"));
    }
    store.commit(&input.bucket, temporary, &record, &WriteConditions::default())?;
    let target = store.open_object(&input.bucket, &record.key)?;
    let result =
        CopyObjectResult { e_tag: Some(ETag::Strong(record.etag)), last_modified: Some(target.modified.into()), ..Default::default() };
    Ok(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
}

pub(super) fn delete_many(store: &Store, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
    store.check_bucket(&input.bucket)?;
    if input.delete.objects.len() > MAX_DELETES {
        return Err(s3_error!(MalformedXML, "at most {MAX_DELETES} objects at a time"));
    }
    let quiet = input.delete.quiet.unwrap_or(false);
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for ObjectIdentifier { key, version_id, .. } in input.delete.objects {
        match check_version(version_id.as_deref()).and_then(|()| store.delete(&input.bucket, &key)) {
            Ok(()) if quiet => {}
            Ok(()) => deleted.push(DeletedObject { key: Some(key), version_id, ..Default::default() }),
            Err(error) => errors.push(Error {
                code: Some(error.code().as_str().to_owned()),
                message: error.message().map(str::to_owned),
                key: Some(key),
                version_id,
            }),
        }
    }
    Ok(DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), ..Default::default() })
}

/// The bytes that a range asks for.
pub(super) fn window(range: Option<&Range>, size: u64) -> S3Result<std::ops::Range<u64>> {
    match range {
        None => Ok(0..size),
        Some(range) => Ok(range.check(size)?),
    }
}

/// Checksums are shown to clients that ask, and cover whole objects only.
fn shown_checksums(checksums: Checksums, mode: Option<&ChecksumMode>, whole: bool) -> Checksums {
    let wanted = mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED);
    if wanted && whole { checksums } else { Checksums::default() }
}

fn to_metadata(metadata: BTreeMap<String, String>) -> Option<Metadata> {
    (!metadata.is_empty()).then(|| metadata.into_iter().collect())
}
