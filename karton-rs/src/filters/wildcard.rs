//! Wildcards of rules: `win*`, `ba[rz]`, `?`.
//!
//! **Tied to the end of the value, not to its start**: a value matches if some suffix of it fits, which
//! is how the reference routes. Works as a leading `*` would: the parts between stars are looked for one
//! after the other, the last one at the very end, so the cost is at most value times pattern.

use super::budget::{Budget, OutOfBudget};

/// A compiled wildcard.
#[derive(Debug)]
pub(super) struct Wildcard {
    /// What stands between the stars.
    parts: Vec<Part>,
}

#[derive(Debug, Default)]
struct Part {
    tokens: Vec<Token>,
    /// The same as text, when nothing in it is special.
    literal: Option<String>,
}

#[derive(Debug)]
enum Token {
    Char(char),
    Any,
    Set { ranges: Vec<(char, char)>, negated: bool },
}

/// Does a rule's text need more than a comparison?
pub(super) fn is_wildcard(text: &str) -> bool {
    text.contains(['?', '*', '[', ']', '!'])
}

impl Wildcard {
    pub(super) fn new(pattern: &str) -> Self {
        let characters: Vec<char> = pattern.chars().collect();
        let mut parts = vec![Part::default()];
        let mut index = 0;
        while index < characters.len() {
            let character = characters[index];
            index += 1;
            let token = match character {
                '*' => {
                    parts.push(Part::default());
                    continue;
                }
                '?' => Token::Any,
                '[' => match set_end(&characters, index) {
                    Some(end) => {
                        let set = set(&characters[index..end]);
                        index = end + 1;
                        set
                    }
                    None => Token::Char('['),
                },
                _ => Token::Char(character),
            };
            if let Some(part) = parts.last_mut() {
                part.tokens.push(token);
            }
        }
        for part in &mut parts {
            let text: String = part.tokens.iter().filter_map(|token| if let Token::Char(c) = token { Some(*c) } else { None }).collect();
            part.literal = part.tokens.iter().all(|token| matches!(token, Token::Char(_))).then_some(text);
        }
        Self { parts }
    }

    /// Does some suffix of the value fit?
    pub(super) fn matches(&self, value: &str, budget: &Budget) -> Result<bool, OutOfBudget> {
        let Some((last, before)) = self.parts.split_last() else { return Ok(true) };
        let mut rest = value;
        for part in before {
            match part.find(rest, budget)? {
                Some(end) => rest = &rest[end..],
                None => return Ok(false),
            }
        }
        last.ends(rest, budget)
    }
}

/// Index of the bracket that closes a set whose content starts at `start`.
fn set_end(characters: &[char], start: usize) -> Option<usize> {
    let mut end = start;
    if characters.get(end) == Some(&'!') {
        end += 1;
    }
    if characters.get(end) == Some(&']') {
        end += 1;
    }
    (end..characters.len()).find(|index| characters[*index] == ']')
}

/// A set from the text between its brackets.
///
/// The text is cut at every hyphen that makes a range; ranges that run backwards are dropped, and only
/// then does a leading `!` negate (so `[b-a!x]` is "not x", as in Python).
fn set(content: &[char]) -> Token {
    let mut chunks: Vec<Vec<char>> = Vec::new();
    let mut start = 0;
    let mut from = if content.first() == Some(&'!') { 2 } else { 1 };
    while let Some(hyphen) = (from..content.len()).find(|index| content[*index] == '-') {
        chunks.push(content[start..hyphen].to_vec());
        start = hyphen + 1;
        from = hyphen + 3;
    }
    match chunks.last_mut() {
        Some(last) if start == content.len() => last.push('-'),
        _ => chunks.push(content[start..].to_vec()),
    }
    for index in (1..chunks.len()).rev() {
        let backwards = matches!((chunks[index - 1].last(), chunks[index].first()), (Some(low), Some(high)) if low > high);
        if backwards {
            let tail = chunks.remove(index);
            chunks[index - 1].pop();
            chunks[index - 1].extend(&tail[1..]);
        }
    }
    let negated = chunks.first().and_then(|chunk| chunk.first()) == Some(&'!');
    let mut ranges = Vec::new();
    for (index, chunk) in chunks.iter().enumerate() {
        let skip = usize::from(negated && index == 0);
        ranges.extend(chunk.iter().skip(skip).map(|character| (*character, *character)));
        // Both ends are in as single characters already.
        if let (Some(low), Some(high)) = (chunk.last(), chunks.get(index + 1).and_then(|next| next.first())) {
            ranges.push((*low, *high));
        }
    }
    Token::Set { ranges, negated }
}

