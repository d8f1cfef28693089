//! From the tree to conditions: what the fields mean, who the people are, what the values say.
//! See MWDB search §S2 to §S8.
//!
//! Negations are pushed down to single fields on the way (MWDB search §S7).

use rusqlite::{Connection, params_from_iter};
use time::OffsetDateTime;

use super::{
    ast::{self, Expr, Range, Raw, Value},
    date::{self, Interval},
    error::{QueryError, Span, quoted},
    fields::{self, Field, Form, Text},
    json::{Bound, Condition, Step, Test},
    path::{self, Element},
    pattern::{Escapes, Pattern},
    sql::{self, Cond, Part},
    values,
};
use crate::{
    auth::{Caller, Capability},
    db::{accounts, attributes, attributes::Right},
    error::{ApiError, ApiResult},
    objects::Kind,
};

/// Parts of contents in one `multi`: each is searched for on its own.
const MOST_PARTS: usize = 100;

/// Turns a tree into a condition for one caller.
pub(crate) struct Compiler<'a> {
    pub(crate) c: &'a Connection,
    pub(crate) caller: &'a Caller,
    pub(crate) now: OffsetDateTime,
}

/// Where a field stands.
#[derive(Clone, Copy)]
struct Place {
    /// The type of the objects asked for; inside subqueries any.
    kind: Option<Kind>,
    negated: bool,
    /// Subqueries around it.
    depth: usize,
}

fn refuse<T>(span: Span, message: impl Into<String>) -> ApiResult<T> {
    Err(ApiError::Query(QueryError::new(span, message)))
}

