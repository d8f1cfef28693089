//! Takes in the body of an upload: to a temporary file, hashing on the way.
//!
//! The rule: nothing is visible before all digests the client sent have been checked.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::StreamExt as _;
use hyper::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::{Checksum, ChecksumAlgorithm, StreamingBlob};
use s3s::{S3Request, S3Result, TrailingHeaders, s3_error};
use tempfile::NamedTempFile;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use crate::store::{Checksums, hex, internal};

const BUFFER: usize = 256 * 1024;
/// How long a client may send nothing in the middle of a body.
const STALL_TIMEOUT: Duration = Duration::from_mins(1);

/// What the client says about its body, from the headers and, after the body, the trailers.
pub(crate) struct Expected {
    content_md5: Option<String>,
    checksum: Checksum,
    hasher: ChecksumHasher,
    trailers: Option<TrailingHeaders>,
}

/// A body that arrived whole and as announced.
pub(crate) struct Received {
    pub(crate) file: NamedTempFile,
    /// MD5 of the body in hex: the `ETag` of what is not made of parts.
    pub(crate) md5: String,
    pub(crate) checksums: Checksums,
}

impl Expected {
    /// Takes what the request announces out of it.
    pub(crate) fn new<T>(
        request: &mut S3Request<T>,
        content_md5: Option<String>,
        checksum: Checksum,
        algorithm: Option<&ChecksumAlgorithm>,
    ) -> Self {
        let mut hasher = ChecksumHasher::default();
        let known = [
            (ChecksumAlgorithm::CRC32, "x-amz-checksum-crc32", checksum.checksum_crc32.is_some()),
            (ChecksumAlgorithm::CRC32C, "x-amz-checksum-crc32c", checksum.checksum_crc32c.is_some()),
            (ChecksumAlgorithm::SHA1, "x-amz-checksum-sha1", checksum.checksum_sha1.is_some()),
            (ChecksumAlgorithm::SHA256, "x-amz-checksum-sha256", checksum.checksum_sha256.is_some()),
            (ChecksumAlgorithm::CRC64NVME, "x-amz-checksum-crc64nvme", checksum.checksum_crc64nvme.is_some()),
        ];
        let announced = request.headers.get("x-amz-trailer").and_then(|value| value.to_str().ok()).unwrap_or_default();
        for (name, header, given) in known {
            let in_trailer = announced.split(',').any(|trailer| trailer.trim().eq_ignore_ascii_case(header));
            if !given && !in_trailer && algorithm.is_none_or(|algorithm| algorithm.as_str() != name) {
                continue;
            }
            match name {
                ChecksumAlgorithm::CRC32 => hasher.crc32 = Some(Crc32::default()),
                ChecksumAlgorithm::CRC32C => hasher.crc32c = Some(Crc32c::default()),
                ChecksumAlgorithm::SHA1 => hasher.sha1 = Some(Sha1::default()),
                ChecksumAlgorithm::SHA256 => hasher.sha256 = Some(Sha256::default()),
                _ => hasher.crc64nvme = Some(Crc64Nvme::default()),
            }
        }
        Self { content_md5, checksum, hasher, trailers: request.trailing_headers.take() }
    }

    /// Writes the body to a temporary file in `folder` and checks it.
    pub(crate) async fn receive(mut self, folder: &Path, body: Option<StreamingBlob>) -> S3Result<Received> {
        let temporary = NamedTempFile::new_in(folder).map_err(internal)?;
        let handle = temporary.reopen().map_err(internal)?;
        let mut writer = BufWriter::with_capacity(BUFFER, tokio::fs::File::from_std(handle));
        let mut md5 = Md5::new();
        if let Some(mut body) = body {
            while let Some(chunk) = tokio::time::timeout(STALL_TIMEOUT, body.next())
                .await
                .map_err(|_| s3_error!(RequestTimeout, "no data for {} seconds", STALL_TIMEOUT.as_secs()))?
            {
                let chunk = chunk.map_err(|error| {
                    tracing::debug!(%error, "upload broke off");
                    s3_error!(IncompleteBody)
                })?;
                md5.update(&chunk);
                self.hasher.update(&chunk);
                writer.write_all(&chunk).await.map_err(internal)?;
            }
        }
        // tokio's file reports the failure of its last write here.
        writer.flush().await.map_err(internal)?;
        let md5 = hex(&md5.finalize());
        let checksums = self.check(&md5)?;
        Ok(Received { file: temporary, md5, checksums })
    }

    fn check(mut self, md5: &str) -> S3Result<Checksums> {
        if let Some(content_md5) = &self.content_md5 {
            let expected = BASE64.decode(content_md5.trim()).map_err(|error| s3_error!(error, InvalidDigest))?;
            if hex(&expected) != md5 {
                return Err(s3_error!(BadDigest, "the body does not match its Content-MD5"));
            }
        }
        if let Some(trailers) = self.trailers.as_ref().and_then(TrailingHeaders::take) {
            add_trailers(&mut self.checksum, &trailers)?;
        }
        let computed = self.hasher.finalize();
        for (name, expected, computed) in [
            ("CRC32", &self.checksum.checksum_crc32, &computed.checksum_crc32),
            ("CRC32C", &self.checksum.checksum_crc32c, &computed.checksum_crc32c),
            ("SHA1", &self.checksum.checksum_sha1, &computed.checksum_sha1),
            ("SHA256", &self.checksum.checksum_sha256, &computed.checksum_sha256),
            ("CRC64NVME", &self.checksum.checksum_crc64nvme, &computed.checksum_crc64nvme),
        ] {
            if expected.is_some() && expected != computed {
                return Err(s3_error!(BadDigest, "the body does not match its {name} checksum"));
            }
        }
        Ok(Checksums::from(computed))
    }
}

fn add_trailers(checksum: &mut Checksum, trailers: &HeaderMap) -> S3Result<()> {
    for (header, slot) in [
        ("x-amz-checksum-crc32", &mut checksum.checksum_crc32),
        ("x-amz-checksum-crc32c", &mut checksum.checksum_crc32c),
        ("x-amz-checksum-sha1", &mut checksum.checksum_sha1),
        ("x-amz-checksum-sha256", &mut checksum.checksum_sha256),
        ("x-amz-checksum-crc64nvme", &mut checksum.checksum_crc64nvme),
    ] {
        if let Some(value) = trailers.get(header) {
            *slot = Some(value.to_str().map_err(|error| s3_error!(error, InvalidArgument))?.to_owned());
        }
    }
    Ok(())
}
