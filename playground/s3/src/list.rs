//! Pages of a bucket's keys.
//!
//! Pure. The rule: a page costs what it returns, not what the bucket holds, so a common prefix
//! is skipped in one step however many keys it stands for.

use std::collections::BTreeSet;
use std::ops::Bound;

/// What to list; `after` is a key or common prefix that was listed already.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Query<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) delimiter: Option<&'a str>,
    pub(crate) after: Option<&'a str>,
    pub(crate) limit: usize,
}

/// The answer, in the order of the keys; `next` is where the following page starts, if there is one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) keys: Vec<String>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) next: Option<String>,
}

/// One page of `keys`.
pub(crate) fn page(keys: &BTreeSet<String>, query: Query<'_>) -> Page {
    let mut page = Page::default();
    if query.limit == 0 {
        return page;
    }
    let after = query.after.unwrap_or_default();
    let mut last = String::new();
    let mut from = if after >= query.prefix && query.after.is_some() {
        Bound::Excluded(after.to_owned())
    } else {
        Bound::Included(query.prefix.to_owned())
    };
    while let Some(key) = keys.range::<String, _>((from.as_ref(), Bound::Unbounded)).next() {
        let Some(rest) = key.strip_prefix(query.prefix) else { break };
        let group = query
            .delimiter
            .filter(|delimiter| !delimiter.is_empty())
            .and_then(|delimiter| rest.find(delimiter).map(|at| &key[..query.prefix.len() + at + delimiter.len()]));
        // A group that was listed before, or lies before the start, is passed over as a whole.
        let listed = group.is_some_and(|group| query.after.is_some() && group <= after);
        if !listed {
            if page.keys.len() + page.prefixes.len() == query.limit {
                page.next = Some(last);
                break;
            }
            group.unwrap_or(key).clone_into(&mut last);
            if group.is_some() {
                page.prefixes.push(last.clone());
            } else {
                page.keys.push(last.clone());
            }
        }
        // No key sorts after the last code point: this bound lies behind all keys of the group.
        from = Bound::Excluded(group.map_or_else(|| key.clone(), |group| format!("{group}{}", char::MAX)));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|&key| key.to_owned()).collect()
    }

    /// All pages of the query, one after the other.
    fn walk(keys: &BTreeSet<String>, query: Query<'_>) -> Vec<(Vec<String>, Vec<String>)> {
        let mut pages = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let got = page(keys, Query { after: token.as_deref(), ..query });
            pages.push((got.keys, got.prefixes));
            match got.next {
                Some(next) => token = Some(next),
                None => return pages,
            }
        }
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let keys = keys(&["a", "b", "c", "d", "e"]);
        let pages = walk(&keys, Query { limit: 2, ..Query::default() });
        let pages: Vec<_> = pages.into_iter().map(|(keys, _)| keys.join("")).collect();
        assert_eq!(pages, ["ab", "cd", "e"]);
    }

    #[test]
    fn a_full_last_page_is_not_truncated() {
        let got = page(&keys(&["a", "b"]), Query { limit: 2, ..Query::default() });
        assert_eq!(got.next, None);
    }

    #[test]
    fn keys_with_the_delimiter_become_one_prefix() {
        let keys = keys(&["a/1", "a/2", "b", "c/1", "c/2/3", "d"]);
        let got = page(&keys, Query { delimiter: Some("/"), limit: 10, ..Query::default() });
        assert_eq!((got.keys.join(" "), got.prefixes.join(" ")), ("b d".to_owned(), "a/ c/".to_owned()));
        let pages = walk(&keys, Query { delimiter: Some("/"), limit: 1, ..Query::default() });
        assert_eq!(pages.len(), 4);
    }

    #[test]
    fn a_prefix_narrows_and_a_start_inside_a_group_skips_the_group() {
        let keys = keys(&["a/1", "a/2", "ab", "b"]);
        let got = page(&keys, Query { prefix: "a", limit: 10, ..Query::default() });
        assert_eq!(got.keys.join(" "), "a/1 a/2 ab");
        let got = page(&keys, Query { delimiter: Some("/"), after: Some("a/1"), limit: 10, ..Query::default() });
        assert_eq!((got.keys.join(" "), got.prefixes.is_empty()), ("ab b".to_owned(), true));
        let got = page(&keys, Query { prefix: "b", after: Some("a/1"), limit: 10, ..Query::default() });
        assert_eq!(got.keys.join(" "), "b");
    }

    #[test]
    fn no_limit_means_nothing() {
        assert_eq!(page(&keys(&["a"]), Query::default()), Page::default());
    }
}
