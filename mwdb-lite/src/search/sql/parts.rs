//! What single fields say, in SQL: texts, sizes, dates, analyses, relatives.

use super::{Cond, Part, Relatives, Source, functions::LONGEST_INDEXED, list, read::visible_in, sql, trigram};
use crate::{
    auth::Caller,
    db::{Sql, relations::Side},
    objects::Kind,
    search::{
        fields::{Date, Size, Text},
        pattern::Pattern,
    },
};

/// A pattern that lists more tags than this is put to the tags of each object instead.
const MOST_TAGS: usize = 1000;
/// Sources that are read one by one; more are read together and sorted.
pub(super) const MOST_SOURCES: usize = 50;

/// A text in a column of the row that holds the contents of an object.
struct Column {
    kind: Kind,
    /// The table as a source.
    from: &'static str,
    table: &'static str,
    name: &'static str,
    indexed: bool,
    /// The index of trigrams: as a source, and the column there.
    grams: Option<(&'static str, &'static str)>,
    /// Those too long for it, as a source, where there may be such.
    long: Option<&'static str>,
}

fn column(text: Text) -> Option<Column> {
    let file = |name| Column { kind: Kind::File, from: "file s", table: "file", name, indexed: true, grams: None, long: None };
    let config = |name, grams| Column {
        kind: Kind::Config,
        from: "config s",
        table: "config",
        name,
        indexed: true,
        grams: Some(("config_fts s", grams)),
        long: None,
    };
    let blob = |name, grams| Column {
        kind: Kind::Blob,
        from: "blob s",
        table: "blob",
        name,
        indexed: true,
        grams: Some(("blob_fts s", grams)),
        long: None,
    };
    Some(match text {
        Text::FileType => Column { grams: Some(("file_fts s", "type")), ..file("file_type") },
        Text::Md5 => file("md5"),
        Text::Sha1 => file("sha1"),
        Text::Sha512 => file("sha512"),
        Text::Crc32 => file("crc32"),
        Text::Ssdeep => file("ssdeep"),
        Text::Family => config("family", "family"),
        Text::ConfigType => config("config_type", "type"),
        Text::BlobName => Column { long: Some("blob s INDEXED BY blob_long_name"), ..blob("blob_name", "name") },
        Text::BlobType => blob("blob_type", "type"),
        Text::Content => Column { indexed: false, long: Some("blob s INDEXED BY blob_long"), ..blob("content", "content") },
        Text::Dhash | Text::Sha256 | Text::Tag | Text::Comment | Text::FileName => return None,
    })
}

