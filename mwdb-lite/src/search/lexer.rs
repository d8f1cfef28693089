//! From the text of a query to its tokens. See MWDB search §S1.
//!
//! Pure. Terms and phrases keep their escapes: what a backslash means depends on the field.

use super::error::{QueryError, Span, quoted};

/// A word of the language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    Term(String),
    /// Without the quotes.
    Phrase(String),
    And,
    Or,
    Not,
    To,
    LeftParenthesis,
    RightParenthesis,
    /// `[`, or `{` which leaves the bound out.
    RangeStart {
        inclusive: bool,
    },
    RangeEnd {
        inclusive: bool,
    },
    Colon,
    Plus,
    Minus,
    Less {
        inclusive: bool,
    },
    Greater {
        inclusive: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) word: Word,
    pub(crate) span: Span,
}

/// Characters that end a term.
const ENDS_TERM: &[char] = &[':', '^', '~', '(', ')', '{', '}', '[', ']'];

/// The tokens of a query.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, QueryError> {
    let characters: Vec<char> = text.chars().collect();
    let mut lexer = Lexer { characters: &characters, at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    characters: &'a [char],
    at: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn next(&mut self) -> Result<Option<Token>, QueryError> {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        let start = self.at;
        let Some(first) = self.peek() else { return Ok(None) };
        let word = match first {
            '"' => self.phrase()?,
            '<' | '>' => {
                self.at += 1;
                let inclusive = self.peek() == Some('=');
                self.at += usize::from(inclusive);
                if first == '<' { Word::Less { inclusive } } else { Word::Greater { inclusive } }
            }
            _ => match sign(first) {
                Some(word) => {
                    self.at += 1;
                    word
                }
                None => self.term(first)?,
            },
        };
        Ok(Some(Token { word, span: Span::new(start, self.at) }))
    }

    fn phrase(&mut self) -> Result<Word, QueryError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(character) = self.peek() {
            self.at += 1;
            match character {
                '"' => return Ok(Word::Phrase(text)),
                '\\' => {
                    text.push('\\');
                    text.extend(self.peek());
                    self.at += 1;
                }
                other => text.push(other),
            }
        }
        Err(QueryError::new(Span::new(start, self.characters.len()), "The quotation mark is never closed"))
    }

    fn term(&mut self, first: char) -> Result<Word, QueryError> {
        let start = self.at;
        let problem = match first {
            '/' => Some("Regular expressions are not supported; escape the slash as `\\/`".to_owned()),
            '~' => Some("Fuzzy and proximity searches (`~`) are not supported".to_owned()),
            '^' => Some("Boosting (`^`) is not supported".to_owned()),
            '\'' => Some("A value cannot start with `'`: escape it or use quotation marks".to_owned()),
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(QueryError::new(Span::new(start, start + 1), problem));
        }
        let mut text = String::new();
        let mut escaped = false;
        while let Some(character) = self.peek() {
            match character {
                '\\' => {
                    let Some(next) = self.characters.get(self.at + 1) else {
                        return Err(QueryError::new(Span::new(self.at, self.at + 1), "Nothing follows the backslash"));
                    };
                    text.push('\\');
                    text.push(*next);
                    escaped = true;
                    self.at += 2;
                }
                ':' if self.follows_hour(start) && self.two_digits_at(self.at + 1) => {
                    let seconds = self.characters.get(self.at + 3) == Some(&':') && self.two_digits_at(self.at + 4);
                    let end = self.at + if seconds { 6 } else { 3 };
                    text.extend(&self.characters[self.at..end]);
                    self.at = end;
                }
                other if other.is_whitespace() || ENDS_TERM.contains(&other) => break,
                other => {
                    text.push(other);
                    self.at += 1;
                }
            }
        }
        Ok(match text.as_str() {
            "AND" if !escaped => Word::And,
            "OR" if !escaped => Word::Or,
            "NOT" if !escaped => Word::Not,
            "TO" if !escaped => Word::To,
            _ => Word::Term(text),
        })
    }

    fn two_digits_at(&self, at: usize) -> bool {
        matches!(self.characters.get(at..at + 2), Some([tens, ones]) if tens.is_ascii_digit() && ones.is_ascii_digit())
    }

    /// Whether the term that starts at `start` just had `T` and two digits, as in the time of a date.
    fn follows_hour(&self, start: usize) -> bool {
        match self.characters.get(self.at.saturating_sub(3).max(start)..self.at) {
            Some(['T', tens, ones]) => tens.is_ascii_digit() && ones.is_ascii_digit(),
            _ => false,
        }
    }
}

