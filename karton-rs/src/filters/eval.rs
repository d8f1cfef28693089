//! Evaluation: a condition and a value give true, false or an error.
//!
//! Order is part of the meaning: evaluation stops at the first member that decides, and an error that
//! is not reached does not exist. Nothing is copied from the headers.

use std::cmp::Ordering;

use super::{
    budget::{Budget, OutOfBudget},
    condition::{Action, Comparison, Condition, Entry, Operator, TypeCheck},
    error::{FilterError, FilterErrorKind},
    modulo,
    path::{ExistsFault, Stop, exists, extract},
    view::{Item, View},
};
use crate::json::{Key, Value};

type Outcome = Result<bool, FilterError>;

impl From<OutOfBudget> for FilterError {
    fn from(_: OutOfBudget) -> Self {
        Self::new(FilterErrorKind::Limit, "evaluation takes too many steps")
    }
}

fn other(reason: impl Into<String>) -> FilterError {
    FilterError::new(FilterErrorKind::Other, reason)
}

/// Does the value meet the condition?
pub(super) fn matches(condition: &Condition, view: View<'_>, budget: &Budget) -> Outcome {
    match condition {
        Condition::Entries(entries) => all(entries, |entry| entry_holds(entry, view, budget)),
        Condition::Value(wanted) => match view.list() {
            Some(list) => any(list.iter(), |member| Ok(member.equals(wanted, budget)?)),
            None => equals(wanted, view, budget),
        },
    }
}

