//! Sizes, counts and JSON literals as a query writes them. See MWDB search §S5.1, §S5.3 and §S5.5.
//!
//! Pure. The texts come without their escapes.

use karton_rs::json::Value;

use crate::numbers::integer;

/// `5`, `1.30kb`, `2 MB`: bytes, cut down to a whole number. Sizes beyond what is stored are the largest there is.
pub(crate) fn size(text: &str) -> Option<i64> {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let digits = text.len() - text.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    let (whole, rest) = text.split_at(digits);
    if whole.is_empty() {
        return None;
    }
    let (fraction, unit) = match rest.strip_prefix('.') {
        Some(rest) => {
            let (fraction, unit) = rest.split_at(rest.len() - rest.trim_start_matches(|character: char| character.is_ascii_digit()).len());
            if fraction.is_empty() {
                return None;
            }
            (fraction, unit)
        }
        None => ("", rest),
    };
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let power = match UNITS.iter().position(|known| known.eq_ignore_ascii_case(unit)) {
        Some(power) => power,
        // Parts of a byte need a unit, and so does a blank.
        None if unit.is_empty() && rest.is_empty() => 0,
        None => return None,
    };
    let scale = 1_u128 << (10 * power);
    let Ok(whole) = whole.parse::<u64>() else { return Some(i64::MAX) };
    // Digits beyond these are less than a byte, even of terabytes.
    let fraction = &fraction[..fraction.len().min(18)];
    let parts = fraction.parse::<u128>().unwrap_or(0) * scale / 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    Some(i64::try_from(u128::from(whole) * scale + parts).unwrap_or(i64::MAX))
}

/// A number of uploads: positive.
pub(crate) fn upload_count(text: &str) -> Option<i64> {
    integer(text).filter(|count| *count > 0)
}

/// `true`, `false`, `null`, or a number without sign, needless zeros and exponent.
pub(crate) fn literal(text: &str) -> Option<Value> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits(whole) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(digits);
    if number || matches!(text, "true" | "false" | "null") { Value::parse(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        let cases = [
            ("5", 5),
            ("1.30kb", 1331),
            ("1KB", 1024),
            ("1 kB", 1024),
            ("2MB", 2 << 20),
            ("1.5gB", 3 << 29),
            ("1tb", 1 << 40),
            ("7B", 7),
            ("1.9b", 1),
            ("99999999999999999999999999", i64::MAX),
            ("0.00000000000000000000000001GB", 0),
        ];
        for (text, expected) in cases {
            assert_eq!(size(text), Some(expected), "{text}");
        }
        for bad in ["", "a", "1.5", "*", "-1", "1.kb", ".5kb", "1  kb", "1kib", "5 ", " 5", "1 ", "٣"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn counts_are_positive() {
        assert_eq!(upload_count("12"), Some(12));
        for bad in ["0", "000", "-1", "1.0", "", "a"] {
            assert_eq!(upload_count(bad), None, "{bad}");
        }
    }

    #[test]
    fn literals_are_strict() {
        for good in ["0", "0.5", "10", "123456789012345678901234567890", "true", "null"] {
            assert!(literal(good).is_some(), "{good}");
        }
        for bad in ["", "00.5", "01", "-5", "1e5", "1.", ".5", "True", "1 ", "NaN", "Infinity"] {
            assert!(literal(bad).is_none(), "{bad}");
        }
    }
}
