//! Values inside JSON in SQL: attributes and configs.
//!
//! The index holds the trigrams of the JSON text, which every match must have; the document itself is
//! then read by `mwdb_json`.

use karton_rs::json::Value;
use rusqlite::types::Value as Param;

use super::{
    Part, Source,
    functions::{LONGEST_INDEXED, framed},
    parts::long,
    sql,
    trigram::{self, Grams},
};
use crate::{
    db::Sql,
    objects::{Kind, attributes::digest},
    search::{
        json::{Condition, Test},
        json_text,
        pattern::{Escapes, Pattern},
        values::literal,
    },
};

fn text_of(condition: &Condition) -> Param {
    // Plain strings and numbers always serialise.
    serde_json::to_string(condition).unwrap_or_default().into()
}

/// What the text of every document that satisfies the condition holds.
fn grams(condition: &Condition) -> Option<Grams> {
    let mut all = Vec::new();
    let quoted = |text: &str| {
        let mut out = String::from("\"");
        text.chars().for_each(|character| json_text::write_character(character, &mut out));
        out.push('"');
        out
    };
    let keys: Vec<String> = condition.steps.iter().map(|step| format!("{}:", quoted(&step.name))).collect();
    all.extend(trigram::of(keys.iter().map(String::as_str)));
    match &condition.test {
        Test::Equals(text) => {
            // A string is between quotation marks, except when it is all there is.
            let string = trigram::of([quoted(text).as_str()]);
            match (string, literal(text)) {
                (string, None) => all.extend(string),
                (Some(string), Some(value)) => {
                    let spelled = if matches!(value, Value::Number(_)) { framed(&value) } else { text.clone() };
                    all.extend(trigram::of([spelled.as_str()]).map(|value| Grams::Any(vec![string, value])));
                }
                (None, Some(_)) => {}
            }
        }
        Test::Like(text) => {
            let pattern = Pattern::parse(text, Escapes::Plain);
            // A quotation mark may be one of a text or one of the structure, which are spelled differently;
            // a backslash may be one of two.
            let runs: Vec<String> = pattern.runs().iter().flat_map(|run| run.split(['"', '\\'])).map(str::to_owned).collect();
            all.extend(trigram::of(runs.iter().map(String::as_str)));
        }
        Test::Within { .. } => {}
    }
    (!all.is_empty()).then_some(Grams::Both(all))
}

/// A config that satisfies the condition.
///
/// Other types have no config, so they do not have what a pattern asks for: without it are they too
/// (MWDB search §S7).
pub(crate) fn cfg(condition: &Condition) -> Part {
    let kind = if matches!(condition.test, Test::Like(_)) { None } else { Some(Kind::Config) };
    in_config(kind, condition)
}

/// A config whose text contains a pattern, for `multi`: says something of configs alone.
pub(crate) fn cfg_contains(pattern: Pattern) -> Part {
    let test = Test::Like(pattern.somewhere().to_text());
    in_config(Some(Kind::Config), &Condition { root: 0, steps: Vec::new(), test })
}

fn in_config(kind: Option<Kind>, condition: &Condition) -> Part {
    let test = sql("EXISTS (SELECT 1 FROM config k WHERE k.object_id = @.id AND mwdb_json(?, k.cfg))", [text_of(condition)]);
    let part = Part::new(kind, test);
    match grams(condition) {
        Some(grams) => {
            let found = sql("s.config_fts MATCH ?", [grams.expression("cfg").into()]);
            part.way(vec![Source::new("config_fts s", "s.rowid", found), long("config s", "cfg")])
        }
        None => part.way(vec![Source::new("config s", "s.object_id", Sql::new("1"))]),
    }
}

/// An object with a value under `key` that satisfies the condition.
pub(crate) fn attribute(key: &str, condition: &Condition) -> Part {
    let key = || Param::from(key.to_owned());
    let text = "EXISTS (SELECT 1 FROM attribute a WHERE a.object_id = @.id AND a.key = ? AND mwdb_json(?, a.value))";
    let mut part = Part::new(None, sql(text, [key(), text_of(condition)]));
    let source = |cond: Sql| Source::new("attribute s", "s.object_id", cond).repeating();
    // Lists and objects, which hold values.
    let containers = "s.key = ? AND substr(s.value, 1, 1) IN ('[', '{')";
    if condition.steps.is_empty()
        && let Test::Equals(text) = &condition.test
    {
        let scalars = [Some(Value::String(text.clone())), literal(text)];
        let sources: Vec<Source> = scalars
            .into_iter()
            .flatten()
            .map(|value| source(sql("s.key = ? AND s.digest = ?", [key(), Param::Blob(digest(&value).to_vec())])))
            .collect();
        if let Some(grams) = grams(condition) {
            let mut few = sources.clone();
            few.extend(indexed_values(&grams, &format!("f.attribute_fts MATCH ? AND {containers}"), key()));
            part = part.way(few);
        }
        let mut all = sources;
        all.push(source(sql(containers, [key()])));
        return part.way(all);
    }
    if let Some(grams) = grams(condition) {
        part = part.way(indexed_values(&grams, "f.attribute_fts MATCH ? AND s.key = ?", key()).into());
    }
    let all = if condition.steps.is_empty() { "s.key = ?" } else { containers };
    part.way(vec![source(sql(all, [key()]))])
}

/// Values that hold these trigrams, and those that are too long for the index.
fn indexed_values(grams: &Grams, found: &str, key: Param) -> [Source; 2] {
    let cond = sql(found, [grams.expression("value").into(), key.clone()]);
    let found = Source::new("attribute_fts f CROSS JOIN attribute s ON s.id = f.rowid", "s.object_id", cond).unordered().repeating();
    let long = sql(&format!("s.key = ? AND octet_length(s.value) > {LONGEST_INDEXED}"), [key]);
    [found, Source::new("attribute s", "s.object_id", long).repeating()]
}
