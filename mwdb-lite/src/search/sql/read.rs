//! Reading pages and counting.

use std::collections::HashSet;

use rusqlite::{Connection, ErrorCode, Result, params_from_iter};

use super::{
    Cond, Source,
    plan::{self, Plan},
    sql,
};
use crate::{
    auth::{Caller, Capability},
    db::{
        Sql,
        deadline::{self, Allowance},
        objects::{self, ObjectRow},
    },
    objects::Kind,
};

/// Whose objects, of which type, and what holds for them.
#[derive(Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) caller: &'a Caller,
    pub(super) kind: Option<Kind>,
    pub(super) cond: &'a Cond,
}

/// The condition that the caller sees the object with the id `object`.
pub(super) fn visible_in(caller: &Caller, object: &str) -> Sql {
    Sql::new(objects::visible(caller, object))
}

/// One page, newest first: objects before `before`, `offset` of them left out.
pub(crate) fn page(
    c: &Connection,
    caller: &Caller,
    kind: Option<Kind>,
    cond: &Cond,
    before: Option<i64>,
    (offset, count): (u64, u64),
) -> Result<Vec<ObjectRow>> {
    let query = Query { caller, kind, cond };
    if count == 0 {
        return Ok(Vec::new());
    }
    let found = ids(c, &query, before.unwrap_or(i64::MAX), offset.saturating_add(count))?;
    let page = found.into_iter().skip(usize::try_from(offset).unwrap_or(usize::MAX));
    page.filter_map(|id| objects::by_id(c, id).transpose()).collect()
}

/// The newest `count` objects before `before`.
pub(super) fn ids(c: &Connection, query: &Query<'_>, before: i64, count: u64) -> Result<Vec<i64>> {
    let limit = i64::try_from(count).unwrap_or(i64::MAX);
    let read = |source: Option<&Source>| -> Result<Vec<i64>> {
        let mut statement = query.statement(source, before);
        statement.push_with(" LIMIT ?", limit);
        c.prepare_cached(&statement.text)?.query_map(params_from_iter(statement.params), |row| row.get(0))?.collect()
    };
    match plan::plan(c, query)? {
        Plan::All => read(None),
        Plan::Sources(sources) => {
            let mut found = Vec::new();
            for source in &sources {
                found.extend(read(Some(source))?);
            }
            // The newest of all are among the newest of each.
            found.sort_unstable_by(|left, right| right.cmp(left));
            found.dedup();
            found.truncate(usize::try_from(count).unwrap_or(usize::MAX));
            Ok(found)
        }
    }
}

impl Query<'_> {
    /// The statement for the ids of a source, or of all objects, newest first.
    pub(super) fn statement(&self, source: Option<&Source>, before: i64) -> Sql {
        let mut statement = Sql::default();
        let id = source.map_or("o.id", |source| source.id);
        match source {
            Some(source) => {
                let distinct = if source.repeats { "DISTINCT " } else { "" };
                statement.push(&format!("SELECT {distinct}{id} FROM {} CROSS JOIN object o ON o.id = {id} WHERE ", source.from));
                statement.append(source.cond.clone()).push(" AND ");
            }
            None => {
                statement.push("SELECT o.id FROM object o WHERE ");
            }
        }
        statement.push_with(&format!("{id} < ?"), before);
        self.restrict(&mut statement);
        statement.push(&format!(" ORDER BY {id} DESC"));
        statement
    }

    /// Adds what must hold of the object `o`.
    fn restrict(&self, statement: &mut Sql) {
        if let Some(kind) = self.kind {
            statement.push_with(" AND o.type = ?", kind.code());
        }
        if !self.caller.has(Capability::AccessAllObjects) {
            statement.push(" AND ").append(visible_in(self.caller, "o.id"));
        }
        if !matches!(self.cond, Cond::Always) {
            statement.push(" AND ").append(self.cond.test("o"));
        }
    }
}

/// How many objects there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) count: u64,
    /// Not when counting was given up: then there are at least as many.
    pub(crate) exact: bool,
}

/// How much a page may spend on counting, in rounds of `SQLite`'s machine.
const MOST_ROUNDS: u32 = 80;

/// How far a count goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// To the end, or to the deadline of the read.
    End,
    /// As far as an allowance: what was seen until then must have been counted.
    Allowance,
}

/// Counts what the caller sees, all of it: interrupted at the deadline of the read.
pub(crate) fn count(c: &Connection, caller: &Caller, kind: Option<Kind>, cond: &Cond) -> Result<u64> {
    let mut count = 0;
    add_up(c, &Query { caller, kind, cond }, Reach::End, &mut count)?;
    Ok(count)
}

/// Counts what the caller sees, as far as that goes with a bounded amount of work: for pages.
pub(crate) fn count_some(c: &Connection, caller: &Caller, kind: Option<Kind>, cond: &Cond) -> Result<Counted> {
    count_within(c, caller, kind, cond, MOST_ROUNDS)
}

/// [`count_some`] with another bound.
pub(crate) fn count_within(c: &Connection, caller: &Caller, kind: Option<Kind>, cond: &Cond, rounds: u32) -> Result<Counted> {
    let allowance = Allowance::new(rounds);
    let mut count = 0;
    match add_up(c, &Query { caller, kind, cond }, Reach::Allowance, &mut count) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) && allowance.is_used_up() => {
            Ok(Counted { count, exact: false })
        }
        outcome => outcome.map(|()| Counted { count, exact: true }),
    }
}

