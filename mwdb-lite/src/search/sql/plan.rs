//! From where the objects of a page are read.
//!
//! Reading `n` objects costs as much as the source names before `n` of them hold, so the source with
//! the fewest is taken: of the condition, or of what the caller's groups see. How many a source names
//! is counted up to a bound. The one rule: **the choice changes the time only**, since every object is
//! put to the whole test.

use rusqlite::{Connection, Result, params_from_iter};

use super::{
    Cond, Part, Source,
    parts::MOST_SOURCES,
    read::{self, Query},
    sql,
};
use crate::{
    auth::{Caller, Capability},
    db::Sql,
};

/// Counting stops here: sources with more are all alike. Those whose rows must be sorted first are not
/// used beyond it: then matches are frequent among the newest objects.
const MANY: u64 = 5000;
/// A way that names no more than this is taken without a look at others.
const FEW: u64 = 100;
/// Parts that are counted at most.
const MOST_COUNTED: usize = 40;
/// Relatives that are looked up first; those of more are found from the other side.
const MOST_RELATIVES: u64 = 200;

/// What to read.
#[derive(Debug)]
pub(super) enum Plan {
    /// All objects, newest first.
    All,
    /// The objects that these sources name.
    Sources(Vec<Source>),
}

struct Way {
    sources: Vec<Source>,
    count: u64,
}

struct Planner<'a> {
    c: &'a Connection,
    query: &'a Query<'a>,
    /// With one way there is nothing to choose.
    choosing: bool,
    counted: usize,
}

/// The plan for a condition.
pub(super) fn plan(c: &Connection, query: &Query<'_>) -> Result<Plan> {
    let groups = groups(query.caller, query);
    let choosing = ways_in(query.cond) + usize::from(groups.is_some()) > 1;
    let mut planner = Planner { c, query, choosing, counted: 0 };
    let best = planner.best(query.cond)?;
    let seen = match groups {
        Some(groups) => planner.measure(groups)?,
        None => None,
    };
    let chosen = match (best, seen) {
        // Alike: what the condition names is a better guess at what satisfies it.
        (Some(best), Some(seen)) => Some(if seen.count < best.count { seen } else { best }),
        (best, seen) => best.or(seen),
    };
    Ok(chosen.map_or(Plan::All, |way| Plan::Sources(way.sources)))
}

/// What the caller's groups see, one walk over an index each, or of very many groups all together. Nothing for those who see everything.
fn groups(caller: &Caller, query: &Query<'_>) -> Option<Vec<Source>> {
    if caller.has(Capability::AccessAllObjects) {
        return None;
    }
    if caller.groups.len() > MOST_SOURCES {
        let ids: Vec<i64> = caller.groups.iter().map(|group| group.id).collect();
        let cond = sql("s.group_id IN (SELECT value FROM json_each(?))", [super::list(&ids)]);
        return Some(vec![Source::new("permission s", "s.object_id", cond).unordered().repeating()]);
    }
    let source = |id: i64| {
        let cond = match query.kind {
            Some(kind) => sql("s.group_id = ? AND s.type = ?", [id.into(), kind.code().into()]),
            None => sql("s.group_id = ?", [id.into()]),
        };
        Source::new("permission s", "s.object_id", cond)
    };
    Some(caller.groups.iter().map(|group| source(group.id)).collect())
}

/// How many ways a condition offers to find its objects.
fn ways_in(cond: &Cond) -> usize {
    match cond {
        Cond::Always | Cond::Never | Cond::Part { negated: true, .. } => 0,
        Cond::All(parts) => parts.iter().map(ways_in).sum(),
        // All of them or none, and their sizes add up.
        Cond::Any(parts) => usize::from(parts.iter().all(|part| ways_in(part) > 0)) * 2,
        Cond::Part { part, .. } => part.ways.len() + 2 * usize::from(part.relatives.is_some()),
    }
}

