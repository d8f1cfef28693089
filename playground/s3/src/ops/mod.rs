//! The S3 operations, one short method each; the work is in [`objects`], [`listing`] and [`multipart`].
//!
//! The rule: the store blocks, so every use of it goes through [`Folder::blocking`].

mod listing;
mod multipart;
mod objects;

use std::sync::Arc;

#[allow(clippy::wildcard_imports, reason = "each operation has two types of its own")]
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use crate::store::{Store, internal};

/// The folder as an S3 implementation.
#[derive(Debug)]
pub(crate) struct Folder {
    store: Arc<Store>,
}

/// The version id of every object: buckets here are not versioned.
const NULL_VERSION: &str = "null";

type Answer<T> = S3Result<S3Response<T>>;

impl Folder {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Store) -> S3Result<T> + Send + 'static) -> S3Result<T> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || work(&store)).await.map_err(|error| s3_error!(error, InternalError))?
    }
}

/// Refuses any version but the one there is.
fn check_version(version_id: Option<&str>) -> S3Result<()> {
    match version_id {
        None | Some(NULL_VERSION) => Ok(()),
        Some(_) => Err(s3_error!(NoSuchVersion)),
    }
}

/// Bucket and key that a copy reads from.
fn copy_source(source: CopySource) -> S3Result<(String, String)> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => {
            check_version(version_id.as_deref())?;
            Ok((bucket.into(), key.into()))
        }
        _ => Err(s3_error!(NotImplemented, "only `bucket/key` can be copied from")),
    }
}

fn size(bytes: u64) -> S3Result<i64> {
    i64::try_from(bytes).map_err(|error| s3_error!(error, InternalError))
}

#[async_trait::async_trait]
impl S3 for Folder {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        let bucket = request.input.bucket;
        let location = format!("/{bucket}");
        if !self.blocking(move |store| store.ensure_bucket(&bucket).map_err(internal)).await? {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        Ok(S3Response::new(CreateBucketOutput { location: Some(location) }))
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        self.blocking(move |store| store.delete_bucket(&request.input.bucket)).await?;
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.store.check_bucket(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(&self, request: S3Request<GetBucketLocationInput>) -> Answer<GetBucketLocationOutput> {
        self.store.check_bucket(&request.input.bucket)?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    /// An answer without a status is what S3 gives for a bucket that was never versioned.
    async fn get_bucket_versioning(&self, request: S3Request<GetBucketVersioningInput>) -> Answer<GetBucketVersioningOutput> {
        self.store.check_bucket(&request.input.bucket)?;
        Ok(S3Response::new(GetBucketVersioningOutput::default()))
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        Ok(S3Response::new(listing::buckets(&self.store)))
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        self.blocking(move |store| listing::objects(store, request.input)).await.map(S3Response::new)
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        self.blocking(move |store| listing::objects_v2(store, request.input)).await.map(S3Response::new)
    }

    async fn list_object_versions(&self, request: S3Request<ListObjectVersionsInput>) -> Answer<ListObjectVersionsOutput> {
        self.blocking(move |store| listing::versions(store, request.input)).await.map(S3Response::new)
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        objects::get(self, request.input).await.map(S3Response::new)
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        objects::head(self, request.input).await.map(S3Response::new)
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        objects::put(self, request).await.map(S3Response::new)
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        self.blocking(move |store| objects::copy(store, request.input)).await.map(S3Response::new)
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        let input = request.input;
        check_version(input.version_id.as_deref())?;
        self.blocking(move |store| store.delete(&input.bucket, &input.key)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        self.blocking(move |store| objects::delete_many(store, request.input)).await.map(S3Response::new)
    }

    async fn create_multipart_upload(&self, request: S3Request<CreateMultipartUploadInput>) -> Answer<CreateMultipartUploadOutput> {
        self.blocking(move |store| multipart::create(store, request.input)).await.map(S3Response::new)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        multipart::upload_part(self, request).await.map(S3Response::new)
    }

    async fn upload_part_copy(&self, request: S3Request<UploadPartCopyInput>) -> Answer<UploadPartCopyOutput> {
        self.blocking(move |store| multipart::copy_part(store, request.input)).await.map(S3Response::new)
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        self.blocking(move |store| multipart::parts(store, request.input)).await.map(S3Response::new)
    }

    async fn list_multipart_uploads(&self, request: S3Request<ListMultipartUploadsInput>) -> Answer<ListMultipartUploadsOutput> {
        self.blocking(move |store| multipart::uploads(store, request.input)).await.map(S3Response::new)
    }

    async fn complete_multipart_upload(&self, request: S3Request<CompleteMultipartUploadInput>) -> Answer<CompleteMultipartUploadOutput> {
        self.blocking(move |store| multipart::complete(store, request.input)).await.map(S3Response::new)
    }

    async fn abort_multipart_upload(&self, request: S3Request<AbortMultipartUploadInput>) -> Answer<AbortMultipartUploadOutput> {
        let input = request.input;
        self.blocking(move |store| store.abort_upload((&input.bucket, &input.key), &input.upload_id)).await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}
