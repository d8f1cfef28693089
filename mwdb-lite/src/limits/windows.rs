//! Fixed windows: a window opens with the first request and ends when its time is over.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{LARGEST_TABLE, Limit, Limits, make_room};

/// The least that somebody waits who was refused.
const SHORTEST_WAIT: Duration = Duration::from_secs(5);

/// A request, as limits see it.
pub(crate) struct Asked<'a> {
    /// Login or address.
    pub(crate) who: &'a str,
    /// Groups of the caller; none: not logged in.
    pub(crate) groups: Option<Vec<&'a str>>,
    /// The name of the handler.
    pub(crate) resource: &'a str,
    /// In lower case.
    pub(crate) method: &'a str,
}

impl Asked<'_> {
    /// The keys that may limit the request, most specific first.
    fn keys(&self) -> Vec<String> {
        let (resource, method) = (self.resource, self.method);
        let callers = match &self.groups {
            Some(groups) => groups.iter().map(|group| format!("group_{}", group.to_lowercase())).collect(),
            None => vec!["unauthenticated".to_owned()],
        };
        let narrow = callers
            .iter()
            .flat_map(|caller| [format!("{caller}_{resource}_{method}"), format!("{caller}_{resource}"), format!("{caller}_{method}")]);
        let own = [format!("{resource}_{method}"), resource.to_owned(), method.to_owned()];
        narrow.chain(callers.iter().cloned()).chain(own).collect()
    }
}

struct Window {
    ends: Instant,
    count: u64,
}

/// What was counted in windows that are open.
pub(crate) struct Windows {
    limits: Limits,
    open: Mutex<HashMap<(String, String, usize), Window>>,
}

impl Windows {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, open: Mutex::new(HashMap::new()) }
    }

    /// Counts a request under every key that is configured. Gives how long to wait when one is used up.
    pub(crate) fn count(&self, asked: &Asked<'_>) -> Result<(), Duration> {
        self.count_at(asked, Instant::now())
    }

    fn count_at(&self, asked: &Asked<'_>, now: Instant) -> Result<(), Duration> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= LARGEST_TABLE {
            make_room(&mut open, |window| (window.ends > now).then_some((window.count, window.ends)));
        }
        let mut wait = None;
        for key in asked.keys() {
            for (index, limit) in self.limits.get(&key).map(Vec::as_slice).unwrap_or_default().iter().enumerate() {
                let window = open
                    .entry((asked.who.to_owned(), key.clone(), index))
                    .and_modify(|window| {
                        if window.ends <= now {
                            *window = fresh(limit, now);
                        }
                    })
                    .or_insert_with(|| fresh(limit, now));
                window.count = window.count.saturating_add(1);
                if window.count > limit.requests {
                    wait = wait.max(Some(window.ends.saturating_duration_since(now).max(SHORTEST_WAIT)));
                }
            }
        }
        wait.map_or(Ok(()), Err)
    }
}

fn fresh(limit: &Limit, now: Instant) -> Window {
    Window { ends: now + limit.period, count: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::parse;

    fn windows(limits: &[(&str, &str)]) -> Windows {
        Windows::new(limits.iter().map(|(key, text)| ((*key).to_owned(), parse(text).expect("a limit"))).collect())
    }

    fn asked<'a>(who: &'a str, groups: Option<Vec<&'a str>>) -> Asked<'a> {
        Asked { who, groups, resource: "pingresource", method: "get" }
    }

    #[test]
    fn a_window_fills_and_opens_again() {
        let windows = windows(&[("get", "2/10second")]);
        let start = Instant::now();
        let caller = asked("alice", Some(vec!["alice"]));
        assert_eq!(windows.count_at(&caller, start), Ok(()));
        assert_eq!(windows.count_at(&caller, start), Ok(()));
        assert_eq!(windows.count_at(&caller, start), Err(Duration::from_secs(10)));
        assert_eq!(windows.count_at(&caller, start + Duration::from_secs(7)), Err(SHORTEST_WAIT));
        assert_eq!(windows.count_at(&asked("bob", Some(vec![])), start), Ok(()), "each has their own");
        assert_eq!(windows.count_at(&caller, start + Duration::from_secs(10)), Ok(()));
    }

    #[test]
    fn the_narrowest_and_the_widest_key_both_count() {
        for key in [
            "group_team_pingresource_get",
            "group_team_pingresource",
            "group_team_get",
            "group_team",
            "pingresource_get",
            "pingresource",
            "get",
        ] {
            let windows = windows(&[(key, "1/minute")]);
            let caller = asked("alice", Some(vec!["alice", "Team"]));
            assert_eq!(windows.count(&caller), Ok(()), "{key}");
            assert!(windows.count(&caller).is_err(), "{key}");
        }
        for key in ["post", "group_other", "unauthenticated", "otherresource"] {
            let windows = windows(&[(key, "0/minute")]);
            assert_eq!(windows.count(&asked("alice", Some(vec!["team"]))), Ok(()), "{key}");
        }
        assert!(windows(&[("unauthenticated_get", "0/minute")]).count(&asked("10.0.0.1", None)).is_err());
    }
}
