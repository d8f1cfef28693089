//! Connection names: how Redis tells who is online. See Karton protocol §1.2.

use std::fmt::Write as _;

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
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let value = decode(value);
            if value.is_empty() {
                continue;
            }
            match decode(key).as_str() {
                "karton_version" => info.karton_version = value,
                "service_version" => info.service_version = Some(value),
                _ => {}
            }
        }
        (!info.karton_version.is_empty()).then_some(info)
    }

    /// The connection name.
    pub fn to_name(&self) -> String {
        let mut name = format!("{}?karton_version={}", self.identity, encode(&self.karton_version));
        if let Some(version) = &self.service_version {
            name.push_str("&service_version=");
            name.push_str(&encode(version));
        }
        name
    }
}

/// The form encoding of Python's `urlencode`.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b' ' => out.push('+'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    })
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let escaped = bytes.get(index + 1..index + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (bytes[index], escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                index += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
