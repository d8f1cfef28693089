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

/// A parameter of the query string, if it is there. (Rocket takes an `Option` that is given twice for none.)
pub(crate) struct Query<'r>(pub(crate) Option<&'r str>);

#[rocket::async_trait]
impl<'r> FromForm<'r> for Query<'r> {
    type Context = Option<&'r str>;

    fn init(_: form::Options) -> Self::Context {
        None
    }

    fn push_value(context: &mut Self::Context, field: ValueField<'r>) {
        context.get_or_insert(field.value);
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

/// `12`, ` -1 `, `+1_000`: blanks around, a sign, single underscores between digits.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (digits, negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (text.strip_prefix('+').unwrap_or(text), false),
    };
    let fits = digits.split('_').all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    // Digits alone are too large a number, if none.
    let number = fits.then(|| digits.replace('_', "").parse().unwrap_or(i64::MAX))?;
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::integer;

    #[test]
    fn numbers_are_written_as_in_python() {
        for (text, expected) in
            [("12", 12), (" 7\t", 7), ("-1", -1), ("+2", 2), ("1_0", 10), ("007", 7), ("99999999999999999999", i64::MAX)]
        {
            assert_eq!(integer(text), Some(expected), "{text}");
        }
        for bad in ["", " ", "x", "1.0", "_1", "1_", "1__0", "--1", "+ 1", "0x1", "1e3"] {
            assert_eq!(integer(bad), None, "{bad}");
        }
    }
}
