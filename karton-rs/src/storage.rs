//! The object store: S3, path style, streamed both ways.
//!
//! The one rule: content passes through in pieces. See Karton protocol §5.4.

mod probe;

use std::{path::Path, time::Duration};

use aws_config::{ecs::EcsCredentialsProvider, imds::credentials::ImdsCredentialsProvider, meta::credentials::CredentialsProviderChain};
use aws_sdk_s3::{
    Client,
    config::{Credentials, SharedCredentialsProvider},
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::get_object::GetObjectOutput,
    primitives::ByteStream,
    types::{Delete, ObjectIdentifier},
};
use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use crate::{
    config::{ConfigError, S3Settings},
    error::{Error, StorageErrorKind},
    reader::ResourceReader,
    resource::{LocalResource, Resource, Source},
    s3,
};

/// What a server says of a key that is good for nothing. `AccessDenied` is none of these: it may be about one object.
const REFUSED_KEYS: [&str; 5] = ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed"];

/// Longest time for the answer to [`Storage::answers`].
const PROBE: Duration = Duration::from_secs(10);

/// Access to the bucket that `[s3]` names, and to the others of that server.
#[derive(Clone)]
pub(crate) struct Storage {
    client: Client,
    endpoint: String,
    bucket: Result<String, ConfigError>,
}

/// One version of an object, for the collector.
#[derive(Debug, Clone)]
pub(crate) struct ObjectVersion {
    pub(crate) key: String,
    /// None on a bucket without versions.
    pub(crate) version: Option<String>,
}

impl Storage {
    /// Prepares access; nothing is contacted yet.
    pub(crate) fn new(settings: &S3Settings) -> Result<Self, ConfigError> {
        let credentials = credentials(settings)?;
        let client = s3::client(&settings.endpoint, &settings.region, credentials);
        Ok(Self { client, endpoint: settings.endpoint.clone(), bucket: settings.bucket().map(str::to_owned) })
    }

    /// The default bucket.
    pub(crate) fn bucket(&self) -> Result<&str, ConfigError> {
        self.bucket.as_deref().map_err(Clone::clone)
    }

    /// Whether the default bucket exists; `create` makes it when it does not.
    pub(crate) async fn check_bucket(&self, create: bool) -> Result<bool, Error> {
        let bucket = self.bucket()?;
        match self.client.head_bucket().bucket(bucket).send().await {
            Ok(_) => return Ok(true),
            Err(error) => {
                let error = self.error(format!("look at bucket `{bucket}`"), &error);
                if !matches!(error, Error::Storage { kind: StorageErrorKind::NotFound, .. }) {
                    return Err(error);
                }
            }
        }
        if create {
            match self.client.create_bucket().bucket(bucket).send().await {
                Ok(_) => {}
                // Another broker was faster.
                Err(error) if matches!(error.code(), Some("BucketAlreadyOwnedByYou" | "BucketAlreadyExists")) => {}
                Err(error) => return Err(self.error(format!("create bucket `{bucket}`"), &error)),
            }
        }
        Ok(create)
    }

    /// Uploads the content of a local resource under the key of `resource`.
    pub(crate) async fn upload(&self, resource: &Resource, local: &LocalResource) -> Result<(), Error> {
        let body = match local.source() {
            Source::Bytes(content) => ByteStream::from(content.clone()),
            Source::File(path) => file_body(path).await?,
            Source::Temporary(path) => file_body(path).await?,
        };
        let bucket = self.bucket_of(resource)?;
        let put = self.client.put_object().bucket(bucket).key(&resource.uid).body(body).send().await;
        put.map_err(|error| self.error_in(bucket, format!("upload `{}` to {bucket}/{}", resource.name, resource.uid), &error))?;
        Ok(())
    }

    /// Whether the content of a resource is there.
    pub(crate) async fn exists(&self, resource: &Resource) -> Result<bool, Error> {
        let bucket = self.bucket_of(resource)?;
        match self.client.head_object().bucket(bucket).key(&resource.uid).send().await {
            Ok(_) => Ok(true),
            Err(error) => match self.error(format!("look at {bucket}/{}", resource.uid), &error) {
                Error::Storage { kind: StorageErrorKind::NotFound, .. } => Ok(false),
                error => Err(error),
            },
        }
    }

