//! `$mod`: Python's remainder, exact for integers of any size.

use std::cmp::Ordering;

use super::{
    error::{FilterError, FilterErrorKind},
    eval::describe,
    view::View,
};
use crate::json::{Number, Value};

/// Python reads no longer integers.
const MAX_DIGITS: usize = 4300;

/// `value mod operand[0] == operand[1]`
pub(super) fn holds(operand: &Value, view: View<'_>) -> Result<bool, FilterError> {
    let Some(value) = view.number() else {
        return Err(other(format!("{} has no remainder", describe(view))));
    };
    let Value::Array(members) = operand else {
        return Err(other(format!("the operand must be a list, not {}", super::condition::kind_of(operand))));
    };
    let Some(divisor) = members.first().and_then(|divisor| View::Value(divisor).number()) else {
        return Err(other("the operand must start with a number, the divisor"));
    };
    let remainder = remainder(&value, &divisor)?;
    match members.get(1) {
        Some(wanted) => Ok(Value::Number(remainder) == *wanted),
        None => Err(other("the operand must have a second member, the remainder")),
    }
}

fn other(reason: impl Into<String>) -> FilterError {
    FilterError::new(FilterErrorKind::Other, reason)
}

fn remainder(value: &Number, divisor: &Number) -> Result<Number, FilterError> {
    if value.is_integer() && divisor.is_integer() {
        return integer_remainder(value, divisor);
    }
    let (value, divisor) = (as_float(value)?, as_float(divisor)?);
    if divisor == 0.0 {
        return Err(other("division by zero"));
    }
    // The machine's remainder has the sign of the value; Python's that of the divisor.
    let remainder = value % divisor;
    let wrong_side = remainder != 0.0 && (remainder < 0.0) != (divisor < 0.0);
    Ok(Number::from(if wrong_side { remainder + divisor } else { remainder }))
}

fn as_float(number: &Number) -> Result<f64, FilterError> {
    let float = number.as_f64();
    if number.is_integer() && float.is_infinite() { Err(other("integer is too large for a float")) } else { Ok(float) }
}

fn integer_remainder(value: &Number, divisor: &Number) -> Result<Number, FilterError> {
    if let (Ok(value), Ok(divisor)) = (value.literal().parse::<i128>(), divisor.literal().parse::<i128>()) {
        if divisor == 0 {
            return Err(other("division by zero"));
        }
        let remainder = value.checked_rem(divisor).unwrap_or(0);
        let wrong_side = remainder != 0 && (remainder < 0) != (divisor < 0);
        let remainder = if wrong_side { remainder + divisor } else { remainder };
        return Ok(Number::from_literal(&remainder.to_string()));
    }
    let (value_negative, value) = digits(value.literal())?;
    let (divisor_negative, divisor) = digits(divisor.literal())?;
    if divisor.is_empty() {
        return Err(other("division by zero"));
    }
    let mut remainder = magnitude_remainder(&value, &divisor);
    if !remainder.is_empty() && value_negative != divisor_negative {
        remainder = difference(&divisor, &remainder);
    }
    let mut literal = String::new();
    if divisor_negative && !remainder.is_empty() {
        literal.push('-');
    }
    literal.extend(remainder.iter().map(|digit| char::from(b'0' + digit)));
    if remainder.is_empty() {
        literal.push('0');
    }
    Ok(Number::from_literal(&literal))
}

/// Sign and decimal digits, the most significant first, none for zero.
fn digits(literal: &str) -> Result<(bool, Vec<u8>), FilterError> {
    let (negative, text) = match literal.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, literal),
    };
    let text = text.trim_start_matches('0');
    if text.len() > MAX_DIGITS {
        return Err(other(format!("integer has more than {MAX_DIGITS} digits")));
    }
    Ok((negative, text.bytes().map(|byte| byte - b'0').collect()))
}

/// Long division on paper, keeping only what is left.
fn magnitude_remainder(value: &[u8], divisor: &[u8]) -> Vec<u8> {
    let mut rest: Vec<u8> = Vec::with_capacity(divisor.len() + 1);
    for digit in value {
        if !rest.is_empty() || *digit != 0 {
            rest.push(*digit);
        }
        while compare(&rest, divisor) != Ordering::Less {
            rest = difference(&rest, divisor);
        }
    }
    rest
}

fn compare(left: &[u8], right: &[u8]) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// `left - right`, where left is not the smaller.
fn difference(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut result = left.to_vec();
    let mut borrow = 0;
    for (place, digit) in result.iter_mut().rev().enumerate() {
        let take = borrow + if place < right.len() { right[right.len() - 1 - place] } else { 0 };
        borrow = u8::from(*digit < take);
        *digit = *digit + 10 * borrow - take;
    }
    let zeros = result.iter().take_while(|digit| **digit == 0).count();
    result.split_off(zeros)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(value: &str, divisor: &str) -> String {
        integer_remainder(&Number::from_literal(value), &Number::from_literal(divisor)).unwrap().literal().to_owned()
    }

    #[test]
    fn remainders_have_the_sign_of_the_divisor_at_any_size() {
        assert_eq!([of("-7", "3"), of("7", "-3"), of("-7", "-3"), of("0", "5")], ["2", "-2", "-1", "0"]);
        // 10**50 + 1 and its divisors.
        let big = format!("1{}1", "0".repeat(49));
        assert_eq!([of(&big, "1000"), of(&format!("-{big}"), "1000"), of(&big, &big), of("5", &big)], ["1", "999", "0", "5"]);
        assert_eq!(of("-5", &big), format!("{}6", "9".repeat(49)));
        assert_eq!(of("5", &format!("-{big}")), format!("-{}6", "9".repeat(49)));
        assert!(integer_remainder(&Number::from_literal(&big), &Number::from_literal("0")).is_err());
    }
}
