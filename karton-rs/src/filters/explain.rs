//! Why filters match, or do not: the same evaluation as [`Filters::matches`], with its reasons kept.
//!
//! The one rule: the outcome is that of [`Filters::matches`], because both ask the same entries in the
//! same order with the same budget.

use super::{Filters, Rule, budget::Budget, error::FilterError, eval, view::View};
use crate::json::{Key, Map, Value};

/// What filters say about headers, and why.
///
/// ```
/// use karton_rs::filters::{Filters, RuleOutcome};
/// use karton_rs::json::Value;
///
/// let filters = Filters::compile(&Value::parse(r#"[{"type": "sample", "stage": "recognized"}]"#)?)?;
/// let headers = Value::parse(r#"{"type": "sample", "stage": "raw"}"#)?;
/// let explanation = filters.explain(headers.as_object().unwrap());
/// assert_eq!(explanation.outcome, Ok(false));
/// let RuleOutcome::Fails(condition) = &explanation.rules[0] else { panic!() };
/// assert_eq!((condition.header.as_str(), condition.wanted.as_str()), ("stage", Some("recognized")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Explanation {
    /// What [`Filters::matches`] gives.
    pub outcome: Result<bool, FilterError>,
    /// Each rule that was reached, in order.
    pub rules: Vec<RuleOutcome>,
}

/// What one rule says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RuleOutcome {
    /// All of it holds.
    Matches,
    /// This condition does not hold.
    Fails(ConditionOutcome),
    /// All of it holds, and so does this negation, which rejects the task for the whole list.
    Rejects(ConditionOutcome),
    /// It cannot be evaluated.
    Error(FilterError),
}

/// A condition, and what it was held against.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConditionOutcome {
    /// Name of the header, a path into one, or an operator on all headers.
    pub header: String,
    /// What the rule asks for.
    pub wanted: Value,
    /// What the task has; nothing when it has no such header.
    pub actual: Option<Value>,
}

impl Filters {
    /// Like [`Filters::matches`], and why.
    pub fn explain(&self, headers: &Map) -> Explanation {
        let budget = Budget::new();
        let mut rules = Vec::new();
        let mut matched = false;
        for (index, rule) in self.inner.rules.iter().enumerate() {
            let source = self.inner.source.as_array().and_then(|rules| rules.get(index)).and_then(Value::as_object);
            let outcome = explain_rule(rule, source, headers, &budget);
            let outcome = outcome.unwrap_or_else(|error| RuleOutcome::Error(error.in_rule(index)));
            rules.push(outcome.clone());
            match outcome {
                RuleOutcome::Matches => matched = true,
                RuleOutcome::Fails(_) => {}
                RuleOutcome::Rejects(_) => return Explanation { outcome: Ok(false), rules },
                RuleOutcome::Error(error) => return Explanation { outcome: Err(error), rules },
            }
        }
        Explanation { outcome: Ok(matched), rules }
    }
}

fn explain_rule(rule: &Rule, source: Option<&Map>, headers: &Map, budget: &Budget) -> Result<RuleOutcome, FilterError> {
    let condition = |key: &Key| ConditionOutcome {
        header: key.to_string(),
        wanted: source.and_then(|source| source.get(key)).cloned().unwrap_or_default(),
        actual: actual(headers, key),
    };
    for entry in &rule.positive {
        if !eval::entry_holds(entry, View::Map(headers), budget)? {
            return Ok(RuleOutcome::Fails(condition(&entry.key)));
        }
    }
    for entry in &rule.negative {
        if eval::entry_holds(entry, View::Map(headers), budget)? {
            return Ok(RuleOutcome::Rejects(condition(&entry.key)));
        }
    }
    Ok(RuleOutcome::Matches)
}

/// What stands under a key or a path of keys. Paths through lists have many ends: then what stands
/// under their first step is shown.
fn actual(headers: &Map, key: &Key) -> Option<Value> {
    let steps = key.split();
    let (first, rest) = steps.split_first()?;
    let first = headers.get(first)?;
    let end = rest.iter().try_fold(first, |value, step| value.as_object().and_then(|map| map.get(step)).ok_or(()));
    match end {
        Ok(value) => Some(value.clone()),
        Err(()) if !rest.is_empty() && contains_list(first) => Some(first.clone()),
        Err(()) => None,
    }
}

fn contains_list(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Object(members) => members.values().any(contains_list),
        _ => false,
    }
}
