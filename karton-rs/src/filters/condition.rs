//! Conditions, prepared once: what a rule says, split into operators, paths and values.
//!
//! A misused operator compiles into [`Operator::Invalid`] (or keeps its operand): it is an error only
//! when evaluation reaches it, as in the reference.

use std::sync::OnceLock;

use super::{
    error::{FilterError, FilterErrorKind, shorten},
    path::{Step, steps},
    python_regex::{Flags, Pattern},
    view::text_of,
    wildcard::Wildcard,
};
use crate::json::{Key, Value};

/// JSON levels of one rule's condition; deeper filters are refused, so that evaluation fits any stack.
const MAX_DEPTH: usize = 100;

/// What a value is held against.
#[derive(Debug)]
pub(super) enum Condition {
    /// An object: all of its entries.
    Entries(Vec<Entry>),
    /// Anything else: equality.
    Value(Value),
}

/// One member of an object condition.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) presence: Option<Presence>,
    pub(super) action: Action,
}

/// `{"$exists": wanted, ..}` under a key without a dot: checked before the action.
#[derive(Debug)]
pub(super) struct Presence {
    pub(super) wanted: Value,
    /// There is nothing else to check.
    pub(super) only: bool,
}

#[derive(Debug)]
pub(super) enum Action {
    Operator(Operator),
    Path {
        steps: Box<[Step]>,
        condition: Condition,
    },
    /// `$exists` under a dotted key: everything beside it is ignored.
    PathExists {
        steps: Box<[Step]>,
        wanted: bool,
    },
}

#[derive(Debug)]
pub(super) enum Operator {
    Eq(Value),
    Ne(Value),
    Compare(Comparison, Value),
    In {
        members: Vec<Value>,
        negated: bool,
    },
    All(Vec<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Nor(Vec<Condition>),
    Not(Condition),
    /// An operand that is no object is an error once there is a member to check.
    ElemMatch(Result<Vec<Entry>, String>),
    /// Nothing: a length no list has.
    Size(Option<u64>),
    Regex(Regex),
    Wildcard(Wildcard),
    Type(TypeCheck),
    Mod(Value),
    /// Always true.
    Exists,
    /// Always an error.
    Invalid(FilterErrorKind, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// What `$type` can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TypeCheck {
    Float,
    Text,
    Object,
    /// A list or a text.
    Sequence,
    Bool,
    Null,
    /// An integer or a boolean.
    Integer,
    Number,
    Never,
}

/// A regular expression, compiled when it first meets a string.
#[derive(Debug)]
pub(super) struct Regex {
    operand: Value,
    compiled: OnceLock<Result<Pattern, FilterError>>,
}

impl Regex {
    pub(super) fn pattern(&self) -> Result<&Pattern, FilterError> {
        self.compiled.get_or_init(|| self.compile()).as_ref().map_err(FilterError::clone)
    }

    fn compile(&self) -> Result<Pattern, FilterError> {
        let query = |reason| FilterError::new(FilterErrorKind::Query, reason);
        let Some(operand) = text_of(&self.operand) else {
            return Err(query(format!("the operand must be a string, not {}", kind_of(&self.operand))));
        };
        let (body, flags) = split_flags(&operand);
        Pattern::new(body, flags).map_err(|error| query(format!("bad regular expression {:?}: {error}", shorten(&operand))))
    }
}

/// Takes `/body/flags` apart; other texts are the pattern as they are.
fn split_flags(operand: &str) -> (&str, Flags) {
    let Some((body, letters)) = operand.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) else {
        return (operand, Flags::default());
    };
    if body.is_empty() || letters.len() > 4 || !letters.bytes().all(|letter| b"imsx".contains(&letter)) {
        return (operand, Flags::default());
    }
    let has = |letter| letters.contains(letter);
    (body, Flags { ignore_case: has('i'), multi_line: has('m'), dot_all: has('s'), verbose: has('x'), ascii: false })
}

impl Condition {
    pub(super) fn compile(value: &Value, depth: usize) -> Result<Self, FilterError> {
        if depth > MAX_DEPTH {
            return Err(FilterError::new(FilterErrorKind::Limit, format!("conditions are nested deeper than {MAX_DEPTH}")));
        }
        match value {
            Value::Object(_) => entries(value, depth).map(Self::Entries),
            _ => Ok(Self::Value(value.clone())),
        }
    }
}

fn entries(value: &Value, depth: usize) -> Result<Vec<Entry>, FilterError> {
    let mut entries = Vec::new();
    for (key, sub) in value.as_object().into_iter().flatten() {
        entries.push(Entry::compile(key, sub, depth + 1).map_err(|error| error.inside(key))?);
    }
    Ok(entries)
}

impl Entry {
    pub(super) fn compile(key: &Key, sub: &Value, depth: usize) -> Result<Self, FilterError> {
        let exists = sub.as_object().and_then(|map| map.get("$exists").map(|wanted| (wanted, map.len() == 1)));
        let mut presence = None;
        if let Some((wanted, only)) = exists {
            if key.spelled().contains('.') {
                let action = Action::PathExists { steps: steps(key), wanted: is_true(wanted) };
                return Ok(Self { key: key.into(), presence: None, action });
            }
            presence = Some(Presence { wanted: wanted.clone(), only });
        }
        let action = match key.spelled().strip_prefix('$') {
            Some(name) => Action::Operator(Operator::compile(name, sub, depth)?),
            None => Action::Path { steps: steps(key), condition: Condition::compile(sub, depth)? },
        };
        Ok(Self { key: key.into(), presence, action })
    }

