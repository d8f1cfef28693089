//! From the answers of the API to what a page shows.
//!
//! The one rule: a page is made from the same answer that the API would give to the same account, so
//! it cannot show more. Answers are read as exact JSON: the numbers of a config fit no type of ours.

use std::sync::Arc;

use karton_rs::json::{Map, Value, python_text};
use serde::Serialize;

use super::{
    rich,
    view::{
        links,
        object::{
            Analysis, Attribute, Comment, ConfigEntry, Content, Crash, Crashes as ShownCrashes, Detail, EntryValue, ObjectLink,
            ServiceWork, Share, State, Value as Shown,
        },
        parts::{Hash, Kind, ObjectRef, Tag},
        recent::Row,
        text::{Block, Characters, Size, Text, encode_field},
        time::Moment,
    },
};
use crate::{
    db::analyses::AnalysisRow,
    error::ApiResult,
    karton::{analysis::AnalysisItem, crashes::Crashes},
    objects::metakeys,
    timestamp::Timestamp,
};

/// How much of a text a page shows.
const LONGEST: usize = 256 * 1024;

/// Tags of one object where others are beside it.
pub(super) const MOST_TAGS: usize = 100;

/// An answer as exact JSON.
pub(super) fn answer(view: &impl Serialize) -> ApiResult<Value> {
    let text = serde_json::to_string(view).map_err(anyhow::Error::from)?;
    Ok(Value::parse(&text).map_err(anyhow::Error::from)?)
}

pub(super) fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).unwrap_or_default()
}

/// The texts in a list of an answer.
pub(super) fn texts(value: &Value, name: &str) -> Vec<Text> {
    list(value, name).iter().filter_map(Value::as_str).map(Text::from).collect()
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_number).and_then(karton_rs::json::Number::as_u64).unwrap_or(0)
}

/// A date of an answer; nothing for null.
pub(super) fn moment(value: &Value, name: &str) -> Option<Moment> {
    value.get(name).and_then(Value::as_str).and_then(Timestamp::parse).map(|time| Moment::new(time.micros()))
}

pub(super) fn required_moment(value: &Value, name: &str) -> Moment {
    moment(value, name).unwrap_or_else(|| Moment::new(0))
}

pub(super) fn kind(value: &Value) -> Kind {
    match value.get("type").and_then(Value::as_str) {
        Some("static_config") => Kind::Config,
        Some("text_blob") => Kind::Blob,
        _ => Kind::File,
    }
}

/// Tags, as links to a list.
pub(super) fn tags(value: &Value, to: &'static str) -> Vec<Tag> {
    list(value, "tags").iter().map(|tag| Tag::new(text(tag, "tag"), to)).collect()
}

/// The first tags of an object that is one of many, and how many more it has.
fn first_tags(value: &Value, to: &'static str) -> (Vec<Tag>, u64) {
    let mut tags = tags(value, to);
    let more = tags.len().saturating_sub(MOST_TAGS) as u64 + number(value, "more_tags");
    tags.truncate(MOST_TAGS);
    (tags, more)
}

/// What an object is called: name of a file or blob, family of a config.
pub(super) fn title(object: &Value) -> Text {
    let name = match kind(object) {
        Kind::File => "file_name",
        Kind::Config => "family",
        Kind::Blob => "blob_name",
    };
    text(object, name).into()
}

/// A line of a list of what `query` finds.
pub(super) fn row(object: &Value, typed: bool, query: &Arc<str>) -> Row {
    let kind = kind(object);
    let detail = match kind {
        Kind::File => "file_type",
        Kind::Config => "config_type",
        Kind::Blob => "blob_type",
    };
    let size = match kind {
        Kind::File => Some(Size(number(object, "file_size"))),
        Kind::Blob => Some(Size(number(object, "blob_size"))),
        Kind::Config => None,
    };
    let (tags, more_tags) = first_tags(object, if typed { kind.list() } else { "/objects" });
    Row {
        kind,
        id: text(object, "id"),
        name: typed.then(|| title(object)),
        detail: typed.then(|| text(object, detail).into()),
        size: size.filter(|_| typed),
        md5: object.get("md5").and_then(Value::as_str).map(str::to_owned),
        tags: tags.into_iter().map(|tag| tag.within(query)).collect(),
        more_tags,
        query: Arc::clone(query),
        uploaded: required_moment(object, "upload_time"),
        last_seen: moment(object, "last_seen"),
    }
}