impl Token {
    fn accepts(&self, character: char) -> bool {
        match self {
            Self::Char(wanted) => character == *wanted,
            Self::Any => true,
            Self::Set { ranges, negated } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated,
        }
    }

    fn cost(&self) -> usize {
        if let Self::Set { ranges, .. } = self { 1 + ranges.len() } else { 1 }
    }
}

impl Part {
    /// End of the first place where the part fits.
    fn find(&self, text: &str, budget: &Budget) -> Result<Option<usize>, OutOfBudget> {
        if let Some(literal) = &self.literal {
            budget.spend(1 + text.len() / 16)?;
            return Ok(text.find(literal.as_str()).map(|start| start + literal.len()));
        }
        let mut start = text;
        loop {
            if let Some(rest) = self.strip(start, budget)? {
                return Ok(Some(text.len() - rest.len()));
            }
            let mut characters = start.chars();
            if characters.next().is_none() {
                return Ok(None);
            }
            start = characters.as_str();
        }
    }

    /// What is left of a text that starts with the part.
    fn strip<'t>(&self, text: &'t str, budget: &Budget) -> Result<Option<&'t str>, OutOfBudget> {
        let mut characters = text.chars();
        for token in &self.tokens {
            budget.spend(token.cost())?;
            if !characters.next().is_some_and(|character| token.accepts(character)) {
                return Ok(None);
            }
        }
        Ok(Some(characters.as_str()))
    }

    /// Does the text end with the part?
    fn ends(&self, text: &str, budget: &Budget) -> Result<bool, OutOfBudget> {
        if let Some(literal) = &self.literal {
            budget.spend(1)?;
            return Ok(text.ends_with(literal.as_str()));
        }
        let mut characters = text.chars();
        for token in self.tokens.iter().rev() {
            budget.spend(token.cost())?;
            if !characters.next_back().is_some_and(|character| token.accepts(character)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn matches(pattern: &str, value: &str) -> bool {
        Wildcard::new(pattern).matches(value, &Budget::new()).unwrap()
    }

    #[test]
    fn the_end_is_tied_and_the_start_is_free() {
        assert!(matches("win*", "darwin") && matches("?", "abc") && !matches("?", "") && matches("*", ""));
        assert!(matches("ba[rz]", "xbar") && !matches("ba[rz]", "barx") && matches("a*c", "xabcbc") && !matches("a*c", "cba"));
    }

    #[test]
    fn sets_follow_fnmatch() {
        assert!(matches("[]a]", "]") && matches("[!]]", "a") && !matches("[!]]", "]") && matches("[a", "x[a"));
        assert!(matches("[a-c]", "b") && !matches("[c-a]", "b") && matches("[!c-a]", "b") && matches("[a-]", "-"));
        assert!(matches("[^a]", "^") && matches(r"[\]", r"\") && matches("[a-b-c]", "-") && !matches("[b-a!x]", "x"));
        assert!(matches("[b-a!x]", "q") && matches("[!]", "x[!]") && matches("[--0]", "."));
    }

    #[test]
    fn a_long_value_ends_by_budget() {
        let pattern = "?".repeat(20_000) + "b*";
        assert!(Wildcard::new(&pattern).matches(&"a".repeat(200_000), &Budget::new()).is_err());
    }
}
