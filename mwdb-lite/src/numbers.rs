//! Whole numbers in the notation of Python, in which clients of MWDB may write them.

/// `12`, ` -1 `, `+1_000`: blanks around, a sign, single underscores between digits. As near as 64 bits come to it.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (digits, negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (text.strip_prefix('+').unwrap_or(text), false),
    };
    let fits = digits.split('_').all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    // Digits alone are too large a number, if none.
    let number = fits.then(|| digits.replace('_', "").parse().unwrap_or(i64::MAX))?;
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::integer;

    #[test]
    fn numbers_are_written_as_in_python() {
        for (text, expected) in
            [("12", 12), (" 7\t", 7), ("-1", -1), ("+2", 2), ("1_0", 10), ("007", 7), ("99999999999999999999", i64::MAX)]
        {
            assert_eq!(integer(text), Some(expected), "{text}");
        }
        for bad in ["", " ", "x", "1.0", "_1", "1_", "1__0", "--1", "+ 1", "0x1", "1e3"] {
            assert_eq!(integer(bad), None, "{bad}");
        }
    }
}
