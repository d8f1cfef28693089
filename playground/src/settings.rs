//! Flags and variables of `playground up`, and what they add up to.
//!
//! The rule: an empty variable counts as not set.

use std::path::PathBuf;

use clap::ValueEnum;

/// Where the data goes unless told otherwise.
pub(crate) const DATA: &str = "playground-data";
/// Login and password of the first MWDB account.
pub(crate) const ACCOUNT: (&str, &str) = ("admin", "admin");
/// Key pair of the embedded S3.
pub(crate) const S3_KEYS: (&str, &str) = ("mwdb", "mwdbmwdb");
/// Bucket of Karton's resources.
pub(crate) const KARTON_BUCKET: &str = "karton";
/// Bucket for an MWDB that keeps its files in S3.
pub(crate) const MWDB_BUCKET: &str = "mwdb";

/// A wrong call: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct UpArgs {
    /// Folder for everything that is to survive a restart; made when missing
    #[arg(long, value_name = "FOLDER", default_value = DATA)]
    data: PathBuf,
    /// Port of MWDB, 0 for any free one [default: 8080]
    #[arg(long, value_name = "PORT")]
    mwdb_port: Option<u16>,
    /// Port of the S3 server, 0 for any free one [default: 8090]
    #[arg(long, value_name = "PORT")]
    s3_port: Option<u16>,
    /// Port of redis-server, 0 for any free one [default: 8379]
    #[arg(long, value_name = "PORT")]
    redis_port: Option<u16>,
    /// Take the ports N (MWDB), N+1 (S3) and N+2 (Redis) unless they have flags of their own
    #[arg(long, value_name = "N")]
    port_base: Option<u16>,
    /// Print one line of JSON when everything answers
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave out services, to run others in their place
    #[arg(long, value_name = "SERVICE", value_delimiter = ',', num_args = 1..)]
    without: Vec<ServiceName>,
    /// Use this Redis instead of starting one
    #[arg(long, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    redis_url: Option<String>,
    /// Use this S3 instead of starting one; needs the two keys
    #[arg(long, env = "S3_ENDPOINT", value_name = "URL", hide_env_values = true)]
    s3_endpoint: Option<String>,
    /// Access key for `--s3-endpoint`
    #[arg(long, env = "S3_ACCESS_KEY", value_name = "KEY", hide_env_values = true)]
    s3_access_key: Option<String>,
    /// Secret key for `--s3-endpoint`
    #[arg(long, env = "S3_SECRET_KEY", value_name = "KEY", hide_env_values = true)]
    s3_secret_key: Option<String>,
}

/// What can be left out, by the names of the programs that it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceName {
    #[value(alias = "system")]
    KartonSystem,
    #[value(alias = "classifier")]
    KartonClassifier,
    #[value(alias = "reporter")]
    KartonMwdbReporter,
    #[value(alias = "mwdb")]
    MwdbLite,
}

impl ServiceName {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::KartonSystem => "karton-system",
            Self::KartonClassifier => "karton-classifier",
            Self::KartonMwdbReporter => "karton-mwdb-reporter",
            Self::MwdbLite => "mwdb-lite",
        }
    }
}

/// What is to be started.
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Settings {
    pub(crate) data: PathBuf,
    pub(crate) mwdb_port: u16,
    pub(crate) redis: RedisChoice,
    pub(crate) s3: S3Choice,
    pub(crate) services: Vec<ServiceName>,
}

#[cfg_attr(test, derive(Debug))]
pub(crate) enum RedisChoice {
    Own { port: u16 },
    External { url: String },
}

#[cfg_attr(test, derive(Debug))]
pub(crate) enum S3Choice {
    Own { port: u16 },
    External { endpoint: String, access_key: String, secret_key: String },
}

