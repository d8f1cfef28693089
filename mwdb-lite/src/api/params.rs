//! Path parameters. One that does not fit makes the route unknown: 404, never 422 (MWDB API §A1.3).

use rocket::request::FromParam;

use crate::objects::Kind;

/// The type word of a path: `file`, `config`, `blob`, or `object` for any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Type(pub(crate) Option<Kind>);

impl Type {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "object" => Some(Self(None)),
            "file" => Some(Self(Some(Kind::File))),
            "config" => Some(Self(Some(Kind::Config))),
            "blob" => Some(Self(Some(Kind::Blob))),
            _ => None,
        }
    }

    /// The word in the path.
    pub(crate) fn word(self) -> &'static str {
        match self.0 {
            None => "object",
            Some(Kind::File) => "file",
            Some(Kind::Config) => "config",
            Some(Kind::Blob) => "blob",
        }
    }
}

impl<'a> FromParam<'a> for Type {
    type Error = &'a str;

    fn from_param(param: &'a str) -> Result<Self, &'a str> {
        Self::parse(param).ok_or(param)
    }
}

/// What names an object in a path, in lower case: `root`, or 32 to 128 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hash(pub(crate) String);

impl Hash {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let fits = (32..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        (fits || text == "root").then(|| Self(text.to_ascii_lowercase()))
    }
}

impl<'a> FromParam<'a> for Hash {
    type Error = &'a str;

    fn from_param(param: &'a str) -> Result<Self, &'a str> {
        Self::parse(param).ok_or(param)
    }
}
