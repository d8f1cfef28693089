//! Parameters of paths and of query strings.
//!
//! One of a path that does not fit makes the route unknown: 404, never 422 (MWDB API §A1.3). Of one
//! that a query string holds more than once the first counts.

use rocket::{
    form::{self, DataField, FromForm, ValueField},
    request::FromParam,
};

use super::body::{NOT_BOOLEAN, boolean_text};
use crate::{
    error::{ApiError, ApiResult},
    numbers::integer,
    objects::Kind,
};

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

/// The id of a row in a path: digits alone. One that no row can have is of none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowId(pub(crate) i64);

impl RowId {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        fits.then(|| Self(text.parse().unwrap_or(i64::MAX)))
    }
}

impl<'a> FromParam<'a> for RowId {
    type Error = &'a str;

    fn from_param(param: &'a str) -> Result<Self, &'a str> {
        Self::parse(param).ok_or(param)
    }
}

/// A parameter of the query string, if it is there. (Rocket takes an `Option` that is given twice for none.)
pub(crate) struct Query<'r>(pub(crate) Option<&'r str>);

#[rocket::async_trait]
impl<'r> FromForm<'r> for Query<'r> {
    type Context = Option<&'r str>;

    fn init(_: form::Options) -> Self::Context {
        None
    }

    fn push_value(context: &mut Self::Context, field: ValueField<'r>) {
        // To Rocket `tag[]` and `tag.x` are parts of `tag`. They are other names.
        if !field.name.source().as_str().contains(['.', '[', ':']) {
            context.get_or_insert(field.value);
        }
    }

    /// Query strings hold no data.
    async fn push_data(_: &mut Self::Context, _: DataField<'r, '_>) {}

    fn finalize(context: Self::Context) -> form::Result<'r, Self> {
        Ok(Self(context))
    }
}

impl Query<'_> {
    /// The text; nothing when it is absent or empty.
    pub(crate) fn filled(&self) -> Option<String> {
        self.0.filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// A whole number in the notation of Python, as near as 64 bits come to it.
    pub(crate) fn integer(&self, name: &str) -> ApiResult<Option<i64>> {
        let number = |text| integer(text).ok_or_else(|| ApiError::invalid(name, "Not a valid integer."));
        self.0.map(number).transpose()
    }

    /// A number of items.
    pub(crate) fn count(&self, name: &str) -> ApiResult<Option<u64>> {
        let count = |number| u64::try_from(number).map_err(|_| ApiError::invalid(name, "Must be greater than or equal to 0."));
        self.integer(name)?.map(count).transpose()
    }

    pub(crate) fn boolean(&self, name: &str) -> ApiResult<Option<bool>> {
        let known = |text| boolean_text(text).ok_or_else(|| ApiError::invalid(name, NOT_BOOLEAN));
        self.0.map(known).transpose()
    }
}
