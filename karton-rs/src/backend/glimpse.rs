//! What a record says of itself, found without building it.
//!
//! The one rule: what is told here is what [`read_task`](super::read_task) would tell; where that is
//! not certain nothing is told, and the caller reads the whole record.

use std::borrow::Cow;

use crate::{
    json::{RawObject, skip_value, string_text},
    resource::MARK,
    task::TaskState,
};

/// The fields of a record that most decisions need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Glimpse<'a> {
    pub(crate) status: TaskState,
    /// None: it does not say.
    pub(crate) last_update: Option<f64>,
    root_uid: &'a str,
    orig_uid: &'a str,
    headers: &'a str,
    error: &'a str,
}

impl<'a> Glimpse<'a> {
    /// None when the record is unusual or cannot be read. Resources in it are not looked at.
    pub(crate) fn read(record: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(record).ok()?;
        let mut fields = Fields::default();
        members(text, |name, value| fields.set(name, value))?;
        let is = |value: &str, firsts: &[u8]| value.bytes().next().is_some_and(|first| firsts.contains(&first));
        let text_or_nothing = |value: &str| value.is_empty() || is(value, b"\"n");
        let usual = is(fields.uid, b"\"")
            && is(fields.root_uid, b"\"")
            && is(fields.parent_uid, b"\"n")
            && is(fields.headers, b"{")
            && is(fields.payload, b"{n")
            && is(fields.payload_persistent, b"{")
            && (fields.headers_persistent.is_empty() || is(fields.headers_persistent, b"{n"))
            && text_or_nothing(fields.orig_uid)
            && matches!(fields.priority, "" | "\"high\"" | "\"normal\"" | "\"low\"")
            // A persistent header beats the header of that name.
            && !fields.headers_persistent.contains("receiver")
            && !fields.payload_persistent.contains("receiver");
        usual.then_some(())?;
        let last_update = match fields.last_update {
            "" | "null" => None,
            number => Some(number.parse::<f64>().ok()?).filter(|time| *time != 0.0),
        };
        last_update.is_none_or(f64::is_finite).then_some(())?;
        let status = fields.status.strip_prefix('"')?.strip_suffix('"')?.parse().ok()?;
        Some(Self {
            status,
            last_update,
            root_uid: fields.root_uid,
            orig_uid: fields.orig_uid,
            headers: fields.headers,
            error: fields.error,
        })
    }

    /// As [`Self::read`], and certain that the resources in it can be read too.
    pub(crate) fn of_readable(record: &'a [u8]) -> Option<Self> {
        Self::read(record).filter(|_| resources(record, "", |_| ()))
    }

    pub(crate) fn root_uid(&self) -> Option<String> {
        string_text(self.root_uid).map(Cow::into_owned)
    }

    /// The task it was made from, when it is a copy for a receiver.
    pub(crate) fn orig_uid(&self) -> Option<String> {
        string_text(self.orig_uid).map(Cow::into_owned)
    }

    /// Whether it tells of no error.
    pub(crate) fn is_without_error(&self) -> bool {
        matches!(self.error, "" | "null")
    }

    /// The text of the header `receiver`.
    pub(crate) fn receiver(&self) -> Option<String> {
        let headers = RawObject::parse(self.headers).ok()?;
        string_text(headers.get("receiver")?).map(Cow::into_owned)
    }
}

#[derive(Default)]
struct Fields<'a> {
    uid: &'a str,
    root_uid: &'a str,
    parent_uid: &'a str,
    orig_uid: &'a str,
    status: &'a str,
    priority: &'a str,
    last_update: &'a str,
    headers: &'a str,
    error: &'a str,
    headers_persistent: &'a str,
    payload: &'a str,
    payload_persistent: &'a str,
}

impl<'a> Fields<'a> {
    /// Of equal names the last one counts.
    fn set(&mut self, name: &str, value: &'a str) {
        let field = match name {
            "uid" => &mut self.uid,
            "root_uid" => &mut self.root_uid,
            "parent_uid" => &mut self.parent_uid,
            "orig_uid" => &mut self.orig_uid,
            "status" => &mut self.status,
            "priority" => &mut self.priority,
            "last_update" => &mut self.last_update,
            "headers" => &mut self.headers,
            "error" => &mut self.error,
            "headers_persistent" => &mut self.headers_persistent,
            "payload" => &mut self.payload,
            "payload_persistent" => &mut self.payload_persistent,
            _ => return,
        };
        *field = value;
    }
}

/// Calls `each` with the members of an object. None when it is no object, or a name is written with escapes.
fn members<'a>(text: &'a str, mut each: impl FnMut(&'a str, &'a str)) -> Option<()> {
    let mut plain = true;
    let members = RawObject::each(text, |name, value| if name.contains('\\') { plain = false } else { each(name, value) });
    (members.is_ok() && plain).then_some(())
}