impl UpArgs {
    pub(crate) fn settings(self) -> Result<Settings, Usage> {
        let base = self.port_base;
        let port = |flag: Option<u16>, offset: u16, default: u16| match (flag, base) {
            (Some(port), _) => Ok(port),
            (None, None) => Ok(default),
            (None, Some(base)) if base > 0 => {
                base.checked_add(offset).ok_or_else(|| Usage(format!("`--port-base {base}` leaves no room for three ports")))
            }
            (None, Some(_)) => Ok(0),
        };
        let redis = match set(self.redis_url) {
            Some(url) => RedisChoice::External { url },
            None => RedisChoice::Own { port: port(self.redis_port, 2, 8379)? },
        };
        let s3 = match (set(self.s3_endpoint), set(self.s3_access_key), set(self.s3_secret_key)) {
            (Some(endpoint), Some(access_key), Some(secret_key)) => {
                S3Choice::External { endpoint: endpoint.trim_end_matches('/').to_owned(), access_key, secret_key }
            }
            (Some(_), _, _) => {
                let missing =
                    "an S3 endpoint is given, so `--s3-access-key` and `--s3-secret-key` (or S3_ACCESS_KEY and S3_SECRET_KEY) are needed";
                return Err(Usage(missing.to_owned()));
            }
            // Keys alone are common in environments and mean nothing here.
            (None, _, _) => S3Choice::Own { port: port(self.s3_port, 1, 8090)? },
        };
        let mut services = ServiceName::value_variants().to_vec();
        services.retain(|service| !self.without.contains(service));
        let mwdb_port = port(self.mwdb_port, 0, 8080)?;
        if mwdb_port == 0 && !services.contains(&ServiceName::MwdbLite) {
            return Err(Usage("without mwdb-lite, `--mwdb-port` says where the MWDB is: it cannot be 0".to_owned()));
        }
        let own_ports = [
            Some(mwdb_port),
            if let RedisChoice::Own { port } = redis { Some(port) } else { None },
            if let S3Choice::Own { port } = s3 { Some(port) } else { None },
        ];
        let mut own_ports: Vec<u16> = own_ports.into_iter().flatten().filter(|&port| port != 0).collect();
        own_ports.sort_unstable();
        if let Some(twice) = own_ports.windows(2).find_map(|pair| (pair[0] == pair[1]).then_some(pair[0])) {
            return Err(Usage(format!("port {twice} is given to two services")));
        }
        Ok(Settings { data: self.data, mwdb_port, redis, s3, services })
    }
}

fn set(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        up: UpArgs,
    }

    fn settings(flags: &[&str]) -> Result<Settings, Usage> {
        let mut args = Args::parse_from([&["up"], flags].concat()).up;
        // What the environment of the test has is no part of it.
        for (flag, value) in [("--redis-url", &mut args.redis_url), ("--s3-endpoint", &mut args.s3_endpoint)] {
            if !flags.contains(&flag) {
                *value = None;
            }
        }
        args.settings()
    }

    fn ports(flags: &[&str]) -> (u16, u16, u16) {
        let settings = settings(flags).expect("usable flags");
        let RedisChoice::Own { port: redis } = settings.redis else { panic!("external Redis") };
        let S3Choice::Own { port: s3 } = settings.s3 else { panic!("external S3") };
        (settings.mwdb_port, s3, redis)
    }

    #[test]
    fn ports_are_those_of_karton_playground_unless_given() {
        assert_eq!(ports(&[]), (8080, 8090, 8379));
        assert_eq!(ports(&["--port-base", "9000", "--s3-port", "0"]), (9000, 0, 9002));
        assert_eq!(ports(&["--port-base", "0"]), (0, 0, 0));
        assert!(settings(&["--port-base", "65535"]).is_err());
        assert!(settings(&["--mwdb-port", "9000", "--s3-port", "9000"]).is_err());
    }

    #[test]
    fn services_are_left_out_by_name_or_alias() {
        let kept = settings(&["--without", "karton-system", "--without", "classifier,reporter"]).expect("usable flags").services;
        assert_eq!(kept, [ServiceName::MwdbLite]);
    }

    #[test]
    fn a_foreign_s3_needs_its_keys() {
        assert!(settings(&["--s3-endpoint", "http://s3:9000", "--s3-access-key", "a", "--s3-secret-key", ""]).is_err());
        let given = settings(&["--s3-endpoint", "http://s3:9000/", "--s3-access-key", "a", "--s3-secret-key", "b"]);
        let S3Choice::External { endpoint, .. } = given.expect("usable flags").s3 else { panic!("own S3") };
        assert_eq!(endpoint, "http://s3:9000");
    }
}
