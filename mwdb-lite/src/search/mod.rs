//! The query language of listings. See MWDB search.
//!
//! A query is read ([`lexer`], [`parser`]), given its meaning for one caller ([`compile`] by the table
//! of [`fields`]), and put to the database ([`sql`]). The first two know neither callers nor tables;
//! only the last knows tables. What the caller may see is part of every statement, subqueries too.

mod ast;
mod compile;
mod date;
mod error;
pub(crate) mod fields;
mod json;
mod json_text;
mod leaves;
mod lexer;
mod parser;
mod path;
mod pattern;
mod sql;
#[cfg(test)]
mod tests;
mod values;

use rusqlite::Connection;

pub use error::QueryError;
pub(crate) use error::Span;
pub(crate) use sql::{Cond, Counted, count, count_some, page, register};
#[cfg(test)]
pub(crate) use sql::{count_within, explain, scan};

use crate::{
    auth::Caller,
    error::{ApiError, ApiResult},
    objects::Kind,
};

/// The condition that `query` states for objects of `kind` (none: any). No text states none.
pub(crate) fn condition(c: &Connection, caller: &Caller, kind: Option<Kind>, query: &str) -> ApiResult<Cond> {
    if query.is_empty() {
        return Ok(Cond::Always);
    }
    let expr = parser::parse(query).map_err(ApiError::Query)?;
    compile::Compiler { c, caller, now: time::OffsetDateTime::now_utc() }.compile(&expr, kind)
}

/// Reads a query as far as that goes without a database, whatever it holds.
pub(crate) fn exercise(query: &str) {
    let now = time::OffsetDateTime::UNIX_EPOCH;
    let Ok(expr) = parser::parse(query) else { return };
    let mut left = vec![&expr];
    while let Some(expr) = left.pop() {
        match expr {
            ast::Expr::And(parts) | ast::Expr::Or(parts) => left.extend(parts),
            ast::Expr::Not(inner) => left.push(inner),
            ast::Expr::Field(field) => {
                path::elements(&field.path.text);
                if let ast::Value::Query(inner) = &field.value {
                    left.push(inner);
                }
                let bounds = match &field.value {
                    ast::Value::Range(range) => [range.low.as_ref(), range.high.as_ref()].map(|bound| bound.map(|bound| &bound.text)),
                    ast::Value::Text(text) => [Some(text), None],
                    ast::Value::Query(_) => [None, None],
                };
                for raw in bounds.into_iter().flatten() {
                    for escapes in [pattern::Escapes::Plain, pattern::Escapes::Python] {
                        let pattern = pattern::Pattern::parse(&raw.text, escapes);
                        // Its own text is a text like any other.
                        let _ = pattern::Glob::new(&pattern).matches(query, &|| true);
                        if let Some(text) = pattern.literal() {
                            let _ = (values::size(&text), values::upload_count(&text), values::literal(&text));
                            let _ = (date::absolute(&text), date::relative(&text, now));
                        }
                    }
                }
            }
        }
    }
}
