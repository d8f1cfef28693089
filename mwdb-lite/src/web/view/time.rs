//! Times as a page shows them: UTC, with a hint how long ago that was.

use askama::{Template, filters::HtmlSafe};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

const SHOWN: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
const MACHINE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// A moment and what to say of it.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<time datetime="{{ machine }}" title="{{ text }} UTC"><span class=at>{{ text }}</span> <span class=ago>{{ ago }}</span></time>"#
)]
pub(crate) struct Moment {
    machine: String,
    text: String,
    ago: String,
    recent: bool,
}

/// Less than this ago is recent.
const RECENT: time::Duration = time::Duration::hours(72);

impl HtmlSafe for Moment {}

/// How long ago it was does not count: that changes by itself.
impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        (&self.machine, &self.text) == (&other.machine, &other.text)
    }
}

impl Moment {
    /// `micros` since 1970 in UTC, seen from now.
    pub(crate) fn new(micros: i64) -> Self {
        Self::seen_from(micros, OffsetDateTime::now_utc())
    }

    fn seen_from(micros: i64, now: OffsetDateTime) -> Self {
        let Ok(moment) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000) else {
            return Self { machine: String::new(), text: "unknown".to_owned(), ago: String::new(), recent: false };
        };
        let format = |items| moment.format(items).unwrap_or_default();
        Self { machine: format(MACHINE), text: format(SHOWN), ago: ago((now - moment).whole_seconds()), recent: now - moment < RECENT }
    }

    /// Whether it was in the last three days.
    pub(crate) fn is_recent(&self) -> bool {
        self.recent
    }
}

/// Rough distance in the largest fitting unit. A little ahead of us is a clock that runs fast.
fn ago(seconds: i64) -> String {
    const UNITS: [(i64, &str); 6] = [(31_557_600, "y"), (2_629_800, "mo"), (86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let distance = seconds.abs();
    if distance < 5 || (-120..0).contains(&seconds) {
        return "just now".to_owned();
    }
    let (length, unit) = UNITS.into_iter().find(|(length, _)| distance >= *length).unwrap_or((1, "s"));
    if seconds < 0 { format!("in {} {unit}", distance / length) } else { format!("{} {unit} ago", distance / length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_names_the_largest_unit() {
        let cases = [
            (0, "just now"),
            (-60, "just now"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (7_199, "1 h ago"),
            (200_000, "2 d ago"),
            (40_000_000, "1 y ago"),
            (-7_200, "in 2 h"),
        ];
        for (seconds, text) in cases {
            assert_eq!(ago(seconds), text);
        }
    }

    #[test]
    fn a_moment_shows_utc() {
        let now = OffsetDateTime::from_unix_timestamp(1_795_500_100).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let html = Moment::seen_from(1_795_500_055_802_041, now).to_string();
        assert_eq!(
            html,
            r#"<time datetime="2026-11-24T06:00:55Z" title="2026-11-24 06:00:55 UTC"><span class=at>2026-11-24 06:00:55</span> <span class=ago>44 s ago</span></time>"#
        );
        assert!(Moment::seen_from(i64::MAX, now).to_string().contains("unknown"));
        let hours_ago = |hours: i64| Moment::seen_from((1_795_500_100 - hours * 3600) * 1_000_000, now).is_recent();
        assert_eq!((hours_ago(0), hours_ago(71), hours_ago(72)), (true, true, false));
    }
}
