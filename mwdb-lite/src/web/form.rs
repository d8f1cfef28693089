//! Bodies of forms.
//!
//! Read here and not by Rocket's forms: a comment may be longer than the 8 KiB that those give a field,
//! and a missing field is for the rules to judge, with a page that says so.
//!
//! The one rule: no field holds NUL. The API refuses it in every text that a form sends, and no form may
//! forget to.

use rocket::{
    Request,
    data::{Data, FromData, Outcome},
    http::{RawStr, Status},
};

use crate::{
    auth::{self, GuardFailure},
    error::ApiError,
    intake::{self, LARGEST_ANONYMOUS},
    objects::text::HAS_NUL,
};

/// Largest form: an attribute may hold some hundred KiB, and encoding may triple it.
const LARGEST: u64 = 4 << 20;

/// Most fields: each takes many times the byte that names it.
const MOST_FIELDS: usize = 10_000;

/// The fields of a form, in order.
#[derive(Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    fn parse(body: &str) -> Self {
        let decode = |text: &str| RawStr::new(text).url_decode_lossy().into_owned();
        Self(
            body.split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    fn has_nul(&self) -> bool {
        self.0.iter().any(|(_, value)| value.contains('\0'))
    }

    /// The first field of this name; empty when there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// All fields of this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Text of several lines, without the carriage returns that forms add.
    pub(super) fn lines(&self, name: &str) -> String {
        self.text(name).replace("\r\n", "\n")
    }

    /// Whether a box is ticked.
    pub(super) fn ticked(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }
}

#[rocket::async_trait]
impl<'r> FromData<'r> for Form {
    type Error = ();

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        let largest = if auth::known(request).is_some() { LARGEST } else { LARGEST_ANONYMOUS };
        let intake = match intake::read(data, largest).await {
            Ok(intake) => intake,
            Err(error) => return refuse(request, error),
        };
        let Ok(body) = std::str::from_utf8(&intake.bytes) else { return Outcome::Error((Status::BadRequest, ())) };
        if body.split('&').nth(MOST_FIELDS).is_some() {
            return refuse(request, ApiError::TooLarge);
        }
        let form = Self::parse(body);
        if form.has_nul() { refuse(request, ApiError::BadRequest(HAS_NUL.to_owned())) } else { Outcome::Success(form) }
    }
}

/// Leaves a page that says why.
fn refuse<'r>(request: &'r Request<'_>, error: ApiError) -> Outcome<'r, Form> {
    let status = error.status();
    match GuardFailure::leave::<Form>(request, error) {
        rocket::request::Outcome::Error(refusal) => Outcome::Error(refusal),
        _ => Outcome::Error((status, ())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded() {
        let form = Form::parse("a=1+2%26&b=%0D%0Ax%0d%0A&c&a=two&=&&d=%ff");
        assert_eq!(form.text("a"), "1 2&");
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1 2&", "two"]);
        assert_eq!(form.lines("b"), "\nx\n");
        assert!(!form.ticked("c"));
        assert!(form.ticked("d"));
        assert_eq!(form.text("missing"), "");
    }
}