impl Compiler<'_> {
    /// The condition for objects of a type, or any.
    pub(crate) fn compile(&self, expr: &Expr, kind: Option<Kind>) -> ApiResult<Cond> {
        self.expr(expr, Place { kind, negated: false, depth: 0 })
    }

    fn expr(&self, expr: &Expr, place: Place) -> ApiResult<Cond> {
        let each = |parts: &[Expr]| parts.iter().map(|part| self.expr(part, place)).collect::<ApiResult<Vec<_>>>();
        Ok(match expr {
            Expr::And(parts) => either(place.negated, each(parts)?),
            Expr::Or(parts) => either(!place.negated, each(parts)?),
            Expr::Not(inner) => self.expr(inner, Place { negated: !place.negated, ..place })?,
            Expr::Field(field) => self.field(field, place)?,
        })
    }

    fn field(&self, written: &ast::Field, place: Place) -> ApiResult<Cond> {
        let (field, elements) = look_up(written, place.kind)?;
        let value = &written.value;
        if let Form::Related(side) = field.form {
            let Value::Query(query) = value else {
                return refuse(written.span, format!("`{}` takes a query in parentheses: {}", field.name, field.examples[0]));
            };
            let inner = self.expr(query, Place { kind: None, negated: false, depth: place.depth + 1 })?;
            return Ok(self.part(sql::related(self.caller, side, inner, place.depth + 1), place));
        }
        if let Value::Query(_) = value {
            return refuse(written.span, format!("`{}` takes a value, not a query in parentheses", field.name));
        }
        match field.form {
            Form::Text(text) => {
                let escapes = if text == Text::Content { Escapes::Python } else { Escapes::Plain };
                let pattern = Pattern::parse(&text_of(field, value)?.text, escapes);
                let part = sql::text(text, &pattern, |tags| {
                    let statement = tags.statement();
                    self.c.prepare_cached(&statement.text)?.query_map(params_from_iter(statement.params), |row| row.get(0))?.collect()
                })?;
                Ok(self.part(part, place))
            }
            Form::Size(size) => self.interval(field, value, place, values::size, |low, high| sql::size(size, low, high)),
            Form::UploadCount => self.interval(field, value, place, values::upload_count, sql::upload_count),
            Form::Date(of) => self.date(of, field, value, place),
            Form::Attribute => self.attribute(written, &elements, place),
            Form::Cfg => {
                let condition = condition(value, &elements, Escapes::Python)?;
                Ok(self.part(sql::cfg(&condition), place))
            }
            Form::Multi(kind) => self.multi(kind, text_of(field, value)?, place),
            Form::Karton => {
                let raw = text_of(field, value)?;
                let text = literal(raw);
                let part = match text.as_deref().map(uuid::Uuid::try_parse) {
                    Some(Ok(id)) => sql::analysis(&id.to_string()),
                    None if raw.text == "*" => sql::any_analysis(),
                    // An escaped star is one, too, as there are no patterns of ids.
                    Some(Err(_)) if text.as_deref() == Some("*") => sql::any_analysis(),
                    _ => return refuse(raw.span, format!("{} is no id of an analysis", quoted(&raw.text))),
                };
                Ok(self.part(part, place))
            }
            _ => {
                let raw = text_of(field, value)?;
                let part = self.person(field.form, raw)?;
                Ok(self.part(part, place))
            }
        }
    }

    /// What a part says of the objects asked for.
    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    fn part(&self, part: Part, place: Place) -> Cond {
        match (part.kind, place.kind) {
            // Objects of another type neither satisfy it nor fail it.
            (Some(of), Some(asked)) if of != asked => Cond::Never,
            _ => part.cond(place.negated),
        }
    }

    /// A number or an interval of numbers.
    fn interval(
        &self,
        field: &Field,
        value: &Value,
        place: Place,
        read: impl Fn(&str) -> Option<i64>,
        part: impl Fn(i64, i64) -> Part,
    ) -> ApiResult<Cond> {
        let read = |raw: &Raw| match literal(raw).and_then(|text| read(&text)) {
            Some(number) => Ok(number),
            None => refuse(raw.span, format!("{} is no value for `{}`: {}", quoted(&raw.text), field.name, field.form.values())),
        };
        let range = match value {
            Value::Range(range) => range,
            value => {
                let number = read(text_of(field, value)?)?;
                return Ok(self.part(part(number, number), place));
            }
        };
        let bound = |bound: &Option<ast::Bound>| -> ApiResult<Option<(i64, bool)>> {
            bound.as_ref().map(|bound| Ok((read(&bound.text)?, bound.inclusive))).transpose()
        };
        let (mut low, mut high) = (bound(&range.low)?, bound(&range.high)?);
        if let (Some((first, _)), Some((second, _))) = (low, high)
            && first > second
        {
            (low, high) = (high, low);
        }
        if low.is_none() && high.is_none() {
            return Ok(if place.negated { Cond::Never } else { Cond::Always });
        }
        let low = low.map_or(i64::MIN, |(number, inclusive)| if inclusive { number } else { number.saturating_add(1) });
        let high = high.map_or(i64::MAX, |(number, inclusive)| if inclusive { number } else { number.saturating_sub(1) });
        Ok(self.part(part(low, high), place))
    }

    fn date(&self, of: fields::Date, field: &Field, value: &Value, place: Place) -> ApiResult<Cond> {
        let read = |raw: &Raw, spans: bool| {
            let text = literal(raw);
            let read = |text: &str| date::absolute(text).or_else(|| if spans { date::relative(text, self.now) } else { None });
            match text.as_deref().and_then(read) {
                Some(interval) => Ok(interval),
                None => refuse(raw.span, format!("{} is no value for `{}`: {}", quoted(&raw.text), field.name, field.form.values())),
            }
        };
        let (low, high) = match value {
            Value::Range(range) => {
                let bound = |bound: &Option<ast::Bound>| -> ApiResult<Option<Interval>> {
                    bound.as_ref().map(|bound| read(&bound.text, true)).transpose()
                };
                match (bound(&range.low)?, bound(&range.high)?) {
                    (Some(first), Some(second)) if first.start > second.start => (Some(second), Some(first)),
                    bounds => bounds,
                }
            }
            value => {
                let interval = read(text_of(field, value)?, false)?;
                (Some(interval), Some(interval))
            }
        };
        if low.is_none() && high.is_none() {
            return Ok(if place.negated { Cond::Never } else { Cond::Always });
        }
        let low = low.map_or(i64::MIN, |interval| interval.start);
        let high = high.map_or(i64::MAX, |interval| interval.end);
        let mut ids = [None, None];
        for (id, statement) in ids.iter_mut().zip(sql::range_of_time(low, high)) {
            let mut prepared = self.c.prepare_cached(&statement.text)?;
            let mut rows = prepared.query(params_from_iter(statement.params))?;
            *id = rows.next()?.map(|row| row.get(0)).transpose()?;
        }
        let [newest, oldest] = ids;
        Ok(self.part(sql::date(of, low, high, oldest.zip(newest)), place))
    }

    fn attribute(&self, written: &ast::Field, elements: &[Element], place: Place) -> ApiResult<Cond> {
        let [_, key, ..] = elements else {
            return refuse(written.path.span, "`attribute` needs a key: attribute.key");
        };
        let Some(definition) = attributes::definition(self.c, &key.name)?.filter(|_| !key.name.is_empty()) else {
            return refuse(written.path.span, unknown_attribute(&key.name));
        };
        if !attributes::has(self.c, self.caller, Right::Read, &definition.key)? {
            return refuse(written.path.span, unknown_attribute(&key.name));
        }
        let condition = condition(&written.value, &elements[1..], Escapes::Plain)?;
        // Else one could find hidden values out letter by letter.
        if definition.hidden && !self.caller.has(Capability::ReadingAllAttributes) && !matches!(condition.test, Test::Equals(_)) {
            return refuse(written.span, format!("The attribute {} is hidden: only whole values can be searched for", quoted(&key.name)));
        }
        Ok(self.part(sql::attribute(&definition.key, &condition), place))
    }

    fn multi(&self, kind: Kind, raw: &Raw, place: Place) -> ApiResult<Cond> {
        let mut digests = sql::Digests::default();
        let mut parts = Vec::new();
        for item in raw.text.split_whitespace() {
            let hexadecimal = item.bytes().all(|byte| byte.is_ascii_hexdigit());
            match (kind, item.len()) {
                (_, 64) if hexadecimal => digests.dhash.push(item.to_owned()),
                (Kind::File, 8) if hexadecimal => digests.crc32.push(item.to_owned()),
                (Kind::File, 32) if hexadecimal => digests.md5.push(item.to_owned()),
                (Kind::File, 40) if hexadecimal => digests.sha1.push(item.to_owned()),
                (Kind::File, 128) if hexadecimal => digests.sha512.push(item.to_owned()),
                (Kind::File, _) => return refuse(raw.span, format!("{} is no CRC-32, MD5, SHA-1, SHA-256 or SHA-512", quoted(item))),
                _ if parts.len() == MOST_PARTS => return refuse(raw.span, format!("More than {MOST_PARTS} texts in one `multi`")),
                (Kind::Config, _) => parts.push(sql::cfg_contains(Pattern::parse(item, Escapes::Python))),
                (Kind::Blob, _) => {
                    let pattern = Pattern::parse(item, Escapes::Python).somewhere();
                    parts.push(sql::text(Text::Content, &pattern, |_| Ok(Vec::new()))?);
                }
            }
        }
        let named = [&digests.crc32, &digests.md5, &digests.sha1, &digests.dhash, &digests.sha512].into_iter().any(|list| !list.is_empty());
        if named {
            parts.push(sql::digests(kind, &digests));
        }
        if parts.is_empty() {
            if kind == Kind::File {
                return refuse(raw.span, "`multi` needs at least one digest");
            }
            // Nothing is part of every content.
            parts.push(sql::anything_of(kind));
        }
        Ok(either(!place.negated, parts.into_iter().map(|part| self.part(part, place)).collect()))
    }

    fn person(&self, form: Form, raw: &Raw) -> ApiResult<Part> {
        let unknown = |what: &str| refuse(raw.span, format!("There is no {what} {} that you may ask for", quoted(&raw.text)));
        let Some(name) = literal(raw) else {
            return refuse(raw.span, "Names of accounts and groups have no wildcards");
        };
        Ok(match form {
            Form::Shared => match accounts::group(self.c, &name)? {
                Some(group) if self.caller.has(Capability::ManageUsers) || self.caller.is_member(group.id) => sql::shared(group.id),
                _ => return unknown("group"),
            },
            Form::Favorites if name == self.caller.login => sql::favorites(self.caller.id),
            Form::Favorites => match sql::login_id(self.c, &name)? {
                Some(id) if self.caller.has(Capability::ManageUsers) => sql::favorites(id),
                _ => return unknown("account"),
            },
            Form::CommentAuthor => match sql::login_id(self.c, &name)? {
                Some(id) => sql::author(id),
                None => return unknown("account"),
            },
            // Everyone is in it: it says nothing of who uploaded.
            Form::Uploader if name == "public" => return refuse(raw.span, "`public` has every account as a member: name another group"),
            _ => {
                let users = sql::users_called(self.c, self.caller, &name)?;
                if users.is_empty() {
                    return unknown("account or group");
                }
                if form == Form::Uploader {
                    sql::uploader(&sql::visible_uploaders(self.c, self.caller, users)?)
                } else {
                    sql::sharer(self.caller, &users)
                }
            }
        })
    }
}

