//! Content in a bucket, under the same keys as in a folder.
//!
//! The one rule: content passes through in pieces, large uploads in parts. Nothing that was cut short
//! ever appears under its key: a bucket shows an object when all of it is there.

use std::path::Path;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_sdk_s3::{
    Client,
    config::{Credentials, Region, SharedCredentialsProvider},
    error::{ProvideErrorMetadata, SdkError},
    operation::head_object::HeadObjectOutput,
    primitives::{ByteStream, Length},
    types::{CompletedMultipartUpload, CompletedPart, ServerSideEncryption},
};
use futures::{StreamExt, TryStreamExt, stream};
use karton_rs::s3::{self, status};
use tokio::io::AsyncRead;

use super::{Digests, Layout, STRAYS, StoreError};
use crate::config::S3Storage;

/// Size of a part, and of what is sent without parts.
const PART: u64 = 16 << 20;
/// Protocol's limit.
const MOST_PARTS: u64 = 10_000;
/// Parts of one upload that are on their way at once.
const AT_ONCE: usize = 3;

/// A bucket; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    client: Client,
    endpoint: String,
    name: String,
    layout: Layout,
}

impl Bucket {
    /// Prepares access; nothing is contacted yet.
    pub(super) async fn new(settings: &S3Storage, layout: Layout) -> Self {
        let region = settings.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
        let credentials = match &settings.keys {
            Some((access, secret)) => SharedCredentialsProvider::new(Credentials::new(access, secret, None, None, "mwdb.ini")),
            None => SharedCredentialsProvider::new(DefaultCredentialsChain::builder().region(Region::new(region.clone())).build().await),
        };
        let client = s3::client(&settings.endpoint, &region, credentials);
        Self { client, endpoint: settings.endpoint.clone(), name: settings.bucket.clone(), layout }
    }