pub(super) fn references(object: &Value, name: &str) -> Vec<ObjectRef> {
    list(object, name).iter().map(reference).collect()
}

fn reference(object: &Value) -> ObjectRef {
    let kind = kind(object);
    let (tags, more_tags) = first_tags(object, kind.list());
    ObjectRef { kind, id: text(object, "id"), tags, more_tags, uploaded: required_moment(object, "upload_time") }
}

pub(super) fn details(object: &Value) -> Vec<Detail> {
    let plain = |label, name: &str| Detail { label, value: Shown::Text(text(object, name).into()) };
    let same = |label, name: &str, field| {
        let text = text(object, name);
        Detail { label, value: Shown::Same(text.as_str().into(), links::search(kind(object).list(), field, &text)) }
    };
    let hash = |label, name: &str| Detail { label, value: Shown::Hash(Hash::new(text(object, name))) };
    let time = |label, name: &str| Detail { label, value: Shown::Time(required_moment(object, name)) };
    let mut details = match kind(object) {
        Kind::File => {
            let mut details = vec![plain("Name", "file_name")];
            let names: Vec<Text> = list(object, "alt_names").iter().filter_map(Value::as_str).map(Text::from).collect();
            if !names.is_empty() {
                details.push(Detail { label: "Other names", value: Shown::Names(names) });
            }
            details.push(Detail { label: "Size", value: Shown::Size(Size(number(object, "file_size"))) });
            details.push(same("Type", "file_type", "type"));
            for (label, name) in [("MD5", "md5"), ("SHA-1", "sha1"), ("SHA-256", "sha256"), ("SHA-512", "sha512"), ("CRC32", "crc32")] {
                details.push(hash(label, name));
            }
            if object.get("ssdeep").is_some_and(|value| !value.is_null()) {
                details.push(hash("ssdeep", "ssdeep"));
            }
            details
        }
        Kind::Config => vec![same("Family", "family", "family"), same("Type", "config_type", "type"), hash("Id", "id")],
        Kind::Blob => vec![
            plain("Name", "blob_name"),
            same("Type", "blob_type", "type"),
            Detail { label: "Size", value: Shown::Characters(Characters(number(object, "blob_size"))) },
            hash("Id", "id"),
        ],
    };
    if let Some(config) = object.get("latest_config").filter(|config| !config.is_null()) {
        details.push(Detail { label: "Latest config", value: Shown::Object(reference(config), text(config, "family").into()) });
    }
    details.push(time("Uploaded", "upload_time"));
    if object.get("last_seen").is_some() {
        details.push(time("Last seen", "last_seen"));
    }
    let sharing = if shares_3rd_party(object) { "may have it" } else { "do not get it" };
    details.push(Detail { label: "Third parties", value: Shown::Text(sharing.into()) });
    details
}

/// Whether the object may be shared with third parties.
pub(super) fn shares_3rd_party(object: &Value) -> bool {
    object.get("share_3rd_party").and_then(Value::as_bool).unwrap_or(false)
}

/// What a config or blob holds. The content of a file is not shown.
pub(super) fn content(object: &Value) -> Content {
    match kind(object) {
        Kind::File => Content::Away("It is not shown here."),
        Kind::Blob => Content::Blob(Block::new(&text(object, "content"), LONGEST)),
        Kind::Config => {
            let empty = Map::new();
            let cfg = object.get("cfg").and_then(Value::as_object).unwrap_or(&empty);
            let entries = cfg.iter().map(|(key, value)| ConfigEntry { key: key.spelled().into(), value: entry(value) });
            Content::Config { entries: entries.collect(), json: Block::new(&indented(&Value::Object(cfg.clone())), LONGEST) }
        }
    }
}