impl Planner<'_> {
    fn best(&mut self, cond: &Cond) -> Result<Option<Way>> {
        match cond {
            Cond::Always | Cond::Part { negated: true, .. } => Ok(None),
            Cond::Never => Ok(Some(Way { sources: Vec::new(), count: 0 })),
            Cond::All(parts) => {
                let mut best: Option<Way> = None;
                for part in parts {
                    if let Some(way) = self.best(part)?
                        && best.as_ref().is_none_or(|best| way.count < best.count)
                    {
                        best = Some(way);
                    }
                }
                Ok(best)
            }
            Cond::Any(parts) => {
                let mut all = Way { sources: Vec::new(), count: 0 };
                for part in parts {
                    let Some(way) = self.best(part)? else { return Ok(None) };
                    all.sources.extend(way.sources);
                    all.count += way.count;
                    if all.sources.len() > MOST_SOURCES {
                        return Ok(None);
                    }
                }
                Ok(Some(all))
            }
            Cond::Part { part, .. } => self.best_of(part),
        }
    }

    fn best_of(&mut self, part: &Part) -> Result<Option<Way>> {
        let mut best: Option<Way> = None;
        for sources in &part.ways {
            if best.as_ref().is_some_and(|best| best.count <= FEW) {
                break;
            }
            if let Some(way) = self.measure(sources.clone())?
                && best.as_ref().is_none_or(|best| way.count < best.count)
            {
                best = Some(way);
            }
        }
        match self.through_relatives(part)? {
            Some(sources) => self.measure(sources),
            None => Ok(best),
        }
    }

    /// Sources for the relatives of the few objects that the inner condition holds for.
    fn through_relatives(&self, part: &Part) -> Result<Option<Vec<Source>>> {
        let Some(relatives) = &part.relatives else { return Ok(None) };
        // Without a way of their own they would be searched for among all objects.
        if ways_in(&relatives.cond) == 0 {
            return Ok(None);
        }
        let inner = Query { kind: None, cond: &relatives.cond, ..*self.query };
        let found = read::ids(self.c, &inner, i64::MAX, MOST_RELATIVES + 1)?;
        if found.len() as u64 > MOST_RELATIVES {
            return Ok(None);
        }
        let id: &'static str = if relatives.own == "child_id" { "s.child_id" } else { "s.parent_id" };
        let source = |cond: Sql| Source::new("relation s", id, cond);
        if found.len() > MOST_SOURCES {
            let cond = sql(&format!("s.{} IN (SELECT value FROM json_each(?))", relatives.other), [super::list(&found)]);
            return Ok(Some(vec![source(cond).unordered().repeating()]));
        }
        Ok(Some(found.into_iter().map(|relative| source(sql(&format!("s.{} = ?", relatives.other), [relative.into()]))).collect()))
    }

    /// The sources with how much they name, unless they would have to be sorted and are too many.
    fn measure(&mut self, sources: Vec<Source>) -> Result<Option<Way>> {
        let sorted = sources.iter().any(|source| !source.ordered);
        if !self.choosing && !sorted {
            return Ok(Some(Way { sources, count: 0 }));
        }
        let mut count = 0;
        for source in &sources {
            // What is not counted is taken for much.
            let found = if self.counted < MOST_COUNTED || !source.ordered { self.count(source)? } else { MANY };
            self.counted += 1;
            if !source.ordered && found >= MANY {
                return Ok(None);
            }
            count += found;
            if count >= MANY && !sorted {
                break;
            }
        }
        Ok(Some(Way { sources, count: count.min(MANY) }))
    }

    fn count(&self, source: &Source) -> Result<u64> {
        let mut statement = Sql::new(format!("SELECT count(*) FROM (SELECT 1 FROM {} WHERE ", source.from));
        statement.append(source.cond.clone()).push_with(" LIMIT ?)", i64::try_from(MANY).unwrap_or(i64::MAX));
        self.c.prepare_cached(&statement.text)?.query_row(params_from_iter(statement.params), |row| row.get(0))
    }
}
