//! Where requests go.
//!
//! The one rule: the rules of the SDK decide, but are not asked anew for each key. They remember their last answer, and
//! look at more than what it depends on here, where buckets are always a part of the path.

use aws_sdk_s3::config::endpoint::{DefaultResolver, EndpointFuture, Params, ResolveEndpoint};

/// Ending of buckets whose endpoint depends on what is asked of them.
const EXPRESS: &str = "--x-s3";

/// Asks the rules of the SDK about the bucket alone.
#[derive(Debug, Default)]
pub(super) struct ByBucket(DefaultResolver);

impl ResolveEndpoint for ByBucket {
    fn resolve_endpoint<'a>(&'a self, params: &'a Params) -> EndpointFuture<'a> {
        let Some(ordinary) = params.bucket().filter(|bucket| is_ordinary(bucket)).and_then(|bucket| of_bucket(bucket, params)) else {
            return ResolveEndpoint::resolve_endpoint(&self.0, params);
        };
        EndpointFuture::new(async move { ResolveEndpoint::resolve_endpoint(&self.0, &ordinary).await })
    }
}

/// Neither an ARN nor something of AWS with an endpoint of its own.
fn is_ordinary(bucket: &str) -> bool {
    !bucket.contains(':') && !bucket.ends_with(EXPRESS)
}

/// The same question, without the key.
fn of_bucket(bucket: &str, params: &Params) -> Option<Params> {
    let ordinary = Params::builder()
        .bucket(bucket)
        .set_region(params.region().map(str::to_owned))
        .set_endpoint(params.endpoint().map(str::to_owned))
        .force_path_style(params.force_path_style().unwrap_or_default())
        .build();
    ordinary.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn endpoints_are_those_of_the_sdk() -> anyhow::Result<()> {
        let rules = DefaultResolver::new();
        let ours = ByBucket::default();
        for endpoint in
            ["http://127.0.0.1:8090", "https://s3.example.org/store/", "http://[::1]:9000", "https://s3.eu-central-1.amazonaws.com"]
        {
            for bucket in ["karton", "with.dots", "UPPER_case", "a", "sp ace", "b--x-s3", "arn:aws:s3:eu-west-1:123456789012:accesspoint:p"]
            {
                for key in ["1f2e3d4c-5b6a-4788-99aa-bbccddeeff00", "a/b c", ""] {
                    let params = Params::builder()
                        .bucket(bucket)
                        .key(key)
                        .prefix(key)
                        .region("us-east-1".to_owned())
                        .endpoint(endpoint.to_owned())
                        .force_path_style(true)
                        .build()?;
                    let wanted = ResolveEndpoint::resolve_endpoint(&rules, &params).await.map_err(|error| error.to_string());
                    let got = ResolveEndpoint::resolve_endpoint(&ours, &params).await.map_err(|error| error.to_string());
                    assert_eq!(got, wanted, "{endpoint} {bucket} {key}");
                }
            }
        }
        Ok(())
    }
}
