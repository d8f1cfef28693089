//! The one key pair.

use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

/// Accepts requests that are signed with this pair; the service refuses all others.
pub(crate) struct KeyPair {
    access_key: String,
    secret_key: SecretKey,
}

impl KeyPair {
    pub(crate) fn new(access_key: &str, secret_key: &str) -> Self {
        Self { access_key: access_key.to_owned(), secret_key: SecretKey::from(secret_key) }
    }
}

#[async_trait::async_trait]
impl S3Auth for KeyPair {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.access_key { Ok(self.secret_key.clone()) } else { Err(s3_error!(InvalidAccessKeyId)) }
    }
}
