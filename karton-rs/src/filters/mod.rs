//! Header filters: which tasks a consumer gets (Karton protocol §6).
//!
//! [`Filters`] is compiled once per bind and evaluated on the headers of each task, without copying
//! them. The one rule: **evaluation order is part of the meaning**. An operator that is misused is an
//! error only when it is reached, exactly where the reference would raise.

mod budget;
mod condition;
mod error;
mod eval;
mod explain;
mod modulo;
mod path;
mod python_regex;
mod view;
mod wildcard;

use std::sync::Arc;

pub use self::error::{FilterError, FilterErrorKind};
pub use self::explain::{ConditionOutcome, Explanation, RuleOutcome};
use self::{
    budget::Budget,
    condition::{Entry, kind_of},
    view::{View, text_of},
    wildcard::is_wildcard,
};
use crate::json::{Key, Map, Value};

/// The filters of a bind: a list of rules, compiled.
///
/// A clone is cheap and shares the compiled form. Two filters are equal if their lists are.
///
/// ```
/// use karton_rs::filters::Filters;
/// use karton_rs::json::Value;
///
/// let filters = Filters::compile(&Value::parse(
///     r#"[{"type": "sample", "platform": "!win*", "size": {"$lt": 1000}}]"#,
/// )?)?;
/// let headers = |text| Value::parse(text).map(|value| value.as_object().cloned().unwrap_or_default());
/// assert!(filters.matches(&headers(r#"{"type": "sample", "platform": "linux", "size": 12}"#)?)?);
/// assert!(!filters.matches(&headers(r#"{"type": "sample", "platform": "win32", "size": 12}"#)?)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Filters {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    source: Value,
    rules: Vec<Rule>,
}

/// One object of the list.
#[derive(Debug)]
struct Rule {
    /// All must hold.
    positive: Vec<Entry>,
    /// Texts after a `!`: if one holds beside all positives, the whole list rejects the task.
    negative: Vec<Entry>,
}

impl Filters {
    /// Compiles the value under `filters` of a bind.
    ///
    /// Only the shape is checked here: a list of objects (an empty string or object counts as an empty
    /// list). Operators are checked when evaluation reaches them, as the protocol wants.
    ///
    /// # Errors
    /// When the value has another shape, or is nested beyond all measure.
    pub fn compile(filters: &Value) -> Result<Self, FilterError> {
        let rules = match filters {
            Value::Array(rules) => rules.iter().enumerate().map(|(index, rule)| Rule::compile(index, rule)).collect::<Result<_, _>>()?,
            Value::Object(map) if map.is_empty() => Vec::new(),
            Value::String(text) if text.is_empty() => Vec::new(),
            _ => {
                let reason = format!("filters must be a list of objects, not {}", kind_of(filters));
                return Err(FilterError::new(FilterErrorKind::Other, reason));
            }
        };
        Ok(Self { inner: Arc::new(Inner { source: filters.clone(), rules }) })
    }

    /// Does a task with these headers belong to the consumer?
    ///
    /// # Errors
    /// When an operator that is reached is unknown or misused, or the evaluation was given up for its
    /// length. The bind must not get the task then; see [`FilterErrorKind`].
    pub fn matches(&self, headers: &Map) -> Result<bool, FilterError> {
        let budget = Budget::new();
        let mut matched = false;
        for (index, rule) in self.inner.rules.iter().enumerate() {
            match rule.judge(headers, &budget).map_err(|error| error.in_rule(index))? {
                Verdict::Rejects => return Ok(false),
                Verdict::Matches => matched = true,
                Verdict::Passes => {}
            }
        }
        Ok(matched)
    }

    /// The list as it was given.
    pub fn source(&self) -> &Value {
        &self.inner.source
    }

    /// The list, to write a bind.
    pub fn to_value(&self) -> Value {
        self.inner.source.clone()
    }

    /// Number of rules.
    pub fn len(&self) -> usize {
        self.inner.rules.len()
    }

    /// No rules: such a bind gets nothing.
    pub fn is_empty(&self) -> bool {
        self.inner.rules.is_empty()
    }
}

impl PartialEq for Filters {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner) || self.inner.source == other.inner.source
    }
}

/// What one rule says about a task.
enum Verdict {
    /// The positive part holds and no negation does.
    Matches,
    /// The positive part holds and so does a negation.
    Rejects,
    /// The positive part does not hold.
    Passes,
}

impl Rule {
    fn compile(index: usize, rule: &Value) -> Result<Self, FilterError> {
        let Value::Object(members) = rule else {
            let reason = format!("a rule must be an object, not {}", kind_of(rule));
            return Err(FilterError::new(FilterErrorKind::Other, reason).in_rule(index));
        };
        let mut compiled = Self { positive: Vec::new(), negative: Vec::new() };
        for (key, value) in members {
            let (side, entry) = match after_negation(value) {
                Some(text) => (&mut compiled.negative, entry(key, &text)),
                None => (&mut compiled.positive, entry(key, value)),
            };
            side.push(entry.map_err(|error| error.inside(key).in_rule(index))?);
        }
        Ok(compiled)
    }

    fn judge(&self, headers: &Map, budget: &Budget) -> Result<Verdict, FilterError> {
        for entry in &self.positive {
            if !eval::entry_holds(entry, View::Map(headers), budget)? {
                return Ok(Verdict::Passes);
            }
        }
        for entry in &self.negative {
            if eval::entry_holds(entry, View::Map(headers), budget)? {
                return Ok(Verdict::Rejects);
            }
        }
        Ok(Verdict::Matches)
    }
}

/// What stands behind the `!` of a text that begins with one.
fn after_negation(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => text.strip_prefix('!').map(Value::from),
        // In JSON text it stands for itself.
        Value::Unpaired(json) => json.strip_prefix("\"!").map(|rest| Value::Unpaired(format!("\"{rest}").into())),
        _ => None,
    }
}

/// A key with a condition, which may be a wildcard.
fn entry(key: &Key, value: &Value) -> Result<Entry, FilterError> {
    let Some(text) = text_of(value).filter(|text| is_wildcard(text)) else {
        return Entry::compile(key, value, 0);
    };
    if key.spelled().starts_with('$') {
        // An operator on all headers. Its operand is an object then, which no operator can hold
        // against an object with another outcome than the pattern's own text would give.
        let operand = Map::from_iter([("$regex", value.clone())]);
        return Entry::compile(key, &Value::Object(operand), 0);
    }
    Ok(Entry::wildcard(key, &text))
}
