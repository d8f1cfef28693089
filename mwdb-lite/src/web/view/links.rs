//! Addresses of searches, so that what a page shows leads to everything that is like it.
//!
//! The one rule: a value stands in a query as a phrase in which nothing has a meaning of its own. The
//! query language knows wildcards in phrases, too (MWDB API §S3).

use super::recent::results;

/// The list at `path`, narrowed: of what `query` finds there, what has exactly `value` in `field`. Of no query
/// this is [`search`].
pub(crate) fn narrow(path: &str, query: &str, field: &str, value: &str) -> String {
    let condition = format!("{field}:{}", phrase(value));
    // A second click on the same changes nothing.
    if query.is_empty() || query == condition {
        return results(path, &condition);
    }
    if query.ends_with(&format!(") AND {condition}")) {
        return results(path, query);
    }
    results(path, &format!("({query}) AND {condition}"))
}

/// Address of the list at `path` with the objects whose `field` is exactly `value`.
pub(crate) fn search(path: &str, field: &str, value: &str) -> String {
    results(path, &format!("{field}:{}", phrase(value)))
}

/// A value as a phrase.
pub(crate) fn phrase(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for character in value.chars() {
        if matches!(character, '\\' | '"' | '*' | '?') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clicks_in_results_narrow_them() {
        assert_eq!(narrow("/", "", "tag", "a"), "/?query=tag%3A%22a%22");
        assert_eq!(narrow("/", "size:1 OR size:2", "tag", "a"), "/?query=%28size%3A1%20OR%20size%3A2%29%20AND%20tag%3A%22a%22");
        assert_eq!(narrow("/", "tag:\"a\"", "tag", "a"), "/?query=tag%3A%22a%22");
        let twice = "(size:1) AND tag:\"a\"";
        assert_eq!(narrow("/", twice, "tag", "a"), results("/", twice));
    }

    #[test]
    fn values_are_quoted_for_the_query_and_for_the_address() {
        assert_eq!(search("/", "tag", "feed:mail"), "/?query=tag%3A%22feed%3Amail%22");
        assert_eq!(phrase(r#"a"b\c*d?"#), r#""a\"b\\c\*d\?""#);
        assert_eq!(search("/blobs", "type", "a\" OR tag:\"b"), "/blobs?query=type%3A%22a%5C%22%20OR%20tag%3A%5C%22b%22");
    }
}
