//! A server on a free port and a temporary folder, and a client for it.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use playground_s3::Server;

pub(crate) struct Bed {
    pub(crate) server: Server,
    pub(crate) s3: Client,
    pub(crate) folder: tempfile::TempDir,
}

impl Bed {
    /// A server with one bucket, `box`.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path()).await;
        server.ensure_bucket("box").await.unwrap();
        let s3 = client(&server.url(), "mwdb", "mwdbmwdb");
        Self { server, s3, folder }
    }

    pub(crate) async fn put(&self, key: &str, content: &[u8]) {
        self.s3.put_object().bucket("box").key(key).body(ByteStream::from(content.to_vec())).send().await.unwrap();
    }

    pub(crate) async fn get(&self, key: &str) -> Vec<u8> {
        let answer = self.s3.get_object().bucket("box").key(key).send().await.unwrap();
        answer.body.collect().await.unwrap().to_vec()
    }
}

pub(crate) async fn start(folder: &std::path::Path) -> Server {
    Server::start(folder, "127.0.0.1:0".parse().unwrap(), "mwdb", "mwdbmwdb").await.unwrap()
}

pub(crate) fn client(url: &str, access_key: &str, secret_key: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"))
        .force_path_style(true)
        .build();
    Client::from_conf(config)
}

/// Status and code of an answer that was an error.
pub(crate) fn failure<T, E>(result: Result<T, SdkError<E>>) -> (u16, String)
where
    E: ProvideErrorMetadata,
{
    let Err(error) = result else { panic!("expected an error") };
    let status = error.raw_response().unwrap().status().as_u16();
    (status, error.code().unwrap_or_default().to_owned())
}