    /// Asks for the bucket.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        match self.client.head_bucket().bucket(&self.name).send().await {
            Ok(_) => Ok(()),
            Err(error) if status(&error) == Some(404) => Err(self.no_bucket()),
            Err(error) => Err(self.error("look at the bucket", &error)),
        }
    }

    fn no_bucket(&self) -> StoreError {
        StoreError::Refused(format!(
            "there is no bucket `{}` on {}: make it, or correct [mwdb] s3_storage_bucket_name",
            self.name, self.endpoint
        ))
    }

    /// Key and size of content; nothing when it is missing.
    pub(super) async fn find(&self, sha256: &str) -> Result<Option<(String, u64)>, StoreError> {
        Ok(self.head(sha256).await?.map(|(key, head)| (key, size(head.content_length()))))
    }

    async fn head(&self, sha256: &str) -> Result<Option<(String, HeadObjectOutput)>, StoreError> {
        for key in self.layout.keys(sha256) {
            match self.client.head_object().bucket(&self.name).key(&key).send().await {
                Ok(head) => return Ok(Some((key, head))),
                Err(error) if status(&error) == Some(404) => {}
                Err(error) => return Err(self.error(&format!("look at {key}"), &error)),
            }
        }
        Ok(None)
    }

    /// Brings a staged file to its place, unless the same bytes are there and that is not `doubtful`.
    pub(super) async fn put(&self, staged: &Path, size: u64, digests: &Digests, doubtful: bool) -> Result<(), StoreError> {
        let sha256 = &digests.sha256;
        if !doubtful && self.head(sha256).await?.is_some_and(|(_, head)| is_same(&head, size, &digests.md5)) {
            return Ok(());
        }
        let key = self.layout.key(sha256);
        if size > PART {
            return self.put_in_parts(staged, size, &key).await;
        }
        let body = piece(staged, 0, size).await?;
        let put = self.client.put_object().bucket(&self.name).key(&key).body(body).send().await;
        put.map_err(|error| self.error(&format!("upload {key}"), &error))?;
        Ok(())
    }

    async fn put_in_parts(&self, staged: &Path, size: u64, key: &str) -> Result<(), StoreError> {
        let action = format!("upload {key}");
        let begun = self.client.create_multipart_upload().bucket(&self.name).key(key).send().await;
        let begun = begun.map_err(|error| self.error(&action, &error))?;
        let id = begun.upload_id().unwrap_or_default();
        let length = PART.max(size.div_ceil(MOST_PARTS));
        let parts = (1..).zip((0..size).step_by(usize::try_from(length).unwrap_or(usize::MAX)));
        let sent = stream::iter(parts).map(|(number, offset)| {
            let action = &action;
            async move {
                let body = piece(staged, offset, length.min(size - offset)).await?;
                let request = self.client.upload_part().bucket(&self.name).key(key).upload_id(id).part_number(number).body(body);
                let sent = request.send().await.map_err(|error| self.error(action, &error))?;
                Ok(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag().map(str::to_owned)).build())
            }
        });
        let outcome = match sent.buffered(AT_ONCE).try_collect::<Vec<_>>().await {
            Ok(parts) => {
                let all = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
                let request = self.client.complete_multipart_upload().bucket(&self.name).key(key).upload_id(id).multipart_upload(all);
                request.send().await.map(drop).map_err(|error| self.error(&action, &error))
            }
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            self.abort(key, id).await;
        }
        outcome
    }

    async fn abort(&self, key: &str, id: &str) {
        if let Err(error) = self.client.abort_multipart_upload().bucket(&self.name).key(key).upload_id(id).send().await {
            tracing::debug!("{}", self.error(&format!("give up the upload of {key}"), &error));
        }
    }

    /// Gives up uploads in parts that a crash has left behind. They take space and are seen by nobody.
    pub(super) async fn abort_unfinished(&self, sha256: &str) -> Result<(), StoreError> {
        let key = self.layout.key(sha256);
        let listed = self.client.list_multipart_uploads().bucket(&self.name).prefix(&key).send().await;
        let listed = match listed {
            Ok(listed) => listed,
            // Not every server can list them.
            Err(error) if status(&error) == Some(501) => return Ok(()),
            Err(error) => return Err(self.error(&format!("list uploads of {key}"), &error)),
        };
        for upload in listed.uploads().iter().filter(|upload| upload.key() == Some(&key)) {
            self.abort(&key, upload.upload_id().unwrap_or_default()).await;
        }
        Ok(())
    }

    /// Reads `length` bytes from `start` of what lies under a key.
    pub(super) async fn read(&self, key: &str, start: u64, length: u64) -> Result<impl AsyncRead + Send + Unpin + use<>, StoreError> {
        let range = format!("bytes={start}-{}", start.saturating_add(length.saturating_sub(1)));
        let got = self.client.get_object().bucket(&self.name).key(key).range(range).send().await;
        Ok(got.map_err(|error| self.error(&format!("read {key}"), &error))?.body.into_async_read())
    }

    /// Removes content, under both schemes where both are read.
    pub(super) async fn remove(&self, sha256: &str) -> Result<(), StoreError> {
        for key in self.layout.keys(sha256) {
            self.delete(&key).await?;
        }
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        match self.client.delete_object().bucket(&self.name).key(key).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchKey") => Ok(()),
            Err(error) => Err(self.error(&format!("remove {key}"), &error)),
        }
    }

    /// One page of keys with their sizes, and where the next page starts.
    pub(super) async fn list(&self, after: Option<String>) -> Result<(Vec<(String, u64)>, Option<String>), StoreError> {
        let listed = self.client.list_objects_v2().bucket(&self.name).set_continuation_token(after).send().await;
        let listed = listed.map_err(|error| self.error("list the bucket", &error))?;
        // What is ours but no content starts with a dot.
        let objects = listed.contents().iter().filter_map(|object| Some((object.key()?.to_owned(), size(object.size()))));
        let objects = objects.filter(|(key, _)| !key.starts_with('.')).collect();
        let next = listed.next_continuation_token().filter(|_| listed.is_truncated() == Some(true)).map(str::to_owned);
        Ok((objects, next))
    }

    /// Moves an object out of the way, and tells where to.
    pub(super) async fn set_aside(&self, key: &str) -> Result<String, StoreError> {
        let target = format!("{STRAYS}/{}", key.replace('/', "_"));
        let copy = self.client.copy_object().bucket(&self.name).key(&target).copy_source(format!("{}/{key}", self.name));
        copy.send().await.map_err(|error| self.error(&format!("copy {key}"), &error))?;
        self.delete(key).await?;
        Ok(format!("s3://{}/{target}", self.name))
    }

    fn error<E>(&self, action: &str, error: &SdkError<E>) -> StoreError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        if error.code() == Some("NoSuchBucket") {
            return self.no_bucket();
        }
        let reason = s3::reason(error);
        let text = format!("{action} in bucket `{}` on {}: {reason}", self.name, self.endpoint);
        match status(error) {
            // A request that was never sent has a cause of its own, such as a file that cannot be read.
            None if matches!(error, SdkError::ConstructionFailure(_)) => StoreError::Refused(text),
            None | Some(429 | 500..) => StoreError::Away(text),
            Some(_) => StoreError::Refused(text),
        }
    }
}

/// Whether an object holds the bytes with this size and MD5, as far as the server tells without sending them: the
/// tag of what came in parts, or is encrypted with a key of its own, says nothing.
fn is_same(head: &HeadObjectOutput, bytes: u64, md5: &str) -> bool {
    let plain = matches!(head.server_side_encryption(), None | Some(ServerSideEncryption::Aes256));
    let tag = head.e_tag().map(|tag| tag.trim_matches('"')).filter(|tag| plain && tag.len() == md5.len());
    size(head.content_length()) == bytes && tag.is_none_or(|tag| tag.eq_ignore_ascii_case(md5))
}

fn size(bytes: Option<i64>) -> u64 {
    bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
}

/// A piece of a file as the body of a request; it is read while it is sent.
async fn piece(path: &Path, offset: u64, length: u64) -> Result<ByteStream, StoreError> {
    let body = ByteStream::read_from().path(path).offset(offset).length(Length::Exact(length)).build().await;
    body.map_err(|error| StoreError::disk("read", path)(std::io::Error::other(error)))
}