/// Calls `each` with the uid of every resource in the bucket, or in none, that a record refers to, and
/// perhaps with more. False when the record is unusual or cannot be read; some were told of even then.
pub(crate) fn resources(record: &[u8], bucket: &str, mut each: impl FnMut(&str)) -> bool {
    let Ok(text) = std::str::from_utf8(record) else { return false };
    // The mark itself may be written with escapes, by nobody known.
    if text.contains("\\u00") || members(text, |_, _| ()).is_none() {
        return false;
    }
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        rest = &rest[at + MARK.len()..];
        // A text that tells of the mark has the quotes escaped.
        let Some(value) = rest.strip_prefix('"').and_then(|after| after.trim_ascii_start().strip_prefix(':')) else { continue };
        let (mut uid, mut other_bucket) = (None, false);
        let fields = skip_value(value, 0).ok().map(|end| value[..end].trim_ascii());
        let read = fields.and_then(|fields| {
            members(fields, |name, value| match name {
                "uid" => uid = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')),
                "bucket" => {
                    let own = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
                    other_bucket = own.is_some_and(|own| own != bucket && !own.contains('\\'));
                }
                _ => {}
            })
        });
        match uid.filter(|uid| read.is_some() && !uid.contains('\\')) {
            Some(_) if other_bucket => {}
            Some(uid) => each(uid),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backend::read_task, json::Value};

    fn record(change: &str) -> String {
        format!(
            r#"{{"uid": "u", "root_uid": "r", "parent_uid": null, "status": "Started", "headers": {{"receiver": "karton.x"}}, "payload": {{}}, "payload_persistent": {{}}, "last_update": 5.5{change}}}"#
        )
    }

    /// Every record that the reference was asked about.
    fn records() -> Vec<String> {
        let mut found = Vec::new();
        for case in include_str!("../../tests/vectors/tasks.jsonl").lines() {
            collect(&Value::parse(case).expect("a case"), &mut found);
        }
        assert!(found.len() > 50, "{}", found.len());
        found
    }

    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) if text.contains("payload_persistent") => found.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Object(map) => map.values().for_each(|item| collect(item, found)),
            _ => {}
        }
    }

    #[test]
    fn what_is_told_is_what_the_whole_record_says() {
        let mut told = 0;
        for record in records() {
            let Some(glimpse) = Glimpse::read(record.as_bytes()) else { continue };
            let Ok(task) = read_task("u", record.as_bytes()) else { continue };
            told += 1;
            assert_eq!(
                (glimpse.status, glimpse.receiver().as_deref(), glimpse.root_uid().as_deref()),
                (task.status(), task.header_str("receiver"), Some(task.root_uid())),
                "{record}"
            );
            assert_eq!(glimpse.is_without_error(), task.error().is_empty(), "{record}");
            assert!(glimpse.last_update.is_none_or(|time| time.to_bits() == task.last_update().to_bits()), "{record}");
        }
        assert!(told > 30, "{told}");
    }

    #[test]
    fn every_resource_is_told_of_or_the_record_is_unusual() {
        for record in records() {
            let Ok(task) = read_task("u", record.as_bytes()) else { continue };
            let mut found = Vec::new();
            if resources(record.as_bytes(), "karton", |uid| found.push(uid.to_owned())) {
                for resource in task.resources().into_iter().filter(|resource| resource.bucket.as_deref() == Some("karton")) {
                    assert!(found.contains(&resource.uid), "{record}");
                }
            }
        }
    }

    #[test]
    fn unusual_records_are_left_to_the_one_who_reads_them_whole() {
        assert!(Glimpse::read(record("").as_bytes()).is_some());
        for change in [
            r#", "status": "Sleeping""#,
            r#", "priority": null"#,
            r#", "payload_persistent": null"#,
            r#", "uid": null"#,
            r#", "last_update": "x""#,
            r#", "last_update": NaN"#,
            r#", "headers_persistent": {"receiver": "karton.y"}"#,
            r#", "st\u0061tus": "Finished""#,
            ",",
            "} {",
        ] {
            assert!(Glimpse::read(record(change).as_bytes()).is_none(), "{change}");
        }
        for text in ["", "{", "[]", "{}", "{\"uid\"", "\u{fffd}"] {
            assert!(Glimpse::read(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Glimpse::read(record(r#", "last_update": 0"#).as_bytes()).is_some_and(|glimpse| glimpse.last_update.is_none()));
        for odd in [r#""x": {"__karton_resource__": 5}"#, r#""x": {"__karton_resource__": {"name": "n"}}"#, r#""x": "\u005f""#] {
            assert!(!resources(record(&format!(", {odd}")).as_bytes(), "karton", |_| ()), "{odd}");
        }
    }
}