/// A text equals a pattern. `tags` looks up which tags match.
pub(crate) fn text(text: Text, pattern: &Pattern, tags: impl FnOnce(TagsLike<'_>) -> rusqlite::Result<Vec<i64>>) -> rusqlite::Result<Part> {
    Ok(match text {
        Text::Dhash => dhash(None, pattern),
        Text::Sha256 => dhash(Some(Kind::File), pattern),
        Text::Tag => tag(pattern, tags)?,
        Text::Comment => comment(pattern),
        Text::FileName => file_name(pattern),
        other => match column(other) {
            Some(column) => in_column(&column, pattern),
            // Every other text has a column.
            None => Part::new(None, Sql::new("0")),
        },
    })
}

/// The comparison of an expression with a pattern.
fn equals(expression: &str, pattern: &Pattern) -> Sql {
    match pattern.literal() {
        Some(literal) => sql(&format!("{expression} = ?"), [literal.into()]),
        None => sql(&format!("mwdb_like(?, {expression})"), [pattern.to_text().into()]),
    }
}

/// The range of an indexed column in which everything starts with the pattern's literal start.
fn starts_with(column: &str, pattern: &Pattern) -> Option<Sql> {
    let prefix = pattern.prefix();
    // Every text that starts with the prefix is below the prefix followed by the last character there is.
    let end = format!("{prefix}\u{10ffff}");
    (!prefix.is_empty()).then(|| sql(&format!("{column} >= ? AND {column} < ?"), [prefix.into(), end.into()]))
}

/// What FTS5 is asked for.
fn grams_of(pattern: &Pattern, column: &str) -> Option<rusqlite::types::Value> {
    let runs = pattern.runs();
    trigram::of(runs.iter().map(String::as_str)).map(|grams| grams.expression(column).into())
}

fn matching(from: &'static str, expression: rusqlite::types::Value) -> Source {
    let table = from.trim_end_matches(" s");
    Source::new(from, "s.rowid", sql(&format!("s.{table} MATCH ?"), [expression]))
}

fn in_column(column: &Column, pattern: &Pattern) -> Part {
    let Column { kind, from, table, name, .. } = *column;
    let mut test = Sql::new("(SELECT ");
    test.append(equals(&format!("f.{name}"), pattern)).push(&format!(" FROM {table} f WHERE f.object_id = @.id)"));
    let part = Part::new(Some(kind), test);
    let indexed = format!("s.{name}");
    if column.indexed && pattern.literal().is_some() {
        return part.way(vec![Source::new(from, "s.object_id", equals(&indexed, pattern))]).exact();
    }
    let grams = column.grams.and_then(|(from, column)| Some((from, grams_of(pattern, column)?)));
    if let Some((fts, expression)) = grams {
        let mut sources = vec![matching(fts, expression)];
        sources.extend(column.long.map(|from| long(from, name)));
        return part.way(sources);
    }
    match starts_with(&indexed, pattern).filter(|_| column.indexed) {
        Some(range) => part.way(vec![Source::new(from, "s.object_id", range).unordered()]),
        None => part,
    }
}

/// Texts too long for the index. The index that lists them is named, because `SQLite` does not know that it is short.
pub(super) fn long(from: &'static str, column: &str) -> Source {
    Source::new(from, "s.object_id", Sql::new(format!("octet_length(s.{column}) > {LONGEST_INDEXED}")))
}

fn dhash(kind: Option<Kind>, pattern: &Pattern) -> Part {
    // The sign keeps the planner from reading the index instead of the source.
    let part = Part::new(kind, equals("+@.dhash", pattern));
    if pattern.literal().is_some() {
        let source = Source::new("object s", "s.id", equals("s.dhash", pattern));
        // Of all types: those of one are told by the test.
        return if kind.is_none() { part.way(vec![source]).exact() } else { part.way(vec![source]) };
    }
    match starts_with("s.dhash", pattern) {
        Some(range) => part.way(vec![Source::new("object s", "s.id", range).unordered()]),
        None => part,
    }
}

/// The question which tags match a pattern.
pub(crate) struct TagsLike<'a> {
    pattern: &'a Pattern,
}

impl TagsLike<'_> {
    /// The statement that gives their ids.
    pub(crate) fn statement(&self) -> Sql {
        let limit = i64::try_from(MOST_TAGS + 1).unwrap_or(i64::MAX);
        let mut statement = Sql::new("SELECT t.id FROM ");
        if self.pattern.literal().is_some() {
            statement.push("tag t WHERE ");
        } else if let Some(expression) = grams_of(self.pattern, "tag") {
            statement.push_with("tag_fts f CROSS JOIN tag t ON t.id = f.rowid WHERE f.tag_fts MATCH ? AND ", expression);
        } else if let Some(range) = starts_with("t.tag", self.pattern) {
            statement.push("tag t WHERE ").append(range).push(" AND ");
        } else {
            statement.push("tag t WHERE ");
        }
        statement.append(equals("t.tag", self.pattern)).push_with(" LIMIT ?", limit);
        statement
    }
}

