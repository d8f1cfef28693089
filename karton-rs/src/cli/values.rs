//! What stands on the command line: headers, payloads, durations, rates.
//!
//! The one rule: what cannot be read is a mistake of usage, told by clap with the flag's name.

use std::time::Duration;

use crate::{
    json::{Map, Value, python_text},
    task::TaskState,
};

/// `NAME=TEXT`, or `NAME:=JSON`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) value: Value,
}

/// A header: text, unless `:=` says that JSON follows.
pub(super) fn header(argument: &str) -> Result<Entry, String> {
    let (name, value) = argument.split_once('=').ok_or("must be NAME=TEXT or NAME:=JSON")?;
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => (name, Value::parse(value).map_err(|error| format!("`{value}` is not JSON: {error}"))?),
        None => (name, value.into()),
    };
    entry(name, value)
}

/// A payload entry: JSON when it is JSON, text otherwise; `:=` insists on JSON.
pub(super) fn payload(argument: &str) -> Result<Entry, String> {
    let (name, value) = argument.split_once('=').ok_or("must be NAME=JSON or NAME=TEXT")?;
    match name.strip_suffix(':') {
        Some(_) => header(argument),
        None => entry(name, Value::parse(value).unwrap_or_else(|_| value.into())),
    }
}

fn entry(name: &str, value: Value) -> Result<Entry, String> {
    if name.is_empty() { Err("has no name before the `=`".to_owned()) } else { Ok(Entry { name: name.to_owned(), value }) }
}

/// A header to look for: `NAME` alone asks whether it is there.
#[derive(Debug, Clone)]
pub(super) struct HeaderTest {
    name: String,
    wanted: Option<Value>,
}

impl HeaderTest {
    pub(super) fn holds(&self, headers: &Map) -> bool {
        let Some(value) = headers.get(&self.name) else { return false };
        self.wanted.as_ref().is_none_or(|wanted| match wanted {
            Value::String(text) => python_text(value) == *text,
            wanted => value == wanted,
        })
    }
}

pub(super) fn header_test(argument: &str) -> Result<HeaderTest, String> {
    if argument.contains('=') {
        return header(argument).map(|Entry { name, value }| HeaderTest { name, wanted: Some(value) });
    }
    if argument.is_empty() { Err("names no header".to_owned()) } else { Ok(HeaderTest { name: argument.to_owned(), wanted: None }) }
}

/// `NAME=PATH`.
pub(super) fn file(argument: &str) -> Result<(String, std::path::PathBuf), String> {
    match argument.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), path.into())),
        _ => Err("must be NAME=PATH".to_owned()),
    }
}

/// A status in any case.
pub(super) fn status(argument: &str) -> Result<TaskState, String> {
    let found = TaskState::ALL.iter().find(|status| status.as_str().eq_ignore_ascii_case(argument));
    let words = || TaskState::ALL.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(", ");
    found.copied().ok_or_else(|| format!("not one of {}", words()))
}

/// So many of something.
pub(super) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `90`, `90s`, `10m`, `2h`, `3d`; `0.5s` too.
pub(super) fn duration(argument: &str) -> Result<Duration, String> {
    let text = argument.trim();
    let (number, unit) = match text.char_indices().last() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => (&text[..at], unit),
        _ => (text, 's'),
    };
    let factor = match unit {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3_600.0,
        'd' => 86_400.0,
        _ => return Err(format!("`{unit}` is none of s, m, h, d")),
    };
    let number: f64 = number.trim().parse().map_err(|_| "must be a number and s, m, h or d, as 90s or 2h".to_owned())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| "is not a length of time".to_owned())
}

/// `20/s`, `20`, `100/m`: the pause between two.
pub(super) fn rate(argument: &str) -> Result<Duration, String> {
    let (number, per) = argument.split_once('/').unwrap_or((argument, "s"));
    let per = match per {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("`/{per}` is none of /s, /m, /h")),
    };
    let number: f64 = number.parse().map_err(|_| "must be a number and /s, /m or /h, as 20/s".to_owned())?;
    if number > 0.0 {
        Duration::try_from_secs_f64(per / number).map_err(|_| "is too slow".to_owned())
    } else {
        Err("must be above 0".to_owned())
    }
}

/// How long ago, in the two units that tell most.
pub(super) fn age(seconds: f64) -> String {
    // A clock of another machine may be ahead.
    let total = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    let (days, hours, minutes, seconds) = (total / 86_400, total / 3_600 % 24, total / 60 % 60, total % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{seconds:02}s"),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}

/// A time of day in UTC.
pub(super) fn moment(unix_time: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a time beyond the range is not shown")]
    let moment = time::OffsetDateTime::from_unix_timestamp(unix_time as i64);
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    moment.ok().and_then(|moment| moment.format(&format).ok()).unwrap_or_else(|| format!("{unix_time}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_text_unless_told_otherwise() {
        assert_eq!(header("size=5").unwrap().value, Value::from("5"));
        assert_eq!(header("size:=5").unwrap().value, Value::from(5_i64));
        assert_eq!(header("a=b=c").unwrap().value, Value::from("b=c"));
        assert_eq!(payload("tags=[\"a\"]").unwrap().value, Value::from(vec!["a"]));
        assert_eq!(payload("note=[half").unwrap().value, Value::from("[half"));
        for wrong in ["none", "=x", "a:={"] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_and_rates() {
        assert_eq!(duration("2h").unwrap(), Duration::from_hours(2));
        assert_eq!(duration("0.5s").unwrap(), Duration::from_millis(500));
        assert_eq!(duration("90").unwrap(), Duration::from_secs(90));
        for wrong in ["", "h", "-1s", "1y", "1é", "inf", "1e99d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(rate("20/s").unwrap(), Duration::from_millis(50));
        assert_eq!(rate("60/m").unwrap(), Duration::from_secs(1));
        for wrong in ["0", "-1/s", "x", "1/d", "1e-300/h", "NaN"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(age(59.0) + " " + &age(3_661.0) + " " + &age(90_000.0) + " " + &age(-5.0), "59s 1h01m 1d01h 0s");
    }
}
