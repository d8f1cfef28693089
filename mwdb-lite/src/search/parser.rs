//! From tokens to a tree: recursive descent, with the column of what does not fit. See MWDB search §S1.
//!
//! Pure. Depth and size of the tree are bounded here, so that whatever walks it may recurse.

use super::{
    ast::{Bound, Expr, Field, Range, Raw, Value},
    error::{QueryError, Span, quoted},
    lexer::{self, Token, Word},
};

/// Longest query, in bytes.
pub(crate) const LONGEST_QUERY: usize = 256 * 1024;
/// Parentheses inside each other, subqueries included.
const DEEPEST: usize = 50;
/// Fields with values in one query.
const MOST_FIELDS: usize = 500;

/// Parses a query that is not empty.
pub(crate) fn parse(text: &str) -> Result<Expr, QueryError> {
    if text.len() > LONGEST_QUERY {
        return Err(QueryError::new(Span::new(0, 1), format!("The query is longer than {LONGEST_QUERY} bytes")));
    }
    let tokens = lexer::tokens(text)?;
    let end = text.chars().count();
    let mut parser = Parser { tokens: &tokens, at: 0, end, depth: 0, fields: 0 };
    let expr = parser.any()?;
    match parser.tokens.get(parser.at) {
        None => Ok(expr),
        Some(token) if token.word == Word::RightParenthesis => Err(QueryError::new(token.span, "This parenthesis was never opened")),
        Some(token) => Err(juxtaposed(token)),
    }
}

fn juxtaposed(token: &Token) -> QueryError {
    let message = match token.word {
        Word::Colon => "A second `:`: put the value in quotation marks or escape its colons as `\\:`".to_owned(),
        _ => format!("Operator missing before {}: write AND or OR", lexer::name(&token.word)),
    };
    QueryError::new(token.span, message)
}

fn no_field(text: &str, span: Span) -> QueryError {
    QueryError::new(span, format!("{} has no field: write field:value", quoted(text)))
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    /// Characters of the query.
    end: usize,
    depth: usize,
    fields: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Word> {
        self.tokens.get(self.at).map(|token| &token.word)
    }

    fn take(&mut self, wanted: &Word) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// The next token, or the complaint that the query ends before `wanted`.
    fn next(&mut self, wanted: &str) -> Result<Token, QueryError> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token.ok_or_else(|| QueryError::new(Span::new(self.end, self.end), format!("The query ends where {wanted} should be")))
    }

    fn any(&mut self) -> Result<Expr, QueryError> {
        let first = self.all()?;
        let mut parts = vec![first];
        while self.take(&Word::Or) {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Expr::Or))
    }

    fn all(&mut self) -> Result<Expr, QueryError> {
        let first = self.unary()?;
        let mut parts = vec![first];
        while self.take(&Word::And) {
            parts.push(self.unary()?);
        }
        Ok(one_or(parts, Expr::And))
    }

    fn unary(&mut self) -> Result<Expr, QueryError> {
        let mut negated = false;
        // A loop: a row of a million NOTs needs no stack.
        while self.take(&Word::Not) || self.take(&Word::Minus) {
            negated = !negated;
        }
        let token = self.next("a field")?;
        let expr = match token.word {
            Word::LeftParenthesis => self.group(token.span)?,
            Word::Term(text) => self.field(Raw { text, span: token.span })?,
            Word::Phrase(text) => return Err(no_field(&text, token.span)),
            Word::Plus => return Err(QueryError::new(token.span, "`+` is not supported: write AND between conditions")),
            word => return Err(QueryError::new(token.span, format!("{} where a field should be", lexer::name(&word)))),
        };
        Ok(if negated { Expr::Not(Box::new(expr)) } else { expr })
    }

    /// After `(`.
    fn group(&mut self, opened: Span) -> Result<Expr, QueryError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(QueryError::new(opened, format!("More than {DEEPEST} parentheses inside each other")));
        }
        let expr = self.any()?;
        match self.tokens.get(self.at) {
            Some(token) if token.word == Word::RightParenthesis => {
                self.at += 1;
                self.depth -= 1;
                Ok(expr)
            }
            Some(token) => Err(juxtaposed(token)),
            None => Err(QueryError::new(opened, "This parenthesis is never closed")),
        }
    }

    fn field(&mut self, path: Raw) -> Result<Expr, QueryError> {
        if !self.take(&Word::Colon) {
            return Err(no_field(&path.text, path.span));
        }
        self.fields += 1;
        if self.fields > MOST_FIELDS {
            return Err(QueryError::new(path.span, format!("More than {MOST_FIELDS} fields in one query")));
        }
        let value = self.value()?;
        let last = self.tokens.get(self.at.wrapping_sub(1)).map_or(path.span, |token| token.span);
        let span = path.span.to(last);
        Ok(Expr::Field(Field { path, value, span }))
    }

    fn value(&mut self) -> Result<Value, QueryError> {
        let token = self.next("a value")?;
        Ok(match token.word {
            Word::Term(text) | Word::Phrase(text) => Value::Text(Raw { text, span: token.span }),
            // A word like others where no range is.
            Word::To => Value::Text(Raw { text: "TO".to_owned(), span: token.span }),
            Word::LeftParenthesis => Value::Query(Box::new(self.group(token.span)?)),
            Word::RangeStart { inclusive } => Value::Range(self.range(token.span, inclusive)?),
            Word::Less { inclusive } => {
                let text = self.text()?;
                let span = token.span.to(text.span);
                Value::Range(Range { low: None, high: bound(text, inclusive), span })
            }
            Word::Greater { inclusive } => {
                let text = self.text()?;
                let span = token.span.to(text.span);
                Value::Range(Range { low: bound(text, inclusive), high: None, span })
            }
            Word::Minus => return Err(QueryError::new(token.span, "A value cannot start with `-`: escape it or use quotation marks")),
            word => return Err(QueryError::new(token.span, format!("{} where a value should be", lexer::name(&word)))),
        })
    }

    /// After `[` or `{`.
    fn range(&mut self, opened: Span, inclusive: bool) -> Result<Range, QueryError> {
        let low = bound(self.text()?, inclusive);
        let to = self.next("`TO`")?;
        if to.word != Word::To {
            return Err(QueryError::new(to.span, format!("{} where `TO` should be", lexer::name(&to.word))));
        }
        let text = self.text()?;
        let close = self.next("the end of the range")?;
        let Word::RangeEnd { inclusive } = close.word else {
            return Err(QueryError::new(close.span, format!("{} where `]` or `}}` should be", lexer::name(&close.word))));
        };
        Ok(Range { low, high: bound(text, inclusive), span: opened.to(close.span) })
    }

    /// A bound: term or phrase.
    fn text(&mut self) -> Result<Raw, QueryError> {
        let token = self.next("a value")?;
        match token.word {
            Word::Term(text) | Word::Phrase(text) => Ok(Raw { text, span: token.span }),
            word => Err(QueryError::new(token.span, format!("{} where a value should be", lexer::name(&word)))),
        }
    }
}