fn unknown_attribute(key: &str) -> String {
    format!("There is no attribute {} that you may read", quoted(key))
}

/// All of these, or any of them.
fn either(any: bool, parts: Vec<Cond>) -> Cond {
    if any { Cond::any(parts) } else { Cond::all(parts) }
}

/// The field that a path names, and the path without the type. Stars of names that are no lists say nothing.
fn look_up(written: &ast::Field, kind: Option<Kind>) -> ApiResult<(&'static Field, Vec<Element>)> {
    let span = written.path.span;
    let mut elements = path::elements(&written.path.text);
    let mut of = kind;
    if let Some(selected) = elements.first().and_then(|first| fields::type_word(&first.name)) {
        of = selected;
        elements.remove(0);
    }
    let Some(first) = elements.first() else {
        return refuse(span, format!("{} is a type: write a field of it, as in file.name", quoted(&written.path.text)));
    };
    let Some(field) = fields::find(of, &first.name) else {
        let owner = fields::FIELDS.iter().find(|field| field.name == first.name).map(|field| fields::word_of(field.of));
        let hint = owner.map_or(String::new(), |owner| format!("; {owner}.{} is one", first.name));
        return refuse(span, format!("There is no field {}{hint}", quoted(&written.path.text)));
    };
    let has_members = matches!(field.form, Form::Attribute | Form::Cfg);
    if elements.len() > 1 && !has_members {
        return refuse(span, format!("`{}` has no members", field.name));
    }
    Ok((field, elements))
}

