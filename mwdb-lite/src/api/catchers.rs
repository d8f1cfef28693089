//! Answers for requests that no handler took: unknown routes, wrong methods, failed guards.
//!
//! Rocket answers 404 for a wrong method and 422 for a parameter that does not fit; clients need 405
//! for the first and the 404 of an unknown route for the second (MWDB API §A1.2, §A9 item 21). The
//! routes themselves are the table this is decided by. A dynamic segment is judged by its name:
//! `<kind>` is a type word, `<hash>`, `<parent>` and `<child>` are hashes, `<id>` is a number.

use std::collections::BTreeSet;

use rocket::{
    Catcher, Data, Request, Response,
    fairing::{Fairing, Info, Kind},
    http::{ContentType, Method, Status, uri::Origin},
    response::Responder,
};

use super::params::{Hash, RowId, Type};
use crate::{auth::GuardFailure, error::ApiError};

pub(crate) fn catchers() -> Vec<Catcher> {
    rocket::catchers![caught]
}

/// The answer to a request that no handler took.
struct Caught {
    error: ApiError,
    /// The methods of the route: the whole answer to `OPTIONS`, a header beside 405.
    allow: Option<String>,
    success: bool,
}

#[rocket::catch(default)]
fn caught(status: Status, request: &Request<'_>) -> Caught {
    let refuse = |error| Caught { error, allow: None, success: false };
    if let Some(error) = GuardFailure::take(request) {
        return refuse(error);
    }
    match status.code {
        404 | 405 | 422 => unrouted(request, Some(request.method())),
        // Rocket knows some methods by name and asks no route about others, such as PROPFIND. What it takes for no address
        // has none here.
        400 if request.route().is_none() && request.uri().path() != "/" => unrouted(request, None),
        413 => refuse(ApiError::TooLarge),
        400..=499 => refuse(ApiError::BadRequest(status.reason_lossy().to_owned())),
        _ => refuse(anyhow::anyhow!("the server gave up with status {status}").into()),
    }
}

/// `method` is nothing for one that no route can have.
fn unrouted(request: &Request<'_>, method: Option<Method>) -> Caught {
    let path = request.uri().path();
    let mut allowed: BTreeSet<&str> =
        request.rocket().routes().filter(|route| fits(route.uri.path(), path.as_str())).map(|route| route.method.as_str()).collect();
    // A route of this method that fits and did not answer has judged a parameter by its own rules.
    let known = !allowed.is_empty() && method.is_none_or(|method| !allowed.contains(method.as_str()));
    allowed.insert(Method::Options.as_str());
    Caught {
        error: if known { ApiError::MethodNotAllowed } else { ApiError::NoRoute },
        allow: known.then(|| allowed.into_iter().collect::<Vec<_>>().join(", ")),
        success: known && method == Some(Method::Options),
    }
}

/// Whether a path is one that a route of this pattern takes.
pub(super) fn fits(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    for pattern in pattern.split('/') {
        let Some(segment) = segments.next() else { return false };
        let Some(name) = pattern.strip_prefix('<').and_then(|pattern| pattern.strip_suffix('>')) else {
            if pattern != segment {
                return false;
            }
            continue;
        };
        // A page or file of the web interface is no API route.
        if name.ends_with("..") {
            return false;
        }
        let valid = match name {
            "kind" => Type::parse(segment).is_some(),
            "hash" | "parent" | "child" => Hash::parse(segment).is_some(),
            "id" => RowId::parse(segment).is_some(),
            _ => !segment.is_empty(),
        };
        if !valid {
            return false;
        }
    }
    segments.next().is_none()
}

impl<'r> Responder<'r, 'static> for Caught {
    fn respond_to(self, request: &'r Request<'_>) -> rocket::response::Result<'static> {
        let mut response = if self.success {
            Response::build().status(Status::Ok).header(ContentType::HTML).sized_body(0, std::io::Cursor::new("")).finalize()
        } else {
            self.error.respond_to(request)?
        };
        if let Some(allow) = self.allow {
            response.set_raw_header("Allow", allow);
        }
        Ok(response)
    }
}

/// Rocket serves `HEAD` by the `GET` route and `/ping/` as `/ping`; the API does neither. It compares
/// paths as they are written; the API as they are meant.
pub(crate) struct Strict;

#[rocket::async_trait]
impl Fairing for Strict {
    fn info(&self) -> Info {
        Info { name: "no HEAD, no trailing slash and one spelling below /api", kind: Kind::Request }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        if !request.uri().path().as_str().starts_with("/api/") {
            return;
        }
        if let Some(path) = meant(request.uri().path().as_str()) {
            let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
            // It was an address before, and consists of the same signs.
            if let Ok(uri) = Origin::parse_owned(format!("{path}{query}")) {
                request.set_uri(uri);
            }
        }
        let path = request.uri().path();
        if request.method() == Method::Head || path.as_str().ends_with('/') {
            // No route has this method, so the catcher decides between 404 and 405.
            request.set_method(Method::Trace);
        }
    }
}

/// The path in its one spelling, when it is written in another: escapes of slashes, letters, digits and
/// `-._~` stand for these, and slashes in a row for one. Other escapes are left to who reads the segment.
fn meant(path: &str) -> Option<String> {
    if !path.contains('%') && !path.contains("//") {
        return None;
    }
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let escaped = rest.strip_prefix('%').and_then(|after| after.get(..2)).and_then(|code| u8::from_str_radix(code, 16).ok());
        let known = escaped.map(char::from).filter(|sign| sign.is_ascii_alphanumeric() || "/-._~".contains(*sign));
        let (sign, length) = known.map_or((first, first.len_utf8()), |sign| (sign, 3));
        rest = &rest[length..];
        if sign != '/' || !plain.ends_with('/') {
            plain.push(sign);
        }
    }
    Some(plain)
}