/// `*` is no bound.
fn bound(text: Raw, inclusive: bool) -> Option<Bound> {
    (text.text != "*").then_some(Bound { text, inclusive })
}

fn one_or(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree as text: operators first.
    fn shape(expr: &Expr) -> String {
        let list = |parts: &[Expr]| parts.iter().map(shape).collect::<Vec<_>>().join(" ");
        match expr {
            Expr::And(parts) => format!("(and {})", list(parts)),
            Expr::Or(parts) => format!("(or {})", list(parts)),
            Expr::Not(inner) => format!("(not {})", shape(inner)),
            Expr::Field(field) => match &field.value {
                Value::Text(text) => format!("{}={}", field.path.text, text.text),
                Value::Query(query) => format!("{}:{}", field.path.text, shape(query)),
                Value::Range(range) => {
                    let bound = |bound: &Option<Bound>| {
                        bound
                            .as_ref()
                            .map_or("*".to_owned(), |bound| format!("{}{}", bound.text.text, if bound.inclusive { "=" } else { "" }))
                    };
                    format!("{}<{},{}>", field.path.text, bound(&range.low), bound(&range.high))
                }
            },
        }
    }

    #[test]
    fn operators_bind_as_in_the_reference() {
        let cases = [
            ("a:1", "a=1"),
            ("a : 1", "a=1"),
            ("a:1 OR b:2 AND c:3", "(or a=1 (and b=2 c=3))"),
            ("NOT a:1 AND b:2", "(and (not a=1) b=2)"),
            ("NOT (a:1 OR -b:2)", "(not (or a=1 (not b=2)))"),
            ("NOT NOT a:1", "a=1"),
            ("parent:(a:1 AND b:2) OR c:3", "(or parent:(and a=1 b=2) c=3)"),
            ("a:[1 TO 2}", "a<1=,2>"),
            ("a:{* TO \"x y\"]", "a<*,x y=>"),
            ("a:>1", "a<1,*>"),
            ("a:>= 1", "a<1=,*>"),
            ("a:<1 AND a:<=\"b\"", "(and a<*,1> a<*,b=>)"),
            ("a:\"b c\" AND d:AND2", "(and a=b c d=AND2)"),
            ("a:>=* AND a:<\"*\"", "(and a<*,*> a<*,*>)"),
            ("a:TO OR a:*", "(or a=TO a=*)"),
        ];
        for (query, expected) in cases {
            assert_eq!(parse(query).map(|expr| shape(&expr)), Ok(expected.to_owned()), "{query}");
        }
    }

    #[test]
    fn refusals_name_the_column() {
        let cases = [
            ("", 0, 0),
            ("   ", 3, 3),
            ("a", 0, 1),
            ("tag:a tag:b", 6, 9),
            ("tag:a NOT tag:b", 6, 9),
            ("tag:a AND", 9, 9),
            ("(tag:a", 0, 1),
            ("tag:a)", 5, 6),
            ("tag:", 4, 4),
            ("+tag:a", 0, 1),
            ("tag:a~", 5, 6),
            ("tag:a^2", 5, 6),
            ("tag:/x/", 4, 5),
            ("tag:(a)", 5, 6),
            ("tag:a:b", 5, 6),
            ("size:-1", 5, 6),
            ("tag:[a TO b", 11, 11),
            ("tag:[a b]", 7, 8),
            ("[a TO b]", 0, 1),
            ("a && b", 0, 1),
            ("tag:a tag", 6, 9),
            ("tag: AND", 5, 8),
            ("tag:>", 5, 5),
            ("\"x\"", 0, 3),
            ("TO:x", 0, 2),
            ("TO", 0, 2),
            ("a:TO TO", 5, 7),
            ("a:>TO", 3, 5),
            ("a:[TO TO TO]", 3, 5),
            ("a:[b TO TO]", 8, 10),
            ("a:(TO)", 3, 5),
        ];
        for (query, start, end) in cases {
            let error = parse(query).expect_err(query);
            assert_eq!(error.span(), Span::new(start, end), "{query}: {error}");
        }
    }

    #[test]
    fn size_and_depth_are_bounded() {
        parse(&format!("{}tag:a", "NOT ".repeat(60_000))).expect("no stack is needed");
        for bad in ["(".repeat(200_000), "parent:(".repeat(30_000), "tag:a OR ".repeat(20_000) + "tag:a", "a".repeat(10_000_000)] {
            parse(&bad).expect_err("too large");
        }
    }
}
