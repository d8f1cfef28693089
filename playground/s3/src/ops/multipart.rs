//! Multipart uploads.
//!
//! The rule: a part is checked when it arrives; completing only puts files together.

use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use s3s::crypto::{Checksum as _, Md5};
#[allow(clippy::wildcard_imports, reason = "each operation has two types of its own")]
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};
use tempfile::NamedTempFile;

use super::objects::window;
use super::{Folder, copy_source, size};
use crate::conditions::WriteConditions;
use crate::ingest::Expected;
use crate::store::{Headers, Record, Store, Upload, hex, internal};

const MAX_LISTED: i32 = 1000;

pub(super) fn create(store: &Store, input: CreateMultipartUploadInput) -> S3Result<CreateMultipartUploadOutput> {
    let upload = Upload {
        bucket: input.bucket,
        key: input.key,
        headers: Headers {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_disposition: input.content_disposition,
            content_language: input.content_language,
            cache_control: input.cache_control,
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
        },
    };
    let id = store.start_upload(&upload)?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(upload.bucket),
        key: Some(upload.key),
        upload_id: Some(id),
        checksum_algorithm: input.checksum_algorithm,
        ..Default::default()
    })
}

pub(super) async fn upload_part(folder: &Folder, mut request: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
    let input = &mut request.input;
    let (bucket, key) = (input.bucket.clone(), input.key.clone());
    let (id, number, body) = (input.upload_id.clone(), input.part_number, input.body.take());
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
    let received = expected.receive(&folder.store.temporary_folder(), body).await?;
    let record = Record { key: key.clone(), etag: received.md5, checksums: received.checksums, ..Record::default() };
    let output = UploadPartOutput {
        e_tag: Some(ETag::Strong(record.etag.clone())),
        checksum_crc32: record.checksums.crc32.clone(),
        checksum_crc32c: record.checksums.crc32c.clone(),
        checksum_sha1: record.checksums.sha1.clone(),
        checksum_sha256: record.checksums.sha256.clone(),
        checksum_crc64nvme: record.checksums.crc64nvme.clone(),
        ..Default::default()
    };
    folder.blocking(move |store| store.put_part((&bucket, &key), &id, number, received.file, &record)).await?;
    Ok(output)
}

pub(super) fn copy_part(store: &Store, input: UploadPartCopyInput) -> S3Result<UploadPartCopyOutput> {
    let (bucket, key) = copy_source(input.copy_source)?;
    let mut source = store.open_object(&bucket, &key)?;
    let range = input.copy_source_range.as_deref().map(Range::parse).transpose();
    let range = range.map_err(|error| s3_error!(error, InvalidArgument, "not a range of bytes"))?;
    let window = window(range.as_ref(), source.size)?;
    source.file.seek(SeekFrom::Start(window.start)).map_err(internal)?;
    let mut content = source.file.take(window.end - window.start);
    let mut temporary = NamedTempFile::new_in(store.temporary_folder()).map_err(internal)?;
    let mut md5 = Md5::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match content.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                md5.update(&buffer[..read]);
                temporary.write_all(&buffer[..read]).map_err(internal)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(internal(error)),
        }
    }
    let etag = hex(&md5.finalize());
    let record = Record { key: input.key.clone(), etag: etag.clone(), ..Record::default() };
    store.put_part((&input.bucket, &input.key), &input.upload_id, input.part_number, temporary, &record)?;
    let result =
        CopyPartResult { e_tag: Some(ETag::Strong(etag)), last_modified: Some(std::time::SystemTime::now().into()), ..Default::default() };
    Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() })
}

pub(super) fn complete(store: &Store, input: CompleteMultipartUploadInput) -> S3Result<CompleteMultipartUploadOutput> {
    let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let chosen = parts
        .into_iter()
        .map(|part| {
            let number = part.part_number.ok_or_else(|| s3_error!(MalformedXML, "a part has no number"))?;
            Ok((number, part.e_tag.map(ETag::into_value)))
        })
        .collect::<S3Result<Vec<_>>>()?;
    let conditions = WriteConditions { if_match: input.if_match, if_none_match: input.if_none_match };
    let etag = store.complete_upload((&input.bucket, &input.key), &input.upload_id, &chosen, &conditions)?;
    Ok(CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(ETag::Strong(etag)),
        ..Default::default()
    })
}

pub(super) fn parts(store: &Store, input: ListPartsInput) -> S3Result<ListPartsOutput> {
    let max_parts = input.max_parts.unwrap_or(MAX_LISTED).clamp(0, MAX_LISTED);
    let marker = input.part_number_marker.unwrap_or(0);
    let mut listed = store.parts((&input.bucket, &input.key), &input.upload_id)?;
    listed.retain(|part| part.number > marker);
    let truncated = listed.len() > usize::try_from(max_parts).unwrap_or_default();
    listed.truncate(usize::try_from(max_parts).unwrap_or_default());
    let next = listed.last().map(|part| part.number);
    let parts = listed.into_iter().map(|part| {
        Ok(Part {
            part_number: Some(part.number),
            e_tag: Some(ETag::Strong(part.etag)),
            size: Some(size(part.size)?),
            last_modified: Some(part.modified.into()),
            ..Default::default()
        })
    });
    Ok(ListPartsOutput {
        parts: Some(parts.collect::<S3Result<_>>()?),
        is_truncated: Some(truncated),
        next_part_number_marker: next.filter(|_| truncated),
        max_parts: Some(max_parts),
        part_number_marker: Some(marker),
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        ..Default::default()
    })
}

/// Uploads in progress; they are few, so they are given in one page.
pub(super) fn uploads(store: &Store, input: ListMultipartUploadsInput) -> S3Result<ListMultipartUploadsOutput> {
    let prefix = input.prefix.as_deref().unwrap_or_default();
    let mut uploads = store.uploads(&input.bucket)?;
    uploads.retain(|upload| upload.key.starts_with(prefix));
    let uploads = uploads.into_iter().map(|upload| MultipartUpload {
        key: Some(upload.key),
        upload_id: Some(upload.id),
        initiated: Some(upload.started.into()),
        ..Default::default()
    });
    Ok(ListMultipartUploadsOutput {
        uploads: Some(uploads.collect()),
        is_truncated: Some(false),
        prefix: input.prefix,
        bucket: Some(input.bucket),
        ..Default::default()
    })
}