    /// Whether the server answers requests for the bucket of a resource, be it with a refusal.
    pub(crate) async fn answers(&self, resource: &Resource) -> bool {
        let Ok(bucket) = self.bucket_of(resource) else { return false };
        match tokio::time::timeout(PROBE, self.client.head_bucket().bucket(bucket).send()).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => !self.error(format!("look at bucket `{bucket}`"), &error).is_temporary(),
            Err(_) => false,
        }
    }

    /// Opens a resource for reading from its start.
    pub(crate) async fn open(&self, resource: &Resource) -> Result<ResourceReader, Error> {
        let output = self.get(resource, None).await?;
        let size = output.content_length().and_then(|length| u64::try_from(length).ok());
        Ok(ResourceReader::new(output.body.into_async_read(), size))
    }

    /// The whole content, when it has at most `limit` bytes.
    pub(crate) async fn read(&self, resource: &Resource, limit: u64) -> Result<Bytes, Error> {
        let output = self.get(resource, None).await?;
        self.collect(resource, output, limit).await
    }

    /// Up to `length` bytes from `offset`; fewer at the end, none behind it.
    pub(crate) async fn read_range(&self, resource: &Resource, offset: u64, length: u64) -> Result<Bytes, Error> {
        if length == 0 || resource.size.is_some_and(|size| offset >= size) {
            return Ok(Bytes::new());
        }
        let range = format!("bytes={offset}-{}", offset.saturating_add(length - 1));
        let output = self.get(resource, Some(range)).await?;
        self.collect(resource, output, length).await
    }

    /// Streams the content into a file and gives the number of bytes.
    pub(crate) async fn download(&self, resource: &Resource, path: &Path) -> Result<u64, Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        let mut body = self.get(resource, None).await?.body;
        let mut file = tokio::fs::File::create(path).await.map_err(failed)?;
        let mut size = 0;
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| self.broken_off(resource, &error))?;
            file.write_all(&piece).await.map_err(failed)?;
            size += piece.len() as u64;
        }
        file.flush().await.map_err(failed)?;
        Ok(size)
    }

    /// One page of all versions in the default bucket, and where the next one starts.
    pub(crate) async fn list_versions(&self, after: Option<(String, Option<String>)>) -> Result<VersionPage, Error> {
        let bucket = self.bucket()?;
        let (key, version) = after.map_or((None, None), |(key, version)| (Some(key), version));
        let listed = self.client.list_object_versions().bucket(bucket).set_key_marker(key).set_version_id_marker(version).send().await;
        let listed = listed.map_err(|error| self.error(format!("list bucket `{bucket}`"), &error))?;
        let real = |version: Option<&str>| version.filter(|version| *version != "null").map(str::to_owned);
        let versions = listed.versions().iter().map(|found| (found.key(), found.version_id()));
        let markers = listed.delete_markers().iter().map(|found| (found.key(), found.version_id()));
        let objects = versions
            .chain(markers)
            .filter_map(|(key, version)| Some(ObjectVersion { key: key?.to_owned(), version: real(version) }))
            .collect();
        let next = listed
            .is_truncated()
            .unwrap_or(false)
            .then(|| (listed.next_key_marker().unwrap_or_default().to_owned(), listed.next_version_id_marker().map(str::to_owned)));
        Ok(VersionPage { objects, next })
    }

    /// Deletes up to 1000 versions of the default bucket; gives how many the server refused.
    pub(crate) async fn delete(&self, objects: &[ObjectVersion], name_null_version: bool) -> Result<usize, Error> {
        let bucket = self.bucket()?;
        let action = || format!("delete {} objects from `{bucket}`", objects.len());
        let broken = |error: aws_sdk_s3::error::BuildError| self.failure(action(), error.to_string(), StorageErrorKind::Refused);
        let identifiers = objects.iter().map(|object| {
            let version = object.version.clone().or_else(|| name_null_version.then(|| "null".to_owned()));
            ObjectIdentifier::builder().key(&object.key).set_version_id(version).build()
        });
        let identifiers = identifiers.collect::<Result<Vec<_>, _>>().map_err(broken)?;
        let delete = Delete::builder().set_objects(Some(identifiers)).quiet(true).build().map_err(broken)?;
        let deleted = self.client.delete_objects().bucket(bucket).delete(delete).send().await;
        Ok(deleted.map_err(|error| self.error(action(), &error))?.errors().len())
    }

    async fn get(&self, resource: &Resource, range: Option<String>) -> Result<GetObjectOutput, Error> {
        let bucket = self.bucket_of(resource)?;
        let got = self.client.get_object().bucket(bucket).key(&resource.uid).set_range(range).send().await;
        got.map_err(|error| self.error_in(bucket, format!("read `{}` from {bucket}/{}", resource.name, resource.uid), &error))
    }

    async fn collect(&self, resource: &Resource, mut output: GetObjectOutput, limit: u64) -> Result<Bytes, Error> {
        let size = output.content_length().and_then(|length| u64::try_from(length).ok());
        let too_large = || {
            let (action, reason) = (format!("read `{}`", resource.name), format!("it is larger than {limit} bytes"));
            self.failure(action, reason, StorageErrorKind::TooLarge { size })
        };
        if size.is_some_and(|size| size > limit) {
            return Err(too_large());
        }
        let mut content = Vec::with_capacity(usize::try_from(size.unwrap_or(0)).unwrap_or(0));
        while let Some(piece) = output.body.next().await {
            let piece = piece.map_err(|error| self.broken_off(resource, &error))?;
            if content.len() as u64 + piece.len() as u64 > limit {
                return Err(too_large());
            }
            content.extend_from_slice(&piece);
        }
        Ok(content.into())
    }

    fn bucket_of<'a>(&'a self, resource: &'a Resource) -> Result<&'a str, ConfigError> {
        resource.bucket.as_deref().map_or_else(|| self.bucket(), Ok)
    }

    fn broken_off(&self, resource: &Resource, error: &dyn std::error::Error) -> Error {
        self.failure(format!("read all of `{}`", resource.name), DisplayErrorContext(error).to_string(), StorageErrorKind::Unreachable)
    }

    fn failure(&self, action: String, reason: String, kind: StorageErrorKind) -> Error {
        Error::Storage { server: self.endpoint.clone(), action, reason, kind }
    }

    /// As [`Self::error`], of a request for an object in this bucket.
    fn error_in<E>(&self, bucket: &str, action: String, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        // A task may name any bucket; that ours is missing is not the fault of a task.
        if error.code() == Some("NoSuchBucket") && self.bucket().is_ok_and(|ours| ours == bucket) {
            return self.failure(action, format!("{}; see [s3] bucket", s3::reason(error)), StorageErrorKind::Denied);
        }
        self.error(action, error)
    }

    fn error<E>(&self, action: String, error: &SdkError<E>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        if error.code().is_some_and(|code| REFUSED_KEYS.contains(&code)) {
            let reason = format!("{}; see [s3] access_key and secret_key", s3::reason(error));
            return self.failure(action, reason, StorageErrorKind::Denied);
        }
        let kind = match (s3::status(error), error.code()) {
            (Some(404), _) | (_, Some("NoSuchKey" | "NoSuchBucket")) => StorageErrorKind::NotFound,
            (None | Some(429 | 500..), _) => StorageErrorKind::Unreachable,
            _ => StorageErrorKind::Refused,
        };
        self.failure(action, s3::reason(error), kind)
    }
}