fn entry(value: &Value) -> EntryValue {
    match value {
        Value::Object(map) if map.len() == 1 => match map.get("in-blob").and_then(Value::as_str) {
            Some(blob) => EntryValue::Blob(blob.to_owned()),
            None => EntryValue::Json(Block::new(&indented(value), LONGEST)),
        },
        Value::Object(_) | Value::Array(_) => EntryValue::Json(Block::new(&indented(value), LONGEST)),
        Value::String(text) => EntryValue::Line(text.as_str().into()),
        scalar => EntryValue::Line(scalar.to_json().into()),
    }
}

/// JSON over several lines, numbers as they were.
pub(super) fn indented(value: &Value) -> String {
    let mut out = String::new();
    indent(&mut out, value, 0);
    out
}

fn indent(out: &mut String, value: &Value, depth: usize) {
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        (0..depth).for_each(|_| out.push_str("  "));
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                indent(out, item, depth + 1);
            }
            line(out, depth);
            out.push(']');
        }
        Value::Object(map) if !map.is_empty() => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line(out, depth + 1);
                quote(out, key.spelled());
                out.push_str(": ");
                indent(out, item, depth + 1);
            }
            line(out, depth);
            out.push('}');
        }
        Value::String(text) => quote(out, text),
        scalar => out.push_str(&scalar.to_json()),
    }
}