fn tag(pattern: &Pattern, tags: impl FnOnce(TagsLike<'_>) -> rusqlite::Result<Vec<i64>>) -> rusqlite::Result<Part> {
    if pattern.is_anything() {
        return Ok(Part::new(None, Sql::new("EXISTS (SELECT 1 FROM object_tag x WHERE x.object_id = @.id)")));
    }
    let ids = tags(TagsLike { pattern })?;
    let source = |cond| Source::new("object_tag s", "s.object_id", cond);
    Ok(match ids.as_slice() {
        [] => Part::new(None, Sql::new("0")).way(Vec::new()),
        [id] => {
            let test = sql("EXISTS (SELECT 1 FROM object_tag x WHERE x.object_id = @.id AND x.tag_id = ?)", [(*id).into()]);
            Part::new(None, test).way(vec![source(sql("s.tag_id = ?", [(*id).into()]))]).exact()
        }
        ids if ids.len() <= MOST_TAGS => {
            let some = list(ids);
            let text = "EXISTS (SELECT 1 FROM object_tag x WHERE x.object_id = @.id AND x.tag_id IN (SELECT value FROM json_each(?)))";
            let part = Part::new(None, sql(text, [some.clone()]));
            if ids.len() <= MOST_SOURCES {
                part.way(ids.iter().map(|id| source(sql("s.tag_id = ?", [(*id).into()]))).collect())
            } else {
                part.way(vec![source(sql("s.tag_id IN (SELECT value FROM json_each(?))", [some])).unordered().repeating()])
            }
        }
        _ => {
            let mut test = Sql::new("EXISTS (SELECT 1 FROM object_tag x JOIN tag t ON t.id = x.tag_id WHERE x.object_id = @.id AND ");
            test.append(equals("t.tag", pattern)).push(")");
            Part::new(None, test)
        }
    })
}

fn comment(pattern: &Pattern) -> Part {
    let mut test = Sql::new("EXISTS (SELECT 1 FROM comment k WHERE k.object_id = @.id AND ");
    test.append(equals("k.comment", pattern)).push(")");
    let part = Part::new(None, test);
    match grams_of(pattern, "comment") {
        Some(expression) => {
            let cond = sql("f.comment_fts MATCH ?", [expression]);
            let source = Source::new("comment_fts f CROSS JOIN comment s ON s.id = f.rowid", "s.object_id", cond);
            part.way(vec![source.unordered().repeating()])
        }
        None => part,
    }
}

fn file_name(pattern: &Pattern) -> Part {
    let mut test = Sql::new("EXISTS (SELECT 1 FROM file_name n WHERE n.object_id = @.id AND ");
    test.append(equals("n.name", pattern)).push(")");
    let part = Part::new(Some(Kind::File), test);
    if pattern.literal().is_some() {
        return part.way(vec![Source::new("file_name s", "s.object_id", equals("s.name", pattern))]).exact();
    }
    match (grams_of(pattern, "name"), starts_with("s.name", pattern)) {
        (Some(expression), _) => {
            let many_names = Source::new("file_many_names s", "s.object_id", Sql::new("1"));
            part.way(vec![matching("file_fts s", expression), many_names])
        }
        (None, Some(range)) => part.way(vec![Source::new("file_name s", "s.object_id", range).unordered().repeating()]),
        (None, None) => part,
    }
}

/// A size between two bounds, both included.
pub(crate) fn size(size: Size, low: i64, high: i64) -> Part {
    let (kind, from, column) = match size {
        Size::File => (Kind::File, "file s", "file_size"),
        Size::Blob => (Kind::Blob, "blob s", "blob_size"),
    };
    let table = from.trim_end_matches(" s");
    let test = sql(&format!("(SELECT f.{column} BETWEEN ? AND ? FROM {table} f WHERE f.object_id = @.id)"), [low.into(), high.into()]);
    let part = Part::new(Some(kind), test);
    if low == high {
        return part.way(vec![Source::new(from, "s.object_id", sql(&format!("s.{column} = ?"), [low.into()]))]).exact();
    }
    part.way(vec![Source::new(from, "s.object_id", sql(&format!("s.{column} BETWEEN ? AND ?"), [low.into(), high.into()])).unordered()])
}

/// The ids of objects uploaded between two moments: ids and times grow together. First the statement
/// for the newest not after the end, then the one for the oldest not before the start.
pub(crate) fn range_of_time(low: i64, high: i64) -> [Sql; 2] {
    [
        sql("SELECT id FROM object WHERE upload_time <= ? ORDER BY upload_time DESC, id DESC LIMIT 1", [high.into()]),
        sql("SELECT id FROM object WHERE upload_time >= ? ORDER BY upload_time, id LIMIT 1", [low.into()]),
    ]
}

/// A moment between two others, both included; `ids` are the objects of [`range_of_time`].
pub(crate) fn date(date: Date, low: i64, high: i64, ids: Option<(i64, i64)>) -> Part {
    if date == Date::LastSeen {
        let bounds = || [low.into(), high.into()];
        let test = sql("(SELECT f.last_seen BETWEEN ? AND ? FROM blob f WHERE f.object_id = @.id)", bounds());
        return Part::new(Some(Kind::Blob), test)
            .way(vec![Source::new("blob s", "s.object_id", sql("s.last_seen BETWEEN ? AND ?", bounds())).unordered()]);
    }
    let part = Part::new(None, sql("+@.upload_time BETWEEN ? AND ?", [low.into(), high.into()]));
    match ids {
        Some((oldest, newest)) => {
            part.way(vec![Source::new("object s", "s.id", sql("s.id BETWEEN ? AND ?", [oldest.into(), newest.into()]))])
        }
        None => part.way(Vec::new()),
    }
}

/// The number of accounts that uploaded, between two bounds, both included.
pub(crate) fn upload_count(low: i64, high: i64) -> Part {
    let text = "(SELECT count(DISTINCT p.related_user_id) FROM permission p WHERE p.object_id = @.id AND p.reason_type = 'added') \
                BETWEEN ? AND ?";
    Part::new(None, sql(text, [low.into(), high.into()]))
}

/// An object of this analysis.
pub(crate) fn analysis(id: &str) -> Part {
    let text = "EXISTS (SELECT 1 FROM analysis_object x WHERE x.object_id = @.id AND x.analysis_id = ?)";
    Part::new(None, sql(text, [id.to_owned().into()]))
        .way(vec![Source::new("analysis_object s", "s.object_id", sql("s.analysis_id = ?", [id.to_owned().into()]))])
        .exact()
}

/// An object of any analysis.
pub(crate) fn any_analysis() -> Part {
    Part::new(None, Sql::new("EXISTS (SELECT 1 FROM analysis_object x WHERE x.object_id = @.id)"))
        .way(vec![Source::new("analysis_object s", "s.object_id", Sql::new("1")).repeating()])
}

/// Any object of a type.
pub(crate) fn anything_of(kind: Kind) -> Part {
    Part::new(Some(kind), Sql::new("1"))
}

/// Digests by their column.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    pub(crate) crc32: Vec<String>,
    pub(crate) md5: Vec<String>,
    pub(crate) sha1: Vec<String>,
    pub(crate) dhash: Vec<String>,
    pub(crate) sha512: Vec<String>,
}

