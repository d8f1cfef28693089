//! What counts as an e-mail address. See MWDB API §U2.3.
//!
//! Pure. The rules are those that clients know from the API: stricter than mail itself in places (no
//! blanks inside quotation marks), looser in others (`localhost`, addresses in brackets).

/// Longest address.
const LONGEST: usize = 254;

/// Whether a text is an address.
pub(crate) fn is_address(text: &str) -> bool {
    text.len() <= LONGEST && text.rsplit_once('@').is_some_and(|(name, domain)| (is_dotted(name) || is_quoted(name)) && is_domain(domain))
}

/// Words of letters, digits and some signs, joined by single dots.
fn is_dotted(name: &str) -> bool {
    let fits = |character: char| character.is_alphanumeric() || "-!#$%&'*+/=?^_`{}|~".contains(character);
    name.split('.').all(|word| !word.is_empty() && word.chars().all(fits))
}

/// `"…"`: ASCII without blanks, quotation marks and backslashes escaped by a backslash.
fn is_quoted(name: &str) -> bool {
    let Some(inner) = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return false };
    let mut bytes = inner.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'\\' => bytes.next().is_some_and(|next| matches!(next, 1..=9 | 11 | 12 | 14..=127)),
            b'"' => false,
            byte => matches!(byte, 1..=8 | 11 | 12 | 14..=31 | 33..=127),
        };
        if !fits {
            return false;
        }
    }
    true
}

fn is_domain(domain: &str) -> bool {
    if domain == "localhost" {
        return true;
    }
    if let Some(numbers) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return numbers.split('.').count() == 4 && numbers.split('.').all(is_byte);
    }
    let Some((labels, top)) = domain.rsplit_once('.') else { return false };
    let top_fits = if top.is_ascii() { top.len() >= 2 && top.bytes().all(is_label_byte) } else { is_label(top) };
    top_fits && labels.split('.').all(is_label)
}

fn is_byte(text: &str) -> bool {
    (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u8>().is_ok()
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// Up to 63 letters, digits and inner dashes. Letters beyond ASCII travel as `xn--…`, which is not
/// spelled out here: what is mailed to decides.
fn is_label(label: &str) -> bool {
    let fits = |character: char| character.is_alphanumeric() || character == '-';
    (1..=63).contains(&label.chars().count()) && label.chars().all(fits) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn addresses_follow_the_rules_of_the_api() {
        let good = [
            "a@x.io",
            "e@localhost",
            "\"a\\\"b\"@x.io",
            "ą@x.io",
            "a@ąę.pl",
            "a@x.ą",
            "a@[1.2.3.4]",
            "a@x.123",
            "a@x.-a",
            "a@x.xn--p1ai",
            "o'neil+x@x.io",
            &format!("a@{}.io", "x".repeat(63)),
        ];
        for address in good {
            assert!(is_address(address), "{address}");
        }
        let bad = [
            "",
            "x",
            "@x.io",
            "a@",
            "e@LOCALHOST",
            "a..b@x.io",
            "a.@x.io",
            "a@-x.io",
            "a@x.i",
            "a@x_y.io",
            "a@1.2.3.4",
            "a@[300.2.3.4]",
            "a@b@x.io",
            "\"a b\"@x.io",
            "\"a\"b@x.io",
            "a b@x.io",
            "a@x.io\n",
            "a@x.io ",
            "a(b@x.io",
            "a@x..io",
            "a@x.io.",
            "a@.x.io",
            "a@xą",
            &format!("a@{}.io", "x".repeat(64)),
            &format!("{}@x.io", "a".repeat(300)),
        ];
        for address in bad {
            assert!(!is_address(address), "{address}");
        }
    }
}
