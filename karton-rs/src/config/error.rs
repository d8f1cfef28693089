//! What can be wrong with a configuration; every message names the file, or the section and key.

/// A configuration that cannot be used.
///
/// ```
/// use karton_rs::Config;
///
/// let error = Config::from_parts(&[("karton.ini", "[redis]\nhost = localhost\n")], []).unwrap_err();
/// assert_eq!(error.code(), "missing-s3-section");
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    kind: ConfigErrorKind,
    message: String,
}

impl ConfigError {
    pub(crate) fn new(kind: ConfigErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What a service cannot use of its own part of the configuration, named with [`Config::place`](crate::Config::place).
    pub fn unusable(message: impl Into<String>) -> Self {
        Self::new(ConfigErrorKind::Unusable, message)
    }

    /// What is wrong, to decide on.
    pub fn kind(&self) -> ConfigErrorKind {
        self.kind
    }

    /// The short name of what is wrong, as `missing-s3-section`.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The kinds of [`ConfigError`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum ConfigErrorKind {
            $($(#[$doc])* $name,)*
        }

        impl ConfigErrorKind {
            fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

kinds! {
    /// A file that was named does not exist.
    FileNotFound = "config-file-not-found",
    /// A file exists and cannot be read.
    Unreadable = "config-file-unreadable",
    /// A line is neither section, option, comment nor continuation.
    Parse = "parse",
    /// An option stands before the first section.
    NoSectionHeader = "no-section-header",
    /// A section appears twice in one file.
    DuplicateSection = "duplicate-section",
    /// An option appears twice in one section of one file.
    DuplicateOption = "duplicate-option",
    /// A `%` that is neither `%%` nor `%(name)s`.
    InterpolationSyntax = "interpolation-syntax",
    /// `%(name)s` of an option that is not set.
    InterpolationMissingOption = "interpolation-missing-option",
    /// `%(name)s` that leads back to itself.
    InterpolationDepth = "interpolation-depth",
    /// No `[s3]` section in any source.
    MissingS3Section = "missing-s3-section",
    /// No `[redis]` section in any source.
    MissingRedisSection = "missing-redis-section",
    /// The old `[minio]` section has no `address`.
    MinioWithoutAddress = "minio-without-address",
    /// Neither `[redis] host` nor `url`.
    RedisWithoutHost = "redis-without-host",
    /// `[redis] url` cannot be understood.
    BadRedisUrl = "bad-redis-url",
    /// No `[s3] address`.
    S3WithoutEndpoint = "s3-no-endpoint",
    /// No `[s3] access_key` or `secret_key`.
    S3WithoutKeys = "s3-no-keys",
    /// No `[s3] bucket`, where one is needed.
    S3WithoutBucket = "s3-no-bucket",
    /// A value that must be a whole number is none.
    BadInteger = "bad-integer",
    /// A value that must be a boolean is none.
    BadBoolean = "bad-boolean",
    /// `[logging] level` is no level.
    UnknownLogLevel = "unknown-log-level",
    /// An identity holds a character that Karton or Redis refuses.
    BadIdentity = "bad-identity",
    /// A section or key that a service needs is missing, or its value is unusable.
    Unusable = "unusable",
}