/// An object of a type that has one of these digests.
pub(crate) fn digests(kind: Kind, digests: &Digests) -> Part {
    let columns = [("crc32", &digests.crc32), ("md5", &digests.md5), ("sha1", &digests.sha1), ("sha512", &digests.sha512)];
    let mut tests = Vec::new();
    let mut sources = Vec::new();
    let among = "IN (SELECT value FROM json_each(?))";
    for (column, values) in columns.into_iter().filter(|(_, values)| !values.is_empty()) {
        tests.push(sql(&format!("(SELECT f.{column} {among} FROM file f WHERE f.object_id = @.id)"), [list(values)]));
        sources.push(Source::new("file s", "s.object_id", sql(&format!("s.{column} {among}"), [list(values)])).unordered());
    }
    if !digests.dhash.is_empty() {
        tests.push(sql(&format!("+@.dhash {among}"), [list(&digests.dhash)]));
        sources.push(Source::new("object s", "s.id", sql(&format!("s.dhash {among}"), [list(&digests.dhash)])).unordered());
    }
    Part::new(Some(kind), super::joined(tests, " OR ")).way(sources)
}

/// A relative that the caller sees satisfies `cond`. `depth` tells nested questions apart.
pub(crate) fn related(caller: &Caller, side: Side, cond: Cond, depth: usize) -> Part {
    let (own, other) = match side {
        Side::Parents => ("child_id", "parent_id"),
        Side::Children => ("parent_id", "child_id"),
    };
    let row = format!("o{depth}");
    let mut test = Sql::new(format!(
        "EXISTS (SELECT 1 FROM relation r{depth} JOIN object {row} ON {row}.id = r{depth}.{other} WHERE r{depth}.{own} = @.id AND "
    ));
    test.append(visible_in(caller, &format!("{row}.id"))).push(" AND ").append(cond.test(&row)).push(")");
    // Whoever has a relative at all.
    let id = if own == "child_id" { "s.child_id" } else { "s.parent_id" };
    let mut part = Part::new(None, test).way(vec![Source::new("relation s", id, Sql::new("1")).repeating()]);
    part.relatives = Some(Relatives { own, other, cond: Box::new(cond) });
    part
}
