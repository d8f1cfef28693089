//! Values as the evaluation sees them: borrowed from the headers, or missing.
//!
//! A path through a list gives a list that is nowhere in the headers ([`Item`]); everything else is
//! borrowed, so looking at a value never copies it.

use std::{borrow::Cow, cmp::Ordering};

use super::budget::{Budget, OutOfBudget};
use crate::json::{Map, Number, Value, code_points, lossy_text, python_literal, python_text};

/// A value to look at.
#[derive(Debug, Clone, Copy)]
pub(super) enum View<'v> {
    Missing,
    Value(&'v Value),
    /// The headers themselves.
    Map(&'v Map),
    /// One character of a text.
    Char(&'v str),
    List(&'v [Item<'v>]),
}

/// What a path gives.
#[derive(Debug)]
pub(super) enum Item<'v> {
    Missing,
    Value(&'v Value),
    Map(&'v Map),
    Char(&'v str),
    Borrowed(&'v [Self]),
    List(Vec<Self>),
}

impl<'v> From<View<'v>> for Item<'v> {
    fn from(view: View<'v>) -> Self {
        match view {
            View::Missing => Self::Missing,
            View::Value(value) => Self::Value(value),
            View::Map(map) => Self::Map(map),
            View::Char(text) => Self::Char(text),
            View::List(items) => Self::Borrowed(items),
        }
    }
}

impl<'v> Item<'v> {
    pub(super) fn view(&'v self) -> View<'v> {
        match self {
            Self::Missing => View::Missing,
            Self::Value(value) => View::Value(value),
            Self::Map(map) => View::Map(map),
            Self::Char(text) => View::Char(text),
            Self::Borrowed(items) => View::List(items),
            Self::List(items) => View::List(items),
        }
    }
}

/// A list of either kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum List<'v> {
    Values(&'v [Value]),
    Items(&'v [Item<'v>]),
}

impl<'v> List<'v> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            Self::Items(items) => items.len(),
        }
    }

    pub(super) fn get(self, index: usize) -> Option<View<'v>> {
        match self {
            Self::Values(values) => values.get(index).map(View::Value),
            Self::Items(items) => items.get(index).map(Item::view),
        }
    }

    pub(super) fn iter(self) -> impl Iterator<Item = View<'v>> {
        (0..self.len()).filter_map(move |index| self.get(index))
    }
}

impl<'v> View<'v> {
    pub(super) fn is_null(self) -> bool {
        matches!(self, View::Value(Value::Null))
    }

