//! Where content is kept: `storage_provider` and the keys of S3. See MWDB API §A3.2.

use std::net::{Ipv4Addr, SocketAddr};

use super::{ConfigError, Source};

/// Where content is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Storage {
    /// Below `uploads_folder`.
    #[default]
    Disk,
    /// In a bucket; `uploads_folder` still holds uploads until they are complete.
    S3(S3Storage),
}

/// How to reach the bucket.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Storage {
    /// Address of the server, with its scheme.
    pub endpoint: String,
    /// The bucket, which is not Karton's.
    pub bucket: String,
    /// Region; none: `us-east-1`.
    pub region: Option<String>,
    /// Access key and secret key; none: the credentials of the container or instance.
    pub keys: Option<(String, String)>,
}

/// Shows no keys.
impl std::fmt::Debug for S3Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Storage").field("endpoint", &self.endpoint).field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

pub(super) fn storage(source: &Source) -> Result<Storage, ConfigError> {
    let text = |key: &str| source.get("mwdb", key).map(|(value, _)| value.to_owned());
    let needed = |key: &str| text(key).ok_or_else(|| source.error("mwdb", key, "is not set, but `storage_provider` is `s3`"));
    match text("storage_provider").unwrap_or_default().to_lowercase().as_str() {
        "" | "disk" => return Ok(Storage::Disk),
        "s3" => {}
        other => return Err(source.error("mwdb", "storage_provider", format!("`{other}` is neither `disk` nor `s3`"))),
    }
    let (mut secure, mut iam_auth) = (false, false);
    source.flag("s3_storage_secure", &mut secure)?;
    source.flag("s3_storage_iam_auth", &mut iam_auth)?;
    let mut endpoint = needed("s3_storage_endpoint")?;
    if !endpoint.contains("://") {
        endpoint = format!("{}://{endpoint}", if secure { "https" } else { "http" });
    }
    let scheme_fits = ["http://", "https://"].iter().any(|scheme| endpoint.len() > scheme.len() && endpoint.starts_with(scheme));
    if !scheme_fits {
        return Err(source.error("mwdb", "s3_storage_endpoint", "is no http or https address"));
    }
    let keys = if iam_auth { None } else { Some((needed("s3_storage_access_key")?, needed("s3_storage_secret_key")?)) };
    Ok(Storage::S3(S3Storage {
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        bucket: needed("s3_storage_bucket_name")?,
        region: text("s3_storage_region_name"),
        keys,
    }))
}

/// Karton's collector removes what it does not know from its bucket.
pub(super) fn not_kartons(storage: &Storage, karton: &karton_rs::Config) -> Result<(), ConfigError> {
    let Storage::S3(ours) = storage else { return Ok(()) };
    let Ok(theirs) = karton_rs::S3Settings::from_config(karton) else { return Ok(()) };
    if theirs.bucket().is_ok_and(|bucket| bucket == ours.bucket) && is_same_server(&theirs.endpoint, &ours.endpoint) {
        let problem = format!("`{}` is the bucket of Karton, which removes foreign objects: choose another one", ours.bucket);
        return Err(ConfigError::new("mwdb.ini", "mwdb", "s3_storage_bucket_name", problem));
    }
    Ok(())
}

/// Whether two addresses lead to one server: the same text, or a port on the same host.
fn is_same_server(one: &str, other: &str) -> bool {
    let places = |endpoint: &str| -> Option<Vec<SocketAddr>> {
        let url = reqwest::Url::parse(endpoint).ok()?;
        let resolved: Vec<SocketAddr> = url.socket_addrs(|| None).ok()?;
        // A machine has many names for itself.
        let plain = |mut place: SocketAddr| {
            if place.ip().is_loopback() {
                place.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            place
        };
        Some(resolved.into_iter().map(plain).collect())
    };
    if one.trim_end_matches('/') == other.trim_end_matches('/') {
        return true;
    }
    let (Some(one), Some(other)) = (places(one), places(other)) else { return false };
    one.iter().any(|place| other.contains(place))
}

#[cfg(test)]
mod tests {
    use crate::Config;

    use super::*;

    const S3: &str = "[mwdb]\nstorage_provider = S3\ns3_storage_endpoint = minio:9000\ns3_storage_bucket_name = mwdb\n";

    #[test]
    fn the_endpoint_gets_its_scheme_and_the_keys_may_come_from_the_instance() -> anyhow::Result<()> {
        let of = |more: &str| Config::from_parts(&[("mwdb.ini", &format!("{S3}{more}"))], []).map(|config| config.storage);
        let keys = "s3_storage_access_key = a\ns3_storage_secret_key = b\n";
        let Storage::S3(plain) = of(keys)? else { anyhow::bail!("no S3") };
        assert_eq!((plain.endpoint.as_str(), plain.keys), ("http://minio:9000", Some(("a".to_owned(), "b".to_owned()))));
        let Storage::S3(secure) = of("s3_storage_secure = 1\ns3_storage_iam_auth = 1\ns3_storage_region_name = eu-1\n")? else {
            anyhow::bail!("no S3")
        };
        assert_eq!((secure.endpoint.as_str(), secure.keys, secure.region.as_deref()), ("https://minio:9000", None, Some("eu-1")));
        Ok(())
    }

    #[test]
    fn a_missing_or_bad_key_is_named() {
        for (text, named) in [
            (S3.to_owned(), "s3_storage_access_key"),
            (S3.replace("s3_storage_endpoint", "x"), "s3_storage_endpoint"),
            (S3.replace("minio:9000", "ftp://minio"), "s3_storage_endpoint"),
            (format!("{S3}s3_storage_secure = yes"), "s3_storage_secure"),
            (
                format!("{S3}s3_storage_access_key = a\ns3_storage_secret_key = b\n").replace("bucket_name = mwdb", "x = y"),
                "s3_storage_bucket_name",
            ),
        ] {
            let error = Config::from_parts(&[("mwdb.ini", &text)], []).expect_err(named).to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn the_bucket_of_karton_is_refused() -> anyhow::Result<()> {
        let karton = "[redis]\nhost = r\n[s3]\naddress = http://minio:9000/\naccess_key = a\nsecret_key = b\nbucket = mwdb\n";
        let karton = karton_rs::Config::from_parts(&[("karton.ini", karton)], [])?;
        let text = format!("{S3}s3_storage_iam_auth = 1\n");
        let config = Config::from_parts(&[("mwdb.ini", &text)], [])?;
        let error = not_kartons(&config.storage, &karton).expect_err("the same bucket").to_string();
        assert!(error.contains("s3_storage_bucket_name"), "{error}");
        assert!(is_same_server("http://localhost:9000", "http://127.0.0.1:9000/"));
        assert!(!is_same_server("http://localhost:9000", "http://localhost:9001"));
        let other = Config::from_parts(&[("mwdb.ini", &text.replace("name = mwdb", "name = other"))], [])?;
        not_kartons(&other.storage, &karton)?;
        Ok(())
    }
}