    /// A key that must match a wildcard.
    pub(super) fn wildcard(key: &Key, pattern: &str) -> Self {
        let entry = Self { key: "$regex".into(), presence: None, action: Action::Operator(Operator::Wildcard(Wildcard::new(pattern))) };
        let action = Action::Path { steps: steps(key), condition: Condition::Entries(vec![entry]) };
        Self { key: key.into(), presence: None, action }
    }
}

impl Operator {
    fn compile(name: &str, operand: &Value, depth: usize) -> Result<Self, FilterError> {
        use FilterErrorKind::{Other, Query};
        let kind = kind_of(operand);
        let wrong = |error, wanted| Self::Invalid(error, format!("the operand must be {wanted}, not {kind}"));
        Ok(match name {
            "eq" => Self::Eq(operand.clone()),
            "ne" => Self::Ne(operand.clone()),
            "gt" => Self::Compare(Comparison::Greater, operand.clone()),
            "gte" => Self::Compare(Comparison::GreaterOrEqual, operand.clone()),
            "lt" => Self::Compare(Comparison::Less, operand.clone()),
            "lte" => Self::Compare(Comparison::LessOrEqual, operand.clone()),
            "in" | "nin" => match operand {
                Value::Array(members) => Self::In { members: members.clone(), negated: name == "nin" },
                _ => wrong(Other, "a list"),
            },
            "all" => match (members(operand, depth)?, operand) {
                (Some(conditions), _) => Self::All(conditions),
                (None, Value::Object(map)) => Self::All(map.keys().map(|key| Condition::Value(key.into())).collect()),
                _ => wrong(Other, "a list"),
            },
            "and" | "or" | "nor" => match (members(operand, depth)?, name) {
                (Some(conditions), "and") => Self::And(conditions),
                (Some(conditions), "or") => Self::Or(conditions),
                (Some(conditions), _) => Self::Nor(conditions),
                (None, _) => wrong(Query, "a list"),
            },
            "not" => Self::Not(Condition::compile(operand, depth)?),
            "elemMatch" => match operand {
                Value::Object(_) => Self::ElemMatch(Ok(entries(operand, depth)?)),
                _ => Self::ElemMatch(Err(format!("the operand must be an object, not {kind}"))),
            },
            "size" => match operand {
                Value::Bool(flag) => Self::Size(Some(u64::from(*flag))),
                Value::Number(number) if number.is_integer() => {
                    // `-0` is an integer too, though not an unsigned one.
                    Self::Size(number.as_i64().filter(|size| *size == 0).map_or_else(|| number.as_u64(), |_| Some(0)))
                }
                _ => wrong(Query, "an integer"),
            },
            "regex" => Self::Regex(Regex { operand: operand.clone(), compiled: OnceLock::new() }),
            "type" => type_check(operand),
            "mod" => Self::Mod(operand.clone()),
            "exists" => Self::Exists,
            "options" | "where" | "text" => Self::Invalid(Other, "the operator is not implemented".to_owned()),
            _ => Self::Invalid(Query, "unknown operator".to_owned()),
        })
    }
}

/// The members of a list; the characters of a string.
fn members(operand: &Value, depth: usize) -> Result<Option<Vec<Condition>>, FilterError> {
    if let Value::Array(items) = operand {
        let mut conditions = Vec::with_capacity(items.len());
        for item in items {
            conditions.push(Condition::compile(item, depth + 1)?);
        }
        return Ok(Some(conditions));
    }
    Ok(text_of(operand).map(|text| {
        let mut buffer = [0; 4];
        text.chars().map(|character| Condition::Value(Value::from(&*character.encode_utf8(&mut buffer)))).collect()
    }))
}

fn type_check(operand: &Value) -> Operator {
    /// Number, name and meaning of every type.
    const TYPES: [(i64, &str, TypeCheck); 15] = [
        (1, "double", TypeCheck::Float),
        (2, "string", TypeCheck::Text),
        (3, "object", TypeCheck::Object),
        (4, "array", TypeCheck::Sequence),
        (5, "binData", TypeCheck::Never),
        (7, "objectId", TypeCheck::Text),
        (8, "bool", TypeCheck::Bool),
        (9, "date", TypeCheck::Text),
        (10, "null", TypeCheck::Null),
        (11, "regex", TypeCheck::Never),
        (13, "javascript", TypeCheck::Text),
        (15, "javascriptWithScope", TypeCheck::Text),
        (16, "int", TypeCheck::Integer),
        (17, "timestamp", TypeCheck::Integer),
        (18, "long", TypeCheck::Integer),
    ];
    let found = match operand {
        Value::String(name) if name == "number" => Some(TypeCheck::Number),
        Value::String(name) => TYPES.iter().find(|(_, known, _)| known == name).map(|(_, _, check)| *check),
        Value::Bool(_) | Value::Number(_) => {
            TYPES.iter().find(|(number, _, _)| Value::from(*number) == *operand).map(|(_, _, check)| *check)
        }
        Value::Array(_) | Value::Object(_) => {
            let reason = format!("the operand must be the name or number of a type, not {}", kind_of(operand));
            return Operator::Invalid(FilterErrorKind::Other, reason);
        }
        Value::Null | Value::Unpaired(_) => None,
    };
    found.map_or_else(|| Operator::Invalid(FilterErrorKind::Query, format!("unknown type {}", shorten(&operand.to_json()))), Operator::Type)
}

/// Python's truth of a value.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(_) => *value != Value::from(0_i64),
        Value::String(text) => !text.is_empty(),
        Value::Unpaired(_) => true,
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// What a value is, for messages.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_integer() => "an integer",
        Value::Number(_) => "a float",
        Value::String(_) | Value::Unpaired(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
