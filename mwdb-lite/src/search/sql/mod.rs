//! Conditions on objects in SQL.
//!
//! A condition has two sides: a *test* that any row of `object` can be put to, and *sources* that name
//! the objects it can hold for, newest first, out of an index. A page is read from the source that
//! names fewest, each object put to the whole test. The one rule: **values are bound**, and the text
//! of a statement is made of nothing but what stands in this folder.

mod functions;
mod json;
mod parts;
mod people;
mod plan;
mod read;
mod trigram;

use crate::{db::Sql, objects::Kind};

pub(crate) use functions::register;
pub(crate) use json::{attribute, cfg, cfg_contains};
pub(crate) use parts::{Digests, analysis, any_analysis, anything_of, date, digests, range_of_time, related, size, text, upload_count};
pub(crate) use people::{author, favorites, login_id, shared, sharer, uploader, users_called, visible_uploaders};
pub(crate) use read::{Counted, count, count_some, page};
#[cfg(test)]
pub(crate) use read::{count_within, explain, scan};

/// Stands in a test for the name of the row of `object` that is put to it.
const ROW: &str = "@";

/// A condition without negations but those of single parts.
///
/// Written so, a part that only objects of one type can satisfy or fail holds for no other object,
/// negated or not: what `NULL` does in the reference (MWDB search §S7).
#[derive(Debug, Clone)]
pub(crate) enum Cond {
    Always,
    Never,
    All(Vec<Self>),
    Any(Vec<Self>),
    Part { part: Part, negated: bool },
}

/// What one field says.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// The type whose objects it says something of.
    pub(crate) kind: Option<Kind>,
    test: Sql,
    /// Ways to find the objects: the sources of each name all of them together.
    ways: Vec<Vec<Source>>,
    /// The objects of its one source are exactly those it holds for, each named once.
    exact: bool,
    /// Found by asking for the relatives first.
    relatives: Option<Relatives>,
}

#[derive(Debug, Clone)]
struct Relatives {
    /// Columns of `relation`: of the object, and of its relative.
    own: &'static str,
    other: &'static str,
    cond: Box<Cond>,
}

/// Rows of an index that name objects.
#[derive(Debug, Clone)]
struct Source {
    /// Tables; the one with the object is `s`.
    from: &'static str,
    /// The column with the object.
    id: &'static str,
    cond: Sql,
    /// The index gives the newest object first; otherwise all are read and sorted.
    ordered: bool,
    /// May name an object more than once.
    repeats: bool,
}

impl Source {
    /// An index that gives each object once, newest first.
    fn new(from: &'static str, id: &'static str, cond: Sql) -> Self {
        Self { from, id, cond, ordered: true, repeats: false }
    }

    fn unordered(self) -> Self {
        Self { ordered: false, ..self }
    }

    fn repeating(self) -> Self {
        Self { repeats: true, ..self }
    }
}

impl Part {
    fn new(kind: Option<Kind>, test: Sql) -> Self {
        Self { kind, test, ways: Vec::new(), exact: false, relatives: None }
    }

    /// Adds sources that name all its objects together.
    fn way(mut self, sources: Vec<Source>) -> Self {
        self.ways.push(sources);
        self
    }

    fn exact(self) -> Self {
        Self { exact: true, ..self }
    }

    /// The condition that the part holds, or that it does not.
    pub(crate) fn cond(self, negated: bool) -> Cond {
        Cond::Part { part: self, negated }
    }
}

impl Cond {
    pub(crate) fn all(parts: Vec<Self>) -> Self {
        if parts.iter().any(|part| matches!(part, Self::Never)) {
            return Self::Never;
        }
        let parts: Vec<Self> = parts.into_iter().filter(|part| !matches!(part, Self::Always)).collect();
        if parts.is_empty() { Self::Always } else { Self::All(parts) }
    }

    pub(crate) fn any(parts: Vec<Self>) -> Self {
        if parts.iter().any(|part| matches!(part, Self::Always)) {
            return Self::Always;
        }
        let parts: Vec<Self> = parts.into_iter().filter(|part| !matches!(part, Self::Never)).collect();
        if parts.is_empty() { Self::Never } else { Self::Any(parts) }
    }

    /// The test of a row of `object`.
    fn test(&self, row: &str) -> Sql {
        match self {
            Self::Always => Sql::new("1"),
            Self::Never => Sql::new("0"),
            Self::All(parts) => joined(parts.iter().map(|part| part.test(row)).collect(), " AND "),
            Self::Any(parts) => joined(parts.iter().map(|part| part.test(row)).collect(), " OR "),
            Self::Part { part, negated } => {
                let mut sql = Sql::new("(");
                if let Some(kind) = part.kind {
                    sql.push(row).push(".type = ").push(&kind.code().to_string()).push(" AND ");
                }
                sql.push(if *negated { "NOT (" } else { "(" });
                sql.append(Sql { text: part.test.text.replace(ROW, row), params: part.test.params.clone() });
                sql.push("))");
                sql
            }
        }
    }
}

/// Pieces with an operator between them, as a balanced tree: `SQLite` bounds the depth of expressions.
fn joined(mut pieces: Vec<Sql>, operator: &str) -> Sql {
    match pieces.len() {
        0 => Sql::new("1"),
        1 => pieces.remove(0),
        count => {
            let right = pieces.split_off(count / 2);
            let mut sql = Sql::new("(");
            sql.append(joined(pieces, operator)).push(operator).append(joined(right, operator)).push(")");
            sql
        }
    }
}

/// A condition with parameters, in order.
fn sql<const N: usize>(text: &str, params: [rusqlite::types::Value; N]) -> Sql {
    Sql { text: text.to_owned(), params: params.into() }
}

/// A list as the one parameter of `IN (SELECT value FROM json_each(?))`.
fn list<T: serde::Serialize>(values: &[T]) -> rusqlite::types::Value {
    serde_json::to_string(values).unwrap_or_else(|_| "[]".to_owned()).into()
}
