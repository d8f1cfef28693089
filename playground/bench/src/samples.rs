//! The files that services are given: small ones of many kinds, or any of a size.
//!
//! The one rule: they are in the object store before anything is measured.

use std::path::Path;

use anyhow::Context as _;
use aws_sdk_s3::{
    config::{Credentials, SharedCredentialsProvider},
    primitives::ByteStream,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use karton_rs::{LocalResource, json::Value};

use crate::bed::Bed;

/// The files of the classifier's tests that hold something, by name: programs, documents, archives, scripts, texts.
pub(crate) fn kinds() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../classifier/tests/vectors/files");
    let unreadable = || format!("cannot read {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        files.push((entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).with_context(unreadable)?));
    }
    files.retain(|(_, content)| !content.is_empty());
    files.sort_unstable();
    Ok(files)
}

/// Stores files as a producer does; gives what a task says of each.
pub(crate) async fn store(bed: &Bed, files: Vec<(String, Vec<u8>)>) -> anyhow::Result<Vec<Value>> {
    let keys = SharedCredentialsProvider::new(Credentials::new("access", "secret-key", None, None, "bench"));
    let client = karton_rs::s3::client(&bed.s3_url, "us-east-1", keys);
    let puts = stream::iter(files).map(|(name, content)| {
        let client = &client;
        async move {
            let local = LocalResource::from_bytes(&name, content.clone())?.with_bucket("karton");
            client.put_object().bucket("karton").key(&local.resource().uid).body(ByteStream::from(content)).send().await?;
            anyhow::Ok(local.resource().to_value())
        }
    });
    puts.buffered(16).try_collect().await
}
