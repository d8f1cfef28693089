//! What every client of an object store here has in common: how requests are made, and what an error says.
//!
//! The one rule: settings that old or simple servers need are chosen here, once.

mod endpoint;
mod patience;

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedCredentialsProvider,
        StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
};

/// How long nothing may move before a request is given up.
const STALLED: Duration = Duration::from_mins(1);

/// A client for the server at `endpoint`, with paths of the form `/bucket/key`; nothing is contacted yet.
///
/// ```
/// use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
///
/// let keys = Credentials::new("access", "secret", None, None, "example");
/// let client = karton_rs::s3::client("http://127.0.0.1:8090", "us-east-1", SharedCredentialsProvider::new(keys));
/// # let _ = client;
/// ```
pub fn client(endpoint: &str, region: &str, credentials: SharedCredentialsProvider) -> Client {
    client_with(endpoint, region, credentials, STALLED)
}

fn client_with(endpoint: &str, region: &str, credentials: SharedCredentialsProvider, stalled: Duration) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .endpoint_resolver(endpoint::ByBucket::default())
        .force_path_style(true)
        .region(Region::new(region.to_owned()))
        .credentials_provider(credentials)
        // Servers older than 2025 know no other checksum than the one that a request requires.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(200)))
        .http_client(patience::client(stalled))
        .timeout_config(TimeoutConfig::builder().connect_timeout(Duration::from_secs(5)).disable_read_timeout().build())
        // The SDK loses patience with uploads earlier, and with those from memory never.
        .stalled_stream_protection(StalledStreamProtectionConfig::enabled().upload_enabled(false).build())
        .build();
    Client::from_conf(config)
}

/// HTTP status of the answer that refused a request; none when there was no answer.
pub fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Why a request failed: what the server said or, without an answer, the chain of causes.
pub fn reason<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => status(error).map_or_else(|| causes(error), |status| format!("HTTP status {status}")),
    }
}

/// The messages of an error and its causes, the outermost left out: it names only the layer.
fn causes(error: &dyn std::error::Error) -> String {
    let mut messages = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        messages.push(error.to_string());
        cause = error.source();
    }
    if messages.is_empty() { error.to_string() } else { messages.join(": ") }
}