    pub(super) fn list(self) -> Option<List<'v>> {
        match self {
            View::Value(Value::Array(values)) => Some(List::Values(values)),
            View::List(items) => Some(List::Items(items)),
            _ => None,
        }
    }

    pub(super) fn map(self) -> Option<&'v Map> {
        match self {
            View::Value(Value::Object(map)) | View::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, View::Value(Value::String(_) | Value::Unpaired(_)) | View::Char(_))
    }

    /// The text of a string. Lone surrogates, which Rust cannot hold, are replaced.
    pub(super) fn text(self) -> Option<Cow<'v, str>> {
        match self {
            View::Value(value) => text_of(value),
            View::Char(text) => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    /// Whether a text holds another one, which is not Unicode and given by its JSON text.
    pub(super) fn has_unpaired(self, wanted: &str) -> bool {
        let View::Value(Value::Unpaired(json)) = self else { return false };
        let wanted = code_points(wanted);
        code_points(json).windows(wanted.len()).any(|part| part == wanted)
    }

    /// A number, or a boolean as one.
    pub(super) fn number(self) -> Option<Cow<'v, Number>> {
        match self {
            View::Value(value) => number_of(value),
            _ => None,
        }
    }

    /// Python's `==` with a value of the filter.
    pub(super) fn equals(self, wanted: &Value, budget: &Budget) -> Result<bool, OutOfBudget> {
        budget.spend(cost(wanted))?;
        match (self, wanted) {
            (View::Value(value), _) => Ok(value == wanted),
            (View::Map(map), Value::Object(wanted)) => Ok(map == wanted),
            (View::Char(text), Value::String(wanted)) => Ok(text == wanted),
            (View::List(items), Value::Array(wanted)) if items.len() == wanted.len() => {
                for (item, wanted) in items.iter().zip(wanted) {
                    if !item.view().equals(wanted, budget)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Python's order; nothing where Python raises or a NaN is met.
    pub(super) fn order(self, wanted: &Value, budget: &Budget) -> Result<Option<Ordering>, OutOfBudget> {
        budget.spend(cost(wanted))?;
        if let (Some(list), Value::Array(wanted)) = (self.list(), wanted) {
            for (member, wanted) in list.iter().zip(wanted) {
                if !member.equals(wanted, budget)? {
                    return member.order(wanted, budget);
                }
            }
            return Ok(Some(list.len().cmp(&wanted.len())));
        }
        if let (Some(number), Some(wanted)) = (self.number(), number_of(wanted)) {
            return Ok(number.python_cmp(&wanted));
        }
        Ok(match (self.text(), text_of(wanted)) {
            (Some(text), Some(wanted)) => Some(text.cmp(&wanted)),
            _ => None,
        })
    }

    /// Is Python's `str(value)` this text? Not for strings, which compare as they are.
    pub(super) fn reads(self, wanted: &str, budget: &Budget) -> Result<bool, OutOfBudget> {
        let mut rest = wanted;
        Ok(eat_literal(self, &mut rest, budget)? && rest.is_empty())
    }
}

/// Takes the literal form of a value off the front of a text; false as soon as it differs.
fn eat_literal(view: View<'_>, rest: &mut &str, budget: &Budget) -> Result<bool, OutOfBudget> {
    budget.spend(1)?;
    if let Some(list) = view.list() {
        return eat_members(list.len(), "[", "]", rest, |index, rest| match list.get(index) {
            Some(member) => eat_literal(member, rest, budget),
            None => Ok(false),
        });
    }
    if let Some(map) = view.map() {
        return eat_members(map.len(), "{", "}", rest, |index, rest| {
            let Some((key, value)) = map.get_index(index) else { return Ok(false) };
            budget.spend(key.spelled().len() / 16)?;
            let key = python_literal(&Value::from(key));
            Ok(eat(&key, rest) && eat(": ", rest) && eat_literal(View::Value(value), rest, budget)?)
        });
    }
    Ok(match view {
        View::Value(Value::Null) => eat("None", rest),
        View::Value(Value::Bool(flag)) => eat(if *flag { "True" } else { "False" }, rest),
        View::Value(value @ Value::Number(number)) => {
            budget.spend(number.literal().len() / 16)?;
            // Most texts are no numbers: see that before making one.
            let may_be_number = rest.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | 'i' | 'n'));
            may_be_number && eat(&python_text(value), rest)
        }
        View::Value(value) => {
            budget.spend(cost(value))?;
            eat(&python_literal(value), rest)
        }
        // A missing member prints as an object at some address: no text equals that.
        View::Missing | View::Map(_) | View::Char(_) | View::List(_) => false,
    })
}

fn eat_members(
    count: usize,
    open: &str,
    close: &str,
    rest: &mut &str,
    mut member: impl FnMut(usize, &mut &str) -> Result<bool, OutOfBudget>,
) -> Result<bool, OutOfBudget> {
    if !eat(open, rest) {
        return Ok(false);
    }
    for index in 0..count {
        if (index > 0 && !eat(", ", rest)) || !member(index, rest)? {
            return Ok(false);
        }
    }
    Ok(eat(close, rest))
}

fn eat(prefix: &str, rest: &mut &str) -> bool {
    match rest.strip_prefix(prefix) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

/// What a comparison with this value may cost, roughly.
fn cost(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => 1 + text.len() / 64,
        Value::Unpaired(text) => 1 + text.len() / 64,
        Value::Array(items) => 1 + items.len(),
        Value::Object(map) => 1 + map.len(),
    }
}

/// The text of a string value. Lone surrogates are replaced.
pub(super) fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Unpaired(json) => Some(Cow::Owned(lossy_text(json))),
        _ => None,
    }
}

fn number_of(value: &Value) -> Option<Cow<'_, Number>> {
    match value {
        Value::Number(number) => Some(Cow::Borrowed(number)),
        Value::Bool(flag) => Some(Cow::Owned(Number::from(i64::from(*flag)))),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_python_prints_them() {
        for (json, text) in [
            ("null", "None"),
            ("true", "True"),
            ("1.0", "1.0"),
            ("-0", "0"),
            ("1e16", "1e+16"),
            ("[\"x\", 1, null]", "['x', 1, None]"),
            ("{\"b\": {\"it's\": []}}", "{'b': {\"it's\": []}}"),
        ] {
            let value = Value::parse(json).unwrap();
            assert!(View::Value(&value).reads(text, &Budget::new()).unwrap(), "{json} {text}");
            assert!(!View::Value(&value).reads(&format!("{text} "), &Budget::new()).unwrap(), "{json} {text}");
        }
    }

    #[test]
    fn lone_surrogates_are_replaced_in_texts() {
        let value = Value::parse("\"a\\ud800\\n\\ud83d\\ude00\"").unwrap();
        assert_eq!(View::Value(&value).text().unwrap(), "a\u{fffd}\n\u{1f600}");
    }
}
