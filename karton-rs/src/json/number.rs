//! A JSON number as it was spelled, with the comparisons of Python.
//!
//! Integers have no largest value here: those beyond `i128` are compared digit by digit.

use std::cmp::Ordering;

/// A number in its literal text, `NaN`, `Infinity` and `-Infinity` included.
///
/// ```
/// use karton_rs::json::Number;
///
/// assert!(Number::from(1_i64).python_cmp(&Number::from(1.0)) == Some(std::cmp::Ordering::Equal));
/// ```
#[derive(Clone, Debug)]
pub struct Number(Box<str>);

impl Number {
    /// Takes a literal that a JSON parser has accepted.
    pub(crate) fn from_literal(literal: &str) -> Self {
        Self(literal.into())
    }

    /// The text as it was read.
    pub fn literal(&self) -> &str {
        &self.0
    }

    /// True when Python reads it as `int`: no fraction, no exponent.
    pub fn is_integer(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    }

    /// The nearest double. Literals beyond its range are infinite, as in Python.
    pub fn as_f64(&self) -> f64 {
        match &*self.0 {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            literal => literal.parse().unwrap_or(f64::NAN),
        }
    }

    /// The integer, when it is one and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.is_integer().then(|| self.0.parse().ok()).flatten()
    }

    /// The integer, when it is one and fits.
    pub fn as_u64(&self) -> Option<u64> {
        self.is_integer().then(|| self.0.parse().ok()).flatten()
    }

    /// Order by exact value; nothing when one of them is `NaN`.
    pub fn python_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.is_integer(), other.is_integer()) {
            (true, true) => Some(compare_integers(&self.0, &other.0)),
            (false, false) => self.as_f64().partial_cmp(&other.as_f64()),
            (true, false) => compare_integer_with_float(&self.0, other.as_f64()),
            (false, true) => compare_integer_with_float(&other.0, self.as_f64()).map(Ordering::reverse),
        }
    }
}

/// Sign, then length, then digits: exact at any size.
fn compare_integers(left: &str, right: &str) -> Ordering {
    let (left_negative, left_digits) = split_sign(left);
    let (right_negative, right_digits) = split_sign(right);
    match (left_negative, right_negative) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (negative, _) => {
            let order = left_digits.len().cmp(&right_digits.len()).then_with(|| left_digits.cmp(right_digits));
            if negative { order.reverse() } else { order }
        }
    }
}

/// Sign and digits without leading zeros; zero has no sign and no digits.
fn split_sign(literal: &str) -> (bool, &str) {
    let digits = literal.trim_start_matches('-').trim_start_matches('0');
    (literal.starts_with('-') && !digits.is_empty(), digits)
}

fn compare_integer_with_float(integer: &str, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float.is_infinite() {
        return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    // A finite double has an exact decimal expansion: Rust prints all of it.
    let floor = float.floor();
    let order = compare_integers(integer, &format!("{floor:.0}"));
    // Equal to the floor of a fraction means smaller than the fraction.
    Some(if order == Ordering::Equal && floor < float { Ordering::Less } else { order })
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(value.to_string().into())
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(value.to_string().into())
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        if value.is_nan() {
            Self("NaN".into())
        } else if value.is_infinite() {
            Self(if value > 0.0 { "Infinity" } else { "-Infinity" }.into())
        } else {
            Self(super::python::float_text(value).into())
        }
    }
}