fn sign(character: char) -> Option<Word> {
    Some(match character {
        '(' => Word::LeftParenthesis,
        ')' => Word::RightParenthesis,
        '[' => Word::RangeStart { inclusive: true },
        '{' => Word::RangeStart { inclusive: false },
        ']' => Word::RangeEnd { inclusive: true },
        '}' => Word::RangeEnd { inclusive: false },
        ':' => Word::Colon,
        '+' => Word::Plus,
        '-' => Word::Minus,
        _ => return None,
    })
}

/// How a message calls a token.
pub(crate) fn name(word: &Word) -> String {
    match word {
        Word::Term(text) | Word::Phrase(text) => quoted(text),
        Word::And => "`AND`".to_owned(),
        Word::Or => "`OR`".to_owned(),
        Word::Not => "`NOT`".to_owned(),
        Word::To => "`TO`".to_owned(),
        Word::LeftParenthesis => "`(`".to_owned(),
        Word::RightParenthesis => "`)`".to_owned(),
        Word::RangeStart { inclusive } => if *inclusive { "`[`" } else { "`{`" }.to_owned(),
        Word::RangeEnd { inclusive } => if *inclusive { "`]`" } else { "`}`" }.to_owned(),
        Word::Colon => "`:`".to_owned(),
        Word::Plus => "`+`".to_owned(),
        Word::Minus => "`-`".to_owned(),
        Word::Less { inclusive } => if *inclusive { "`<=`" } else { "`<`" }.to_owned(),
        Word::Greater { inclusive } => if *inclusive { "`>=`" } else { "`>`" }.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Word> {
        tokens(text).expect("tokens").into_iter().map(|token| token.word).collect()
    }

    fn term(text: &str) -> Word {
        Word::Term(text.to_owned())
    }

    #[test]
    fn signs_start_tokens_but_may_stand_inside_terms() {
        assert_eq!(words("a-b+c/d\"e'f<g>h=.*?"), [term("a-b+c/d\"e'f<g>h=.*?")]);
        assert_eq!(words("-a"), [Word::Minus, term("a")]);
        assert_eq!(words("\\-a\\ b"), [term("\\-a\\ b")]);
        assert_eq!(words("*a"), [term("*a")]);
    }

    #[test]
    fn reserved_words_are_upper_case_and_bare() {
        assert_eq!(words("AND and \\AND ANDx"), [Word::And, term("and"), term("\\AND"), term("ANDx")]);
    }

    #[test]
    fn a_colon_after_an_hour_belongs_to_the_term() {
        assert_eq!(words("2024-01-01T12:30"), [term("2024-01-01T12:30")]);
        assert_eq!(words("T12:30:11"), [term("T12:30:11")]);
        assert_eq!(words("T12:30:11:9"), [term("T12:30:11"), Word::Colon, term("9")]);
        assert_eq!(words("T12:30:1"), [term("T12:30"), Word::Colon, term("1")]);
        assert_eq!(words("T12:3"), [term("T12"), Word::Colon, term("3")]);
        assert_eq!(words("T1:30"), [term("T1"), Word::Colon, term("30")]);
        assert_eq!(words("aT12"), [term("aT12")]);
    }

    #[test]
    fn phrases_keep_their_escapes() {
        assert_eq!(words(r#""a \" \\ b""#), [Word::Phrase(r#"a \" \\ b"#.to_owned())]);
    }

    #[test]
    fn columns_count_characters() {
        let error = tokens("ąć:\"x").expect_err("an open quotation mark");
        assert_eq!(error.span(), Span::new(3, 5));
        assert_eq!(tokens("tag:a\\").expect_err("an open escape").span(), Span::new(5, 6));
        for bad in ["/a/", "~2", "^2", "'a", "\"a\\\""] {
            assert_eq!(tokens(bad).expect_err(bad).span().start, 0, "{bad}");
        }
    }
}
