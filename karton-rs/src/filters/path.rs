//! Dotted paths: how a key of a rule finds its value in the headers.
//!
//! The steps are prepared once per filter. A step that is an integer text indexes lists; any other step
//! is looked up in each member of a list.

use super::{
    budget::{Budget, OutOfBudget},
    python_regex::tables,
    view::{Item, View},
};
use crate::json::Key;

/// One step of a path.
#[derive(Debug)]
pub(super) struct Step {
    key: Key,
    /// The step as an index into lists, the way `int` reads it.
    index: Option<i64>,
    /// Python's `str.isdigit`.
    is_digit: bool,
}

/// Splits a key.
pub(super) fn steps(key: &Key) -> Box<[Step]> {
    let step = |key: Key| Step { index: key.as_str().and_then(python_int), is_digit: key.as_str().is_some_and(is_digit), key };
    key.split().into_iter().map(step).collect()
}

/// Why a path gave no value.
#[derive(Debug)]
pub(super) enum Stop {
    /// An index beyond a list: the whole path is missing.
    OutOfRange,
    Budget,
}

impl From<OutOfBudget> for Stop {
    fn from(_: OutOfBudget) -> Self {
        Self::Budget
    }
}

/// The value at the end of a path, missing members of lists included.
pub(super) fn extract<'v>(view: View<'v>, path: &[Step], budget: &Budget) -> Result<Item<'v>, Stop> {
    budget.spend(1)?;
    let Some((step, rest)) = path.split_first() else { return Ok(view.into()) };
    if view.is_null() {
        return Ok(view.into());
    }
    if let Some(list) = view.list() {
        if let Some(index) = step.index {
            let member = from_either_end(index, list.len()).and_then(|index| list.get(index));
            return extract(member.ok_or(Stop::OutOfRange)?, rest, budget);
        }
        let members: Result<_, _> = list.iter().map(|member| extract(member, path, budget)).collect();
        return Ok(Item::List(members?));
    }
    match view.map().and_then(|map| map.get(&step.key)) {
        Some(value) => extract(View::Value(value), rest, budget),
        None => Ok(Item::Missing),
    }
}

/// Why `$exists` on a path failed.
#[derive(Debug)]
pub(super) enum ExistsFault {
    /// A name is looked up in a text; the reference never comes back from that.
    NameInText,
    /// Digits that are no decimal number, such as `²`.
    NotAnIndex,
    Budget,
}

impl From<OutOfBudget> for ExistsFault {
    fn from(_: OutOfBudget) -> Self {
        Self::Budget
    }
}

/// Is there something at the end of the path?
pub(super) fn exists(view: View<'_>, path: &[Step], budget: &Budget) -> Result<bool, ExistsFault> {
    let mut view = view;
    for (position, step) in path.iter().enumerate() {
        budget.spend(1)?;
        if let Some(text) = view.text() {
            if !step.is_digit {
                return if text.is_empty() { Ok(false) } else { Err(ExistsFault::NameInText) };
            }
            let index = usize::try_from(step.index.ok_or(ExistsFault::NotAnIndex)?).unwrap_or(usize::MAX);
            budget.spend(index.min(text.len()) / 16)?;
            // Only whether it is there counts; further steps see a text of one character.
            let Some((start, character)) = text.char_indices().nth(index) else { return Ok(false) };
            match text {
                std::borrow::Cow::Borrowed(text) => view = View::Char(&text[start..start + character.len_utf8()]),
                std::borrow::Cow::Owned(_) => view = View::Char("\u{fffd}"),
            }
        } else if let Some(list) = view.list() {
            if !step.is_digit {
                for member in list.iter() {
                    if exists(member, &path[position..], budget)? {
                        return Ok(true);
                    }
                }
                return Ok(false);
            }
            let index = usize::try_from(step.index.ok_or(ExistsFault::NotAnIndex)?).unwrap_or(usize::MAX);
            match list.get(index) {
                Some(member) => view = member,
                None => return Ok(false),
            }
        } else {
            match view.map().and_then(|map| map.get(&step.key)) {
                Some(value) => view = View::Value(value),
                None => return Ok(false),
            }
        }
    }
    Ok(true)
}

fn from_either_end(index: i64, length: usize) -> Option<usize> {
    if index >= 0 {
        return usize::try_from(index).ok();
    }
    length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
}

/// Python's `int(text)`, with numbers beyond 64 bits at the nearest end (no list is that long).
pub(super) fn python_int(text: &str) -> Option<i64> {
    /// Python refuses more digits.
    const MOST_DIGITS: usize = 4300;
    let text = text.trim_matches(|character| in_table(tables::SPACE, character));
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let mut number = 0_i64;
    let mut count = 0;
    // A single underscore may stand between two digits.
    let mut after_digit = false;
    for character in digits.chars() {
        if character == '_' && after_digit {
            after_digit = false;
            continue;
        }
        number = number.saturating_mul(10).saturating_add(decimal(character)?);
        count += 1;
        after_digit = true;
    }
    (after_digit && count <= MOST_DIGITS).then_some(if negative { -number } else { number })
}

/// Value of any decimal digit of Unicode.
fn decimal(character: char) -> Option<i64> {
    if character.is_ascii() {
        return character.to_digit(10).map(i64::from);
    }
    let code = u32::from(character);
    let (low, _) = tables::DIGIT.iter().find(|(low, high)| (*low..=*high).contains(&code))?;
    Some(i64::from((code - low) % 10))
}

fn is_digit(text: &str) -> bool {
    let digit = |character| in_table(tables::DIGIT, character) || in_table(tables::OTHER_DIGIT, character);
    !text.is_empty() && text.chars().all(digit)
}

fn in_table(table: &[(u32, u32)], character: char) -> bool {
    let code = u32::from(character);
    table.iter().any(|(low, high)| (*low..=*high).contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_python_does() {
        for (text, number) in [("0", 0), (" -1 ", -1), ("+07", 7), ("1_0", 10), ("\u{661}\u{662}", 12), ("\u{a0}3", 3)] {
            assert_eq!(python_int(text), Some(number), "{text}");
        }
        for text in ["", "-", "_1", "1_", "1__0", "- 1", "1.0", "²", "a", "+-1", "0x1"] {
            assert_eq!(python_int(text), None, "{text}");
        }
        assert_eq!(python_int(&"9".repeat(30)), Some(i64::MAX));
        assert_eq!(python_int(&"1".repeat(4301)), None);
    }
}
