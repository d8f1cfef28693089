//! Connection names: how Redis tells who is online. See Karton protocol §1.2.

use crate::form;

/// The library version that binds and connection names carry: that of the protocol we speak, so that
/// Python and Rust replicas of one identity do not retire each other.
pub const KARTON_VERSION: &str = "5.9.1";

/// A service that is online, as its connection name tells.
///
/// ```
/// use karton_rs::ServiceInfo;
///
/// let info = ServiceInfo::parse("karton.system?karton_version=5.9.1").expect("a service");
/// assert_eq!(info.identity, "karton.system");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ServiceInfo {
    /// Who it is.
    pub identity: String,
    /// Version of its Karton library.
    pub karton_version: String,
    /// Version of the service itself.
    pub service_version: Option<String>,
}

impl ServiceInfo {
    /// A service of this library.
    pub fn new(identity: &str, service_version: Option<&str>) -> Self {
        Self {
            identity: identity.to_owned(),
            karton_version: KARTON_VERSION.to_owned(),
            service_version: service_version.map(str::to_owned),
        }
    }

    /// Reads a connection name; nothing for one that carries no service information.
    pub fn parse(name: &str) -> Option<Self> {
        let (identity, query) = name.split_once('?')?;
        let mut info = Self { identity: identity.to_owned(), karton_version: String::new(), service_version: None };
        for (key, value) in form::pairs(query) {
            match key.as_str() {
                "karton_version" => info.karton_version = value,
                "service_version" => info.service_version = Some(value),
                _ => {}
            }
        }
        (!info.karton_version.is_empty()).then_some(info)
    }

    /// The connection name.
    pub fn to_name(&self) -> String {
        let mut name = format!("{}?karton_version={}", self.identity, form::encode(&self.karton_version));
        if let Some(version) = &self.service_version {
            name.push_str("&service_version=");
            name.push_str(&form::encode(version));
        }
        name
    }
}
