//! Which server answers, and what it can do.

use std::fmt;

/// Version of a server, compared by its numbers; what follows them does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(Vec<u64>);

impl Version {
    /// Tags, attributes and the analysis travel in the upload itself from here on.
    pub fn has_rich_uploads(&self) -> bool {
        *self >= Self(vec![2, 6])
    }

    /// Analyses are things of their own from here on, and metakeys before.
    pub fn has_analyses(&self) -> bool {
        *self >= Self(vec![2, 3])
    }

    /// Reads `2.17.0-rc1`; nothing without a leading number.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = Vec::new();
        for part in text.trim().split('.') {
            let digits = part.len() - part.trim_start_matches(|character: char| character.is_ascii_digit()).len();
            let Ok(number) = part[..digits].parse() else { break };
            numbers.push(number);
            if digits < part.len() {
                break;
            }
        }
        (!numbers.is_empty()).then_some(Self(numbers))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let rich = |text: &str| Version::parse(text).unwrap().has_rich_uploads();
        assert!(rich("2.6.0") && rich("2.6") && rich("2.17.0-rc1+abc") && rich("10.0.0") && rich("2.6.0-beta"));
        assert!(!rich("2.5.9") && !rich("2.2.0") && !rich("1.9"));
        assert_eq!(Version::parse("master"), None);
    }
}