fn all<T>(items: impl IntoIterator<Item = T>, mut holds: impl FnMut(T) -> Outcome) -> Outcome {
    for item in items {
        if !holds(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn any<T>(items: impl IntoIterator<Item = T>, mut holds: impl FnMut(T) -> Outcome) -> Outcome {
    for item in items {
        if holds(item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Equality where a string condition is compared with the text of other values.
fn equals(wanted: &Value, view: View<'_>, budget: &Budget) -> Outcome {
    match wanted {
        Value::String(text) if !view.is_text() => Ok(view.reads(text, budget)?),
        _ => Ok(view.equals(wanted, budget)?),
    }
}

/// One entry of an object condition; errors carry its key.
pub(super) fn entry_holds(entry: &Entry, view: View<'_>, budget: &Budget) -> Outcome {
    entry_outcome(entry, view, budget).map_err(|error| error.inside(&entry.key))
}

fn entry_outcome(entry: &Entry, view: View<'_>, budget: &Budget) -> Outcome {
    budget.spend(1)?;
    if let Some(presence) = &entry.presence {
        let present = is_present(&entry.key, view, budget)?;
        if presence.wanted != Value::Bool(present) {
            return Ok(false);
        }
        if presence.only {
            return Ok(true);
        }
    }
    match &entry.action {
        Action::Operator(operator) => operator_holds(operator, view, budget),
        Action::Path { steps, condition } => {
            let item = match extract(view, steps, budget) {
                Ok(item) => item,
                Err(Stop::OutOfRange) => Item::Missing,
                Err(Stop::Budget) => return Err(OutOfBudget.into()),
            };
            matches(condition, item.view(), budget)
        }
        Action::PathExists { steps, wanted } => match exists(view, steps, budget) {
            Ok(found) => Ok(found == *wanted),
            Err(ExistsFault::NameInText) => Err(other("$exists on a path through a string")),
            Err(ExistsFault::NotAnIndex) => Err(other("$exists on a path with digits that are no number")),
            Err(ExistsFault::Budget) => Err(OutOfBudget.into()),
        },
    }
}

/// What `$exists` asks: key of an object, member of a list, part of a string.
fn is_present(key: &Key, view: View<'_>, budget: &Budget) -> Outcome {
    if let Some(map) = view.map() {
        return Ok(map.contains_key(key));
    }
    if let Some(list) = view.list() {
        let wanted = Value::from(key);
        return any(list.iter(), |member| Ok(member.equals(&wanted, budget)?));
    }
    match view.text() {
        Some(text) => {
            budget.spend(text.len() / 16)?;
            Ok(match key {
                Key::Text(key) => text.contains(key.as_str()),
                Key::Unpaired(key) => view.has_unpaired(key),
            })
        }
        None => Err(other(format!("$exists on {}", describe(view)))),
    }
}

fn operator_holds(operator: &Operator, view: View<'_>, budget: &Budget) -> Outcome {
    match operator {
        Operator::Eq(wanted) => equals(wanted, view, budget),
        Operator::Ne(wanted) => equals(wanted, view, budget).map(|equal| !equal),
        Operator::Compare(comparison, wanted) => {
            let order = view.order(wanted, budget)?;
            Ok(order.is_some_and(|order| match comparison {
                Comparison::Greater => order == Ordering::Greater,
                Comparison::GreaterOrEqual => order != Ordering::Less,
                Comparison::Less => order == Ordering::Less,
                Comparison::LessOrEqual => order != Ordering::Greater,
            }))
        }
        Operator::In { members, negated } => {
            let found = match view.list() {
                Some(list) => any(members, |wanted| any(list.iter(), |member| Ok(member.equals(wanted, budget)?))),
                None => any(members, |wanted| Ok(view.equals(wanted, budget)?)),
            };
            found.map(|found| found != *negated)
        }
        Operator::All(conditions) | Operator::And(conditions) => all(conditions, |condition| matches(condition, view, budget)),
        Operator::Or(conditions) => any(conditions, |condition| matches(condition, view, budget)),
        Operator::Nor(conditions) => any(conditions, |condition| matches(condition, view, budget)).map(|found| !found),
        Operator::Not(condition) => matches(condition, view, budget).map(|holds| !holds),
        Operator::ElemMatch(entries) => elem_match(entries, view, budget),
        Operator::Size(wanted) => match view.list() {
            Some(list) => Ok(*wanted == Some(list.len() as u64)),
            None => Ok(false),
        },
        Operator::Regex(regex) => match view.text() {
            Some(text) => {
                let found = regex.pattern()?.search(&text, budget);
                found.map_err(|_| FilterError::new(FilterErrorKind::Limit, "the regular expression takes too many steps"))
            }
            None => Ok(false),
        },
        Operator::Wildcard(wildcard) => match view.text() {
            Some(text) => Ok(wildcard.matches(&text, budget)?),
            None => Ok(false),
        },
        Operator::Type(check) => Ok(is_type(*check, view)),
        Operator::Mod(operand) => modulo::holds(operand, view),
        Operator::Exists => Ok(true),
        Operator::Invalid(kind, reason) => Err(FilterError::new(*kind, reason.as_str())),
    }
}

fn elem_match(entries: &Result<Vec<Entry>, String>, view: View<'_>, budget: &Budget) -> Outcome {
    let holds = |member: View<'_>| match entries {
        Ok(entries) => {
            budget.spend(1)?;
            all(entries, |entry| entry_holds(entry, member, budget))
        }
        Err(reason) => Err(FilterError::new(FilterErrorKind::Query, reason.as_str())),
    };
    if let Some(list) = view.list() {
        return any(list.iter(), holds);
    }
    match view.text() {
        Some(text) => any(text.char_indices(), |(start, character)| holds(View::Char(&text[start..start + character.len_utf8()]))),
        None => Ok(false),
    }
}

fn is_type(check: TypeCheck, view: View<'_>) -> bool {
    let integer = || match view {
        View::Value(Value::Bool(_)) => true,
        View::Value(Value::Number(number)) => number.is_integer(),
        _ => false,
    };
    match check {
        TypeCheck::Float => matches!(view, View::Value(Value::Number(number)) if !number.is_integer()),
        TypeCheck::Text => view.is_text(),
        TypeCheck::Object => view.map().is_some(),
        TypeCheck::Sequence => view.is_text() || view.list().is_some(),
        TypeCheck::Bool => matches!(view, View::Value(Value::Bool(_))),
        TypeCheck::Null => view.is_null(),
        TypeCheck::Integer => integer(),
        TypeCheck::Number => integer() || matches!(view, View::Value(Value::Number(_))),
        TypeCheck::Never => false,
    }
}

/// What a value is, for messages.
pub(super) fn describe(view: View<'_>) -> &'static str {
    match view {
        View::Missing => "a value that is missing",
        View::Value(value) => super::condition::kind_of(value),
        View::Map(_) => "an object",
        View::Char(_) => "a string",
        View::List(_) => "a list",
    }
}
