//! What an HTTP answer means. See MWDB API §A1.2.

use std::time::{Duration, SystemTime};

use karton_rs::json::Value;
use reqwest::StatusCode;

use super::error::Problem;

/// This text alone tells a missing route from a missing object.
const NO_ROUTE: &str = "The requested URL was not found on the server";
const MAINTENANCE: &str = "Maintenance underway";

/// Longest text of a server that is passed on.
const LONGEST_MESSAGE: usize = 500;

/// Judges a complete answer.
pub(super) fn judge(status: StatusCode, retry_after: Option<&str>, location: Option<&str>, body: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(body);
    if status.is_success() {
        let text = text.map_err(|_| Problem::NotJson("not UTF-8 text".to_owned()))?;
        return Value::parse(text).map_err(|error| Problem::NotJson(if is_page(text) { "a page".to_owned() } else { error.to_string() }));
    }
    let said = text.ok().and_then(|text| Value::parse(text).ok());
    let said = said.as_ref().and_then(|value| value.get("message")?.as_str());
    let message = said.map_or_else(|| unread(&String::from_utf8_lossy(body)), shortened);
    let number = status.as_u16();
    Err(match number {
        401 => Problem::NotAuthenticated(message),
        403 if said.is_some_and(|said| said.contains(MAINTENANCE)) => Problem::Unavailable { status: number, message },
        404 if said.is_some_and(|said| !said.contains(NO_ROUTE)) => Problem::NotFound(message),
        404 => Problem::EndpointNotFound(message),
        409 => Problem::TypeConflict(message),
        413 => Problem::TooLarge,
        429 => Problem::RateLimited { retry_after: retry_after.and_then(patience) },
        500..=599 => Problem::Unavailable { status: number, message },
        300..=399 => {
            let target = shortened(location.unwrap_or("somewhere else"));
            Problem::Refused {
                status: number,
                message: format!("the server redirects to {target}: set [mwdb] api_url to the final address"),
            }
        }
        _ => Problem::Refused { status: number, message },
    })
}

/// What `Retry-After` asks for: seconds, or a date as proxies send it.
fn patience(text: &str) -> Option<Duration> {
    let text = text.trim();
    let until = |date: SystemTime| date.duration_since(SystemTime::now()).unwrap_or_default();
    text.parse().map(Duration::from_secs).ok().or_else(|| httpdate::parse_http_date(text).ok().map(until))
}

/// An answer without a message. Nobody reads a page in a log.
fn unread(body: &str) -> String {
    if is_page(body) { "it answered with a page".to_owned() } else { shortened(body) }
}

fn is_page(body: &str) -> bool {
    body.trim_start().starts_with('<')
}

/// One line of bounded length, without control characters.
fn shortened(text: &str) -> String {
    let mut line: String = text.chars().take(LONGEST_MESSAGE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST_MESSAGE).is_some() {
        line.push('…');
    }
    let line = line.trim();
    if line.is_empty() { "no message".to_owned() } else { line.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn problem(status: u16, body: &str) -> Problem {
        judge(StatusCode::from_u16(status).unwrap(), None, None, body.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_missing_object_is_told_from_a_missing_route() {
        assert!(matches!(problem(404, r#"{"message": "Object not found"}"#), Problem::NotFound(_)));
        let route = r#"{"message": "The requested URL was not found on the server. If you entered the URL manually..."}"#;
        assert!(matches!(problem(404, route), Problem::EndpointNotFound(_)));
        assert!(matches!(problem(404, "<html>404</html>"), Problem::EndpointNotFound(_)));
    }

    #[test]
    fn maintenance_is_an_outage_and_other_refusals_are_not() {
        assert!(matches!(problem(403, r#"{"message": "Maintenance underway"}"#), Problem::Unavailable { status: 403, .. }));
        assert!(matches!(problem(403, r#"{"message": "You don't have required capability"}"#), Problem::Refused { status: 403, .. }));
        for status in [500, 503, 507] {
            assert!(matches!(problem(status, ""), Problem::Unavailable { .. }), "{status}");
        }
        for page in ["<html>sorry</html>", ""] {
            assert!(matches!(judge(StatusCode::OK, None, None, page.as_bytes()), Err(Problem::NotJson(_))), "{page}");
        }
    }

    #[test]
    fn patience_is_asked_for_in_seconds_or_until_a_date() {
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
        assert!(patience(&soon).is_some_and(|pause| (85..=90).contains(&pause.as_secs())), "{soon}");
        assert_eq!(patience("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!((patience(" 7 "), patience("soon"), patience("-1")), (Some(Duration::from_secs(7)), None, None));
    }

    #[test]
    fn messages_are_one_bounded_line() {
        let Problem::Refused { message, .. } = problem(400, &format!("a\r\nb{}", "x".repeat(10_000))) else { panic!() };
        assert!(message.starts_with("a  bxx") && message.chars().count() == 501, "{message}");
    }
}