/// Counts into `count`, which says how far it came when it fails.
fn add_up(c: &Connection, query: &Query<'_>, reach: Reach, count: &mut u64) -> Result<()> {
    let everything = query.caller.has(Capability::AccessAllObjects);
    match query.cond {
        Cond::Never => return Ok(()),
        Cond::Always if everything => {
            // Whole tables: their pages say how many rows they hold.
            let table = query.kind.map_or("object", |kind| match kind {
                Kind::File => "file",
                Kind::Config => "config",
                Kind::Blob => "blob",
            });
            return tally(c, Sql::new(format!("FROM {table}")), Reach::End, |rows| *count += rows);
        }
        Cond::Always => return add_up_groups(c, query, reach, count),
        Cond::Part { part, negated: false } if everything && part.exact && (query.kind.is_none() || part.kind == query.kind) => {
            if let Some(source) = part.ways.first().and_then(|sources| sources.first()) {
                let mut rows = Sql::new(format!("FROM {} WHERE ", source.from));
                rows.append(source.cond.clone());
                return tally(c, rows, reach, |rows| *count += rows);
            }
        }
        _ => {}
    }
    let each = |source: Option<&Source>, mut add: Box<dyn FnMut(i64) + '_>| -> Result<()> {
        let statement = query.statement(source, i64::MAX);
        let mut prepared = c.prepare_cached(&statement.text)?;
        let mut rows = prepared.query(params_from_iter(statement.params))?;
        while let Some(row) = rows.next()? {
            add(row.get(0)?);
        }
        Ok(())
    };
    match deadline::aside(|| plan::plan(c, query))? {
        Plan::All => each(None, Box::new(|_| *count += 1)),
        Plan::Sources(sources) if sources.len() == 1 => each(sources.first(), Box::new(|_| *count += 1)),
        Plan::Sources(sources) => {
            let mut seen = HashSet::new();
            for source in &sources {
                each(Some(source), Box::new(|id| *count += u64::from(seen.insert(id))))?;
            }
            Ok(())
        }
    }
}

/// What the groups of the caller see: all of the largest, and of each other what no larger one sees.
fn add_up_groups(c: &Connection, query: &Query<'_>, reach: Reach, count: &mut u64) -> Result<()> {
    let of = |group: i64| {
        let mut rows = sql("FROM permission s WHERE s.group_id = ?", [group.into()]);
        if let Some(kind) = query.kind {
            rows.push_with(" AND s.type = ?", kind.code());
        }
        rows
    };
    let mut sizes = Vec::new();
    for group in &query.caller.groups {
        let mut size = 0;
        tally(c, of(group.id), reach, |rows| {
            size += rows;
            // So far at least as many as the largest.
            *count = (*count).max(size);
        })?;
        sizes.push((size, group.id));
    }
    sizes.sort_unstable_by(|left, right| right.cmp(left));
    let mut larger: Vec<i64> = Vec::new();
    for (_, group) in sizes.into_iter().filter(|(size, _)| *size > 0) {
        // The largest is counted already.
        if !larger.is_empty() {
            let mut rows = of(group);
            let text = " AND NOT EXISTS (SELECT 1 FROM permission p WHERE p.object_id = s.object_id AND p.group_id IN (SELECT value FROM json_each(?)))";
            rows.push_with(text, super::list(&larger));
            tally(c, rows, reach, |rows| *count += rows)?;
        }
        larger.push(group);
    }
    Ok(())
}

/// Counts the rows of a statement that lacks its SELECT. `SQLite` is fastest at it, but then there is no
/// number before the end: with an allowance the rows are looked at one by one.
fn tally(c: &Connection, rows: Sql, reach: Reach, mut add: impl FnMut(u64)) -> Result<()> {
    if reach == Reach::End {
        let text = format!("SELECT count(*) {}", rows.text);
        add(c.prepare_cached(&text)?.query_row(params_from_iter(rows.params), |row| row.get(0))?);
        return Ok(());
    }
    let mut prepared = c.prepare_cached(&format!("SELECT 1 {}", rows.text))?;
    let mut found = prepared.query(params_from_iter(rows.params))?;
    while found.next()?.is_some() {
        add(1);
    }
    Ok(())
}

/// What a condition finds among all objects, without any index.
#[cfg(test)]
pub(crate) fn scan(c: &Connection, caller: &Caller, kind: Option<Kind>, cond: &Cond) -> Result<Vec<i64>> {
    let statement = Query { caller, kind, cond }.statement(None, i64::MAX);
    c.prepare(&statement.text)?.query_map(params_from_iter(statement.params), |row| row.get(0))?.collect()
}

/// How `SQLite` reads a page: for each statement what it does, a line a step.
#[cfg(test)]
pub(crate) fn explain(c: &Connection, caller: &Caller, kind: Option<Kind>, cond: &Cond) -> Result<Vec<String>> {
    let query = Query { caller, kind, cond };
    let statements = match plan::plan(c, &query)? {
        Plan::All => vec![query.statement(None, i64::MAX)],
        Plan::Sources(sources) => sources.iter().map(|source| query.statement(Some(source), i64::MAX)).collect(),
    };
    let mut plans = Vec::new();
    for statement in statements {
        let mut prepared = c.prepare(&format!("EXPLAIN QUERY PLAN {} LIMIT 10", statement.text))?;
        let steps = prepared.query_map(params_from_iter(statement.params), |row| row.get::<_, String>(3))?;
        plans.push(steps.collect::<Result<Vec<_>>>()?.join("\n"));
    }
    Ok(plans)
}
