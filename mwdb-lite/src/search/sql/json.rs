//! Values inside JSON in SQL: attributes and configs.
//!
//! Whole values are looked up by their hashes, patterns by the trigrams of the JSON text, which every
//! match must have; the document itself is then read by `mwdb_json`.

use karton_rs::json::Value;
use rusqlite::types::Value as Param;

use super::{
    Part, Source,
    functions::LONGEST_INDEXED,
    parts::long,
    sql,
    trigram::{self, Grams},
};
use crate::{
    db::Sql,
    objects::Kind,
    search::{
        json::{Condition, Test},
        json_text, leaves,
        pattern::{Escapes, Pattern},
        values::literal,
    },
};

fn text_of(condition: &Condition) -> Param {
    // Plain strings and numbers always serialise.
    serde_json::to_string(condition).unwrap_or_default().into()
}

/// What the text of every document that satisfies a pattern or lies in a range holds.
fn grams(condition: &Condition) -> Option<Grams> {
    let named = |name: &str| {
        let mut out = String::from("\"");
        name.chars().for_each(|character| json_text::write_character(character, &mut out));
        out.push_str("\":");
        out
    };
    let names: Vec<String> = condition.steps.iter().map(|step| named(&step.name)).collect();
    let names = trigram::of(names.iter().map(String::as_str));
    let Test::Like(text) = &condition.test else { return names };
    // A quotation mark may be one of a text or one of the structure, which are spelled differently;
    // a backslash may be one of two.
    let runs = Pattern::parse(text, Escapes::Plain).runs();
    match trigram::of(runs.iter().flat_map(|run| run.split(['"', '\\']))) {
        Some(grams) => Some(grams.and(names)),
        None => names,
    }
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
    if let Test::Equals(text) = &condition.test {
        return part.way(with_leaf("config_leaf s", "", condition, text));
    }
    match grams(condition) {
        Some(grams) => {
            let found = sql("s.config_fts MATCH ?", [grams.expression("cfg").into()]);
            part.way(vec![Source::new("config_fts s", "s.rowid", found), long("config s INDEXED BY config_long", "cfg")])
        }
        None => part.way(vec![Source::new("config s", "s.object_id", Sql::new("1"))]),
    }
}

/// Documents with a value at the path that is the text, or the literal it spells, and those that are not listed.
fn with_leaf(from: &'static str, scope: &str, condition: &Condition, text: &str) -> Vec<Source> {
    let leaves = [Some(Value::String(text.to_owned())), literal(text)];
    let hash = |leaf| leaves::hash(scope, condition.steps.iter().map(|step| step.name.as_str()), &leaf);
    let source = |hash: i64| Source::new(from, "s.object_id", sql("s.hash = ?", [hash.into()]));
    leaves.into_iter().flatten().filter_map(hash).chain([leaves::unlisted(scope)]).map(source).collect()
}

/// An object with a value under `key` that satisfies the condition.
pub(crate) fn attribute(key: &str, condition: &Condition) -> Part {
    let bound = || Param::from(key.to_owned());
    let text = "EXISTS (SELECT 1 FROM attribute a WHERE a.object_id = @.id AND a.key = ? AND mwdb_json(?, a.value))";
    let mut part = Part::new(None, sql(text, [bound(), text_of(condition)]));
    if let Test::Equals(text) = &condition.test {
        return part.way(with_leaf("attribute_leaf s", key, condition, text).into_iter().map(Source::repeating).collect());
    }
    if let Some(grams) = grams(condition) {
        let cond = sql("f.attribute_fts MATCH ? AND s.key = ?", [grams.expression("value").into(), bound()]);
        let found = Source::new("attribute_fts f CROSS JOIN attribute s ON s.id = f.rowid", "s.object_id", cond).unordered().repeating();
        let cond = sql(&format!("s.key = ? AND octet_length(s.value) > {LONGEST_INDEXED}"), [bound()]);
        let long = Source::new("attribute s INDEXED BY attribute_long", "s.object_id", cond).repeating();
        part = part.way(vec![found, long]);
    }
    // Only lists and objects have members.
    let all = if condition.steps.is_empty() { "s.key = ?" } else { "s.key = ? AND substr(s.value, 1, 1) IN ('[', '{')" };
    part.way(vec![Source::new("attribute s", "s.object_id", sql(all, [bound()])).repeating()])
}
