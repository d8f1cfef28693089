//! Conditions on JSON values: the path to the items, and what they are compared with.
//! See MWDB search §S5.5 and §S6.
//!
//! Pure. A condition travels into SQL as text and is read there once per query.

use std::cmp::Ordering;

use karton_rs::json::{Number, Value, lossy_text};
use serde::{Deserialize, Serialize};

use super::{
    json_text, path,
    pattern::{Escapes, Glob, OutOfTime, Pattern},
    values::literal,
};

/// `path:value` on a JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Condition {
    /// How often the value itself is unwrapped.
    pub(crate) root: usize,
    pub(crate) steps: Vec<Step>,
    pub(crate) test: Test,
}

/// A member, and how often the arrays in it are unwrapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) markers: usize,
}

impl From<path::Element> for Step {
    fn from(element: path::Element) -> Self {
        Self { name: element.name, markers: element.markers }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Test {
    /// The text, or the literal it spells.
    Equals(String),
    /// A pattern, in the notation of [`Pattern::to_text`].
    Like(String),
    /// An interval; a missing bound is open.
    Within { low: Option<Bound>, high: Option<Bound> },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bound {
    pub(crate) text: String,
    pub(crate) inclusive: bool,
}

/// What a bound spells: a literal or, failing that, a string.
fn bound_value(text: &str) -> Value {
    literal(text).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Order of scalars of one kind; nothing between kinds.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => Some(compare_numbers(left, right)),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Unpaired(left), Value::String(right)) => Some(lossy_text(left).as_str().cmp(right)),
        _ => None,
    }
}

/// Order of numbers by their digits, as they are written out in the JSON text.
fn compare_numbers(left: &Number, right: &Number) -> Ordering {
    let digits = |number: &Number| {
        let mut text = String::new();
        json_text::write_number(&mut text, number);
        text
    };
    let (left, right) = (digits(left), digits(right));
    let parts = |text: &str| -> (bool, String, String) {
        let (unsigned, negative) = text.strip_prefix('-').map_or((text, false), |unsigned| (unsigned, true));
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let (whole, fraction) = (whole.trim_start_matches('0').to_owned(), fraction.trim_end_matches('0').to_owned());
        // Zero has no sign.
        (negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction)
    };
    let ((left_negative, left, left_fraction), (right_negative, right, right_fraction)) = (parts(&left), parts(&right));
    match (left_negative, right_negative) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (negative, _) => {
            let order = left.len().cmp(&right.len()).then_with(|| left.cmp(&right)).then_with(|| left_fraction.cmp(&right_fraction));
            if negative { order.reverse() } else { order }
        }
    }
}

impl Test {
    /// An interval with its bounds in order.
    pub(crate) fn within(low: Option<Bound>, high: Option<Bound>) -> Self {
        let swapped = match (&low, &high) {
            (Some(low), Some(high)) => compare(&bound_value(&low.text), &bound_value(&high.text)) == Some(Ordering::Greater),
            _ => false,
        };
        if swapped { Self::Within { low: high, high: low } } else { Self::Within { low, high } }
    }
}

/// A condition made ready for many values.
pub(crate) struct Matcher {
    condition: Condition,
    test: Compiled,
}

enum Compiled {
    Equals {
        text: String,
        literal: Option<Value>,
    },
    /// Starts and ends with a star: compared with the JSON text of an item.
    Inner {
        quoted: Glob,
        structural: Glob,
    },
    Plain(Glob),
    Within {
        low: Option<(Value, bool)>,
        high: Option<(Value, bool)>,
    },
}

impl Matcher {
    pub(crate) fn new(condition: Condition) -> Self {
        let bound = |bound: &Option<Bound>| bound.as_ref().map(|bound| (bound_value(&bound.text), bound.inclusive));
        let test = match &condition.test {
            Test::Equals(text) => Compiled::Equals { text: text.clone(), literal: literal(text) },
            Test::Like(text) => {
                let pattern = Pattern::parse(text, Escapes::Plain);
                if pattern.is_inner() {
                    Compiled::Inner {
                        quoted: Glob::new(&pattern.respelled(json_text::write_character)),
                        structural: Glob::new(&pattern.respelled(json_text::write_structural)),
                    }
                } else {
                    Compiled::Plain(Glob::new(&pattern))
                }
            }
            Test::Within { low, high } => Compiled::Within { low: bound(low), high: bound(high) },
        };
        Self { condition, test }
    }

    pub(crate) fn matches(&self, document: &Value, expired: &dyn Fn() -> bool) -> Result<bool, OutOfTime> {
        for item in self.select(document) {
            if self.holds(item, expired)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The items at the path.
    fn select<'a>(&self, document: &'a Value) -> Vec<&'a Value> {
        let mut items = unwrapped(vec![document], self.condition.root);
        for step in &self.condition.steps {
            let mut found = Vec::new();
            for item in items {
                match item {
                    Value::Array(elements) => found.extend(elements.iter().filter_map(|element| element.get(&step.name))),
                    item => found.extend(item.get(&step.name)),
                }
            }
            items = unwrapped(found, step.markers);
        }
        items
    }