/// The key pair, or with `iam_auth` what the container or the instance gives, and the key pair when
/// there is neither. See Karton protocol §11.5.
fn credentials(settings: &S3Settings) -> Result<SharedCredentialsProvider, ConfigError> {
    let pair = settings.keys().map(|keys| Credentials::new(&keys.access_key, &keys.secret_key, None, None, "karton.ini"));
    if !settings.iam_auth {
        return pair.map(SharedCredentialsProvider::new);
    }
    let chain = CredentialsProviderChain::first_try("container", EcsCredentialsProvider::builder().build())
        .or_else("instance", ImdsCredentialsProvider::builder().build());
    Ok(match pair {
        Ok(pair) => SharedCredentialsProvider::new(chain.or_else("[s3] access_key and secret_key", pair)),
        Err(_) => SharedCredentialsProvider::new(chain),
    })
}

/// A file as the body of a request; it is read while it is sent.
async fn file_body(path: &Path) -> Result<ByteStream, Error> {
    let body = ByteStream::read_from().path(path).build().await;
    body.map_err(|error| Error::File { path: path.to_owned(), source: std::io::Error::other(error) })
}

/// A page of [`Storage::list_versions`].
pub(crate) struct VersionPage {
    pub(crate) objects: Vec<ObjectVersion>,
    pub(crate) next: Option<(String, Option<String>)>,
}