/// A value that is a text.
fn text_of<'a>(field: &Field, value: &'a Value) -> ApiResult<&'a Raw> {
    match value {
        Value::Text(raw) => Ok(raw),
        Value::Range(range) => refuse(range.span, format!("`{}` has no ranges", field.name)),
        // Refused before.
        Value::Query(_) => Err(anyhow::anyhow!("a query where a text is").into()),
    }
}

/// The text without its escapes, when there are no wildcards in it.
fn literal(raw: &Raw) -> Option<String> {
    Pattern::parse(&raw.text, Escapes::Plain).literal()
}

/// A condition on JSON; the first element is that of the document.
fn condition(value: &Value, elements: &[Element], escapes: Escapes) -> ApiResult<Condition> {
    let test = match value {
        Value::Text(raw) => {
            let pattern = Pattern::parse(&raw.text, escapes);
            pattern.literal().map_or_else(|| Test::Like(pattern.to_text()), Test::Equals)
        }
        Value::Range(range) => range_of_json(range, escapes)?,
        Value::Query(_) => return Err(anyhow::anyhow!("a query where a text is").into()),
    };
    let mut elements = elements.iter().cloned();
    let root = elements.next().map_or(0, |element| element.markers);
    Ok(Condition { root, steps: elements.map(Step::from).collect(), test })
}

fn range_of_json(range: &Range, escapes: Escapes) -> ApiResult<Test> {
    if range.low.is_none() && range.high.is_none() {
        return refuse(range.span, "A range of JSON values needs a bound");
    }
    let bound = |bound: &Option<ast::Bound>| {
        let Some(ast::Bound { text: raw, inclusive }) = bound else { return Ok(None) };
        match Pattern::parse(&raw.text, escapes).literal() {
            Some(text) => Ok(Some(Bound { text, inclusive: *inclusive })),
            None => refuse(raw.span, "The bounds of a range have no wildcards"),
        }
    };
    Ok(Test::within(bound(&range.low)?, bound(&range.high)?))
}