    fn holds(&self, item: &Value, expired: &dyn Fn() -> bool) -> Result<bool, OutOfTime> {
        Ok(match &self.test {
            Compiled::Equals { text, literal } => scalars(item).any(|scalar| match scalar {
                Value::String(found) => found == text,
                Value::Unpaired(found) => lossy_text(found) == *text,
                found => literal.as_ref().is_some_and(|literal| compare(found, literal) == Some(Ordering::Equal)),
            }),
            Compiled::Within { low, high } => scalars(item).any(|scalar| {
                let above = |(bound, inclusive): &(Value, bool)| match compare(scalar, bound) {
                    Some(Ordering::Greater) => true,
                    Some(Ordering::Equal) => *inclusive,
                    _ => false,
                };
                let below = |(bound, inclusive): &(Value, bool)| match compare(scalar, bound) {
                    Some(Ordering::Less) => true,
                    Some(Ordering::Equal) => *inclusive,
                    _ => false,
                };
                low.as_ref().is_none_or(above) && high.as_ref().is_none_or(below)
            }),
            Compiled::Inner { quoted, structural } => {
                let mut text = String::new();
                json_text::write(&mut text, item);
                quoted.matches(&text, expired)? || structural.matches(&text, expired)?
            }
            Compiled::Plain(glob) => match item {
                Value::Null => false,
                Value::String(text) => glob.matches(text, expired)?,
                Value::Unpaired(json) => glob.matches(&lossy_text(json), expired)?,
                other => {
                    let mut text = String::new();
                    json_text::write(&mut text, other);
                    glob.matches(&text, expired)?
                }
            },
        })
    }
}

/// Arrays replaced by their elements, this often.
fn unwrapped(mut items: Vec<&Value>, times: usize) -> Vec<&Value> {
    for _ in 0..times {
        if !items.iter().any(|item| item.as_array().is_some()) {
            break;
        }
        items = items.into_iter().flat_map(|item| item.as_array().map_or(vec![item], |elements| elements.iter().collect())).collect();
    }
    items
}

/// What an item is compared as: itself, the elements of an array, and those of arrays among these.
fn scalars(item: &Value) -> impl Iterator<Item = &Value> {
    unwrapped(vec![item], 2).into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(path: &str, test: Test, json: &str) -> bool {
        let mut elements = path::elements(path).into_iter();
        let root = elements.next().map_or(0, |element| element.markers);
        let condition = Condition { root, steps: elements.map(Step::from).collect(), test };
        Matcher::new(condition).matches(&Value::parse(json).expect("JSON"), &|| false).expect("time enough")
    }

    fn equals(path: &str, text: &str, json: &str) -> bool {
        holds(path, Test::Equals(text.to_owned()), json)
    }

    #[test]
    fn arrays_are_unwrapped_twice_for_comparing() {
        assert!(equals("r", "1", "[[1]]"));
        assert!(!equals("r", "1", "[[[1]]]"));
        assert!(equals("r*", "1", "[[[1]]]"));
        let deep = r#"{"lst": [{"a": [1, [2, [3]]]}]}"#;
        for (path, value, expected) in
            [("r.lst.a", "2", true), ("r.lst.a", "3", false), ("r.lst.a*", "3", true), ("r.lst*.a", "1", true), ("r.lst.a.b", "1", false)]
        {
            assert_eq!(equals(path, value, deep), expected, "{path}:{value}");
        }
    }

    #[test]
    fn numbers_compare_by_value_at_any_size() {
        for (text, json) in [("1", "1.0"), ("100000", "1e5"), ("100000000000000000000000", "1e23"), ("0", "-0.0"), ("0.5", "0.50")] {
            assert!(equals("r", text, json), "{text} {json}");
        }
        for (text, json) in [("1", "true"), ("1", "1.0000001"), ("99999999999999991611392", "1e23"), ("1", "\"1.0\"")] {
            assert!(!equals("r", text, json), "{text} {json}");
        }
    }

    #[test]
    fn bounds_are_put_in_order_and_compare_within_their_kind() {
        let bound = |text: &str, inclusive| Some(Bound { text: text.to_owned(), inclusive });
        let within = |low, high, json: &str| holds("r", Test::within(low, high), json);
        assert!(within(bound("10", true), bound("9", true), "9.5"));
        assert!(within(bound("9", true), bound("10", false), "9") && !within(bound("9", true), bound("10", false), "10"));
        assert!(!within(bound("10", false), bound("9", true), "10"), "a bound keeps its bracket when it moves");
        assert!(!within(bound("1", true), bound("20", true), "\"10\"") && !within(bound("1", true), bound("a", true), "5"));
        assert!(within(bound("2024-05", true), None, "\"2024-06\"") && within(None, bound("0", false), "-5"));
    }
}
