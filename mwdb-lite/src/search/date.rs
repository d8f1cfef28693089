//! Dates as a query writes them. See MWDB search §S5.2.
//!
//! Pure: the present moment is handed in. A date stands for an interval, from its first moment to
//! the first one after it.

use time::{Date, Duration, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// Microseconds since 1970: where a date begins, and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// `YYYY-MM-DD`, with ` HH:MM` or ` HH:MM:SS` behind it. All but the year may have one digit.
pub(crate) fn absolute(text: &str) -> Option<Interval> {
    let (date, time) = text.split_once(char::is_whitespace).map_or((text, None), |(date, time)| (date, Some(time.trim_start())));
    let [year, month, day] = numbers(date, '-')?;
    if date.find('-') != Some(4) || year == 0 {
        return None;
    }
    let date =
        Date::from_calendar_date(i32::try_from(year).ok()?, Month::try_from(u8::try_from(month).ok()?).ok()?, u8::try_from(day).ok()?);
    let (time, length) = match time {
        None => (Time::MIDNIGHT, Duration::DAY),
        Some(time) => {
            let (hour, minute, second, length) = if let Some([hour, minute]) = numbers(time, ':') {
                (hour, minute, 0, Duration::MINUTE)
            } else {
                let [hour, minute, second] = numbers(time, ':')?;
                (hour, minute, second, Duration::SECOND)
            };
            let byte = |number: u32| u8::try_from(number).ok();
            (Time::from_hms(byte(hour)?, byte(minute)?, byte(second)?).ok()?, length)
        }
    };
    let start = PrimitiveDateTime::new(date.ok()?, time).assume_utc();
    let start = i64::try_from(start.unix_timestamp_nanos() / 1000).ok()?;
    Some(Interval { start, end: start + i64::try_from(length.whole_microseconds()).ok()? })
}

/// As many numbers, with `separator` between them, of one or two digits, or the four of a year.
fn numbers<const N: usize>(text: &str, separator: char) -> Option<[u32; N]> {
    let mut parts = text.split(separator);
    let mut found = [0; N];
    for place in &mut found {
        let part = parts.next().filter(|part| matches!(part.len(), 1 | 2 | 4) && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *place = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// The moment `1y2m`, `2h` and the like before `now`. Months and years are those of the calendar.
pub(crate) fn relative(text: &str, now: OffsetDateTime) -> Option<Interval> {
    let (mut years, mut months, mut span) = (None, None, Duration::ZERO);
    let mut seen = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|character: char| character.is_ascii_digit()).len();
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].chars().next()?;
        rest = &rest[digits + unit.len_utf8()..];
        // `m` are months and `M` are minutes; the others are the same in both cases.
        let unit = if matches!(unit, 'm' | 'M') { unit } else { unit.to_ascii_lowercase() };
        if seen.contains(&unit) {
            return None;
        }
        seen.push(unit);
        let seconds = match unit {
            'y' => {
                years = Some(number);
                continue;
            }
            'm' => {
                months = Some(number);
                continue;
            }
            'w' => 7 * 86_400,
            'd' => 86_400,
            'h' => 3_600,
            'M' => 60,
            's' => 1,
            _ => return None,
        };
        span = span.checked_add(Duration::seconds(number.checked_mul(seconds)?))?;
    }
    if seen.is_empty() {
        return None;
    }
    let months = years.unwrap_or(0).checked_mul(12)?.checked_add(months.unwrap_or(0))?;
    let moment = months_before(now, months)?.checked_sub(span)?;
    let moment = i64::try_from(moment.unix_timestamp_nanos() / 1000).ok()?;
    Some(Interval { start: moment, end: moment })
}

fn months_before(moment: OffsetDateTime, months: i64) -> Option<OffsetDateTime> {
    let (year, month, day) = moment.to_calendar_date();
    let count = i64::from(year) * 12 + i64::from(u8::from(month)) - 1;
    let count = count.checked_sub(months)?;
    let year = i32::try_from(count.div_euclid(12)).ok().filter(|year| (1..=9999).contains(year))?;
    let month = Month::try_from(u8::try_from(count.rem_euclid(12) + 1).ok()?).ok()?;
    // The 31st of a shorter month is its last day.
    let date = Date::from_calendar_date(year, month, day.min(month.length(year))).ok()?;
    Some(moment.replace_date(date))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn dates_stand_for_a_day_a_minute_or_a_second() {
        let start = 1_704_067_200_000_000;
        assert_eq!(absolute("2024-01-01"), Some(Interval { start, end: start + 24 * HOUR }));
        assert_eq!(absolute("2024-01-01 01:00"), Some(Interval { start: start + HOUR, end: start + HOUR + 60_000_000 }));
        assert_eq!(absolute("2024-01-01 01:00:00"), Some(Interval { start: start + HOUR, end: start + HOUR + 1_000_000 }));
        for bad in
            ["", "2024", "24-01-01", "02024-01-01", "2024-001-01", "2024-01-2024", "2024-02-30", "2024-01-01T01:00", "*", "0000-01-01"]
        {
            assert_eq!(absolute(bad), None, "{bad}");
        }
        for bad in ["2024-01-01 25:00", "2024-01-01 01", "2024-01-01 01:00:60", "2024-01-01 ", " 2024-01-01", "2024-01-01 01:001"] {
            assert_eq!(absolute(bad), None, "{bad}");
        }
        for (short, long) in [
            ("2024-1-1", "2024-01-01"),
            ("2024-1-01 1:0", "2024-01-01 01:00"),
            ("2024-01-1 1:2:3", "2024-01-01 01:02:03"),
            ("2024-01-01 \t 01:00", "2024-01-01 01:00"),
        ] {
            assert_eq!(absolute(short), absolute(long), "{short}");
            assert!(absolute(short).is_some(), "{short}");
        }
        assert!(absolute("9999-12-31").is_some() && absolute("0001-01-01").is_some());
    }

    #[test]
    fn spans_reach_back_from_now() {
        let now = datetime!(2024-03-31 12:00:00 UTC);
        let back = |text: &str| {
            relative(text, now).map(|interval| OffsetDateTime::from_unix_timestamp(interval.start / 1_000_000).expect("a moment"))
        };
        let cases = [
            ("2h", datetime!(2024-03-31 10:00:00 UTC)),
            ("1m", datetime!(2024-02-29 12:00:00 UTC)),
            ("1M", datetime!(2024-03-31 11:59:00 UTC)),
            ("1y1m", datetime!(2023-02-28 12:00:00 UTC)),
            ("1Y", datetime!(2023-03-31 12:00:00 UTC)),
            ("1w2D3H4M5S", datetime!(2024-03-22 08:55:55 UTC)),
            ("14m", datetime!(2023-01-31 12:00:00 UTC)),
        ];
        for (text, expected) in cases {
            assert_eq!(back(text), Some(expected), "{text}");
        }
        for bad in ["", "1", "h", "s1", "1x", "1h1h", "1y1Y", "1h ", "99999y", "99999999999999999999s", "9223372036854775807w", "-1h"] {
            assert_eq!(relative(bad, now), None, "{bad}");
        }
    }
}