/// A JSON string that people can read: only what must be is escaped.
fn quote(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// Where the template of a key leads for a value. In an address the value is only a value, whatever signs
/// it holds; where a template begins with it, it is the address itself. (The API gives it as it is.)
fn address(template: &str, value: &Value) -> Option<String> {
    let value = python_text(value);
    let whole = ["$value", "${value}"].iter().any(|name| template.trim_start().starts_with(name));
    metakeys::address(template, &if whole { value } else { encode_field(&value) })
}

/// Attributes with what their definitions say of them.
pub(super) fn attributes(object: &Value, definitions: &Value, removable: bool) -> Vec<Attribute> {
    let definitions = definitions.as_array().unwrap_or_default();
    let shown = |attribute: &Value| {
        let value = attribute.get("value").cloned().unwrap_or_default();
        let text_of = value.as_str().map_or_else(|| indented(&value), str::to_owned);
        let key = text(attribute, "key");
        let definition = definitions.iter().find(|definition| text(definition, "key") == key);
        let template = definition.map(|definition| text(definition, "url_template")).unwrap_or_default();
        let rich = definition.map(|definition| text(definition, "rich_template")).filter(|template| !template.is_empty());
        Attribute {
            // A template that cannot be followed leaves the value as it is; its own page tells why.
            rich: rich.and_then(|template| rich::render(&template, &key, &value).ok()),
            id: attribute.get("id").and_then(Value::as_number).and_then(karton_rs::json::Number::as_i64).unwrap_or(0),
            key: key.into(),
            label: definition.map(|definition| text(definition, "label")).unwrap_or_default().into(),
            // Never the value itself: it may be the address of what a sample talks to.
            href: address(&template, &value).and_then(|address| Attribute::safe_href(&address)),
            value: Block::new(&text_of, LONGEST),
            removable,
        }
    };
    list(object, "attributes").iter().map(shown).collect()
}

pub(super) fn comments(answer: &Value) -> Vec<Comment> {
    let shown = |comment: &Value| Comment {
        id: comment.get("id").and_then(Value::as_number).and_then(karton_rs::json::Number::as_i64).unwrap_or(0),
        author: comment.get("author").and_then(Value::as_str).map(Text::from),
        text: Block::new(&text(comment, "comment"), LONGEST),
        time: required_moment(comment, "timestamp"),
    };
    answer.as_array().unwrap_or_default().iter().map(shown).collect()
}

pub(super) fn shares(answer: &Value, id: &str) -> Vec<Share> {
    let shown = |share: &Value| {
        let through = share.get("related_object_dhash").and_then(Value::as_str).filter(|other| *other != id);
        let kind = match share.get("related_object_type").and_then(Value::as_str) {
            Some("static_config") => Kind::Config,
            Some("text_blob") => Kind::Blob,
            _ => Kind::File,
        };
        let user = share.get("related_user_login").and_then(Value::as_str);
        let reason = text(share, "reason_type");
        Share {
            group: text(share, "group_name").into(),
            user: user.map(Text::from),
            // What somebody uploaded is found by login; who only gave access is no uploader.
            uploads: user.filter(|_| reason == "added").map(|login| links::search("/objects", "uploader", login)),
            reason: reason.into(),
            through: through.map(|other| ObjectLink { kind, id: other.to_owned() }),
            time: required_moment(share, "access_time"),
        }
    };
    list(answer, "shares").iter().map(shown).collect()
}

/// What is known of an analysis without Karton.
pub(super) struct KnownAnalysis {
    id: String,
    announced: bool,
    created: Timestamp,
}

impl From<&AnalysisRow> for KnownAnalysis {
    fn from(row: &AnalysisRow) -> Self {
        Self { id: row.id.clone(), announced: row.announced, created: row.creation_time }
    }
}

/// The analyses of an object. `items` are what Karton says of them; nothing when it does not answer.
pub(super) fn analyses(known: &[KnownAnalysis], items: &[AnalysisItem]) -> ApiResult<Vec<Analysis>> {
    let described: Vec<(Value, &Crashes)> = items.iter().map(|item| Ok((answer(item)?, &item.crashes))).collect::<ApiResult<_>>()?;
    let (nothing, none) = (Value::default(), Crashes::default());
    let of = |id: &str| {
        let found = described.iter().find(|(item, _)| item.get("id").and_then(Value::as_str) == Some(id));
        found.map_or((&nothing, &none), |(item, crashes)| (item, *crashes))
    };
    Ok(known
        .iter()
        .map(|known| {
            let (item, crashes) = of(&known.id);
            analysis(known, item, crashes)
        })
        .collect())
}

fn analysis(known: &KnownAnalysis, item: &Value, crashes: &Crashes) -> Analysis {
    let state = match item.get("status").and_then(Value::as_str) {
        Some("finished") => State::Finished,
        _ if !known.announced => State::Queued,
        Some("running") => State::Running,
        _ => State::Unknown,
    };
    let empty = Map::new();
    let object = |name: &str| item.get(name).and_then(Value::as_object).unwrap_or(&empty).clone();
    let texts = |queue: &Value, name: &str| list(queue, name).iter().filter_map(Value::as_str).map(Text::from).collect();
    Analysis {
        id: known.id.clone(),
        state,
        started: Moment::new(known.created.micros()),
        updated: moment(item, "last_update").filter(|_| state == State::Running),
        arguments: object("arguments")
            .iter()
            .map(|(key, value)| (key.spelled().into(), value.as_str().map_or_else(|| value.to_json(), str::to_owned).into()))
            .collect(),
        services: object("processing_in")
            .iter()
            .map(|(service, queue)| ServiceWork {
                service: service.spelled().into(),
                statuses: texts(queue, "status"),
                received_from: texts(queue, "received_from"),
            })
            .collect(),
        crashes: ShownCrashes {
            count: crashes.count,
            restartable: crashes.restartable,
            told: crashes
                .told
                .iter()
                .map(|crash| Crash {
                    service: crash.service.as_deref().map(Text::from),
                    error: crash.error.as_deref().unwrap_or("It left no error.").into(),
                    whole: crash.whole.as_deref().map(|whole| Block::new(whole, usize::MAX)),
                    count: crash.count,
                })
                .collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_an_address_is_only_a_value() {
        let of = |template, value: &str| address(template, &Value::from(value)).unwrap_or_default();
        assert_eq!(of("https://x.test/s?q=$value&p=1", "a&b=c#d/é %"), "https://x.test/s?q=a%26b%3Dc%23d%2F%C3%A9%20%25&p=1");
        assert_eq!(of("https://x.test/${value}", "ab-1.exe"), "https://x.test/ab-1.exe");
        assert_eq!(of("$value", "https://x.test/?a=b"), "https://x.test/?a=b");
        assert_eq!(address("", &Value::from("a")), None);
    }

    #[test]
    fn json_is_indented_and_keeps_its_numbers() {
        let value = Value::parse(r#"{"a": [1, 123456789012345678901234567890, {}], "ż": "<b>", "e": []}"#).expect("JSON");
        let expected = "{\n  \"a\": [\n    1,\n    123456789012345678901234567890,\n    {}\n  ],\n  \"ż\": \"<b>\",\n  \"e\": []\n}";
        assert_eq!(indented(&value), expected);
    }
}
