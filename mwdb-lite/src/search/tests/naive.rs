//! What a query means, by definition: one object at a time, no index, no SQL, three truth values.

use serde_json::Value;

use super::bed::{Object, PUBLIC, Random, TEAM, USERS, World};
use crate::{auth::Caller, objects::Kind};

#[derive(Debug, Clone)]
pub(super) enum Query {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Tag(Glob),
    Comment(Glob),
    FileName(Glob),
    BlobName(Glob),
    Family(Glob),
    Content(Glob),
    FileSize(Ends),
    BlobSize(Ends),
    Hours(Ends),
    FirstSeen(Ends),
    UploadCount(Ends),
    Dhash(String),
    Cfg(Path, Test),
    Attribute(&'static str, Path, Test),
    Uploader(usize),
    Sharer(usize),
    Shared(i64),
    Favorite,
    Author(usize),
    Karton(Option<String>),
    MultiConfig(Vec<String>),
    Parent(Box<Self>),
    Child(Box<Self>),
}

/// Texts with wildcards.
#[derive(Debug, Clone)]
pub(super) struct Glob(pub(super) Vec<Sign>);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sign {
    Is(char),
    One,
    Many,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) low: Option<(i64, bool)>,
    pub(super) high: Option<(i64, bool)>,
}

/// Members with their markers; the first is the document.
pub(super) type Path = Vec<(&'static str, usize)>;

#[derive(Debug, Clone)]
pub(super) enum Test {
    Like(Glob),
    Numbers(Ends),
}

impl Glob {
    pub(super) fn text(text: &str) -> Self {
        Self(text.chars().map(Sign::Is).collect())
    }

    /// Something like `text`, wild in places.
    pub(super) fn like(random: &mut Random, text: &str) -> Self {
        let mut signs = Self::text(text).0;
        match random.below(6) {
            0 | 1 => {}
            2 => signs.push(Sign::Many),
            3 => signs.insert(0, Sign::Many),
            4 => {
                let from = random.below(signs.len() + 1);
                let to = from + random.below(signs.len() + 1 - from);
                signs.splice(from..to, [Sign::Many]);
            }
            _ => {
                let from = random.below(signs.len() + 1);
                let to = from + random.below(signs.len() + 1 - from);
                signs = [&[Sign::Many], &signs[from..to], &[Sign::Many]].concat();
            }
        }
        if random.chance(15) && !signs.is_empty() {
            let at = random.below(signs.len());
            signs[at] = Sign::One;
        }
        signs.dedup_by(|next, last| *next == Sign::Many && *last == Sign::Many);
        Self(signs)
    }

    /// As it is written in a query: always in quotation marks.
    fn written(&self, python: bool) -> String {
        let sign = |sign: &Sign| match sign {
            Sign::Many => "*".to_owned(),
            Sign::One => "?".to_owned(),
            Sign::Is('\n') if python => "\\n".to_owned(),
            Sign::Is('\0') if python => "\\x00".to_owned(),
            Sign::Is(character @ ('"' | '\\' | '*' | '?')) => format!("\\{character}"),
            Sign::Is(character) => character.to_string(),
        };
        format!("\"{}\"", self.0.iter().map(sign).collect::<String>())
    }

    fn matches(&self, text: &str) -> bool {
        fn all(signs: &[Sign], text: &[char]) -> bool {
            match signs.split_first() {
                None => text.is_empty(),
                Some((Sign::Many, rest)) => (0..=text.len()).any(|skip| all(rest, &text[skip..])),
                Some((Sign::One, rest)) => !text.is_empty() && all(rest, &text[1..]),
                Some((Sign::Is(wanted), rest)) => text.first() == Some(wanted) && all(rest, &text[1..]),
            }
        }
        all(&self.0, &text.chars().collect::<Vec<_>>())
    }

    fn literal(&self) -> Option<String> {
        self.0.iter().map(|sign| if let Sign::Is(character) = sign { Some(*character) } else { None }).collect()
    }
}

impl Ends {
    fn holds(self, number: i64) -> bool {
        self.holds_float(number as f64)
    }
    fn holds_float(self, number: f64) -> bool {
        let (mut low, mut high) = (self.low, self.high);
        if let (Some((first, _)), Some((second, _))) = (low, high)
            && first > second
        {
            (low, high) = (high, low);
        }
        low.is_none_or(|(low, inclusive)| number > low as f64 || (inclusive && number == low as f64))
            && high.is_none_or(|(high, inclusive)| number < high as f64 || (inclusive && number == high as f64))
    }

    fn written(self, show: impl Fn(i64) -> String) -> String {
        // An open start, written as a comparison.
        if let Self { low: None, high } = self {
            let (end, inclusive) = high.map_or(("*".to_owned(), true), |(number, inclusive)| (show(number), inclusive));
            return format!("<{}{end}", if inclusive { "=" } else { "" });
        }
        let bound = |bound: Option<(i64, bool)>| bound.map_or("*".to_owned(), |(number, _)| show(number));
        let open = if self.low.is_none_or(|(_, inclusive)| inclusive) { '[' } else { '{' };
        let close = if self.high.is_none_or(|(_, inclusive)| inclusive) { ']' } else { '}' };
        format!("{open}{} TO {}{close}", bound(self.low), bound(self.high))
    }
}

/// With and without zeros in front.
fn date(hours: i64) -> String {
    let (day, hour) = (hours / 24 + 1, hours % 24);
    if hours % 2 == 0 { format!("\"1970-01-{day:02} {hour:02}:00\"") } else { format!("\"1970-1-{day} {hour}:0\"") }
}

impl Test {
    fn written(&self, python: bool) -> String {
        match self {
            Self::Like(glob) => glob.written(python),
            Self::Numbers(ends) => ends.written(|number| number.to_string()),
        }
    }
}

fn path_text(root: &str, path: &Path) -> String {
    let element = |index: usize, (name, markers): &(&str, usize)| {
        let name = if index == 0 { root } else { name };
        let name = if index == 0 { name.to_owned() } else { name.replace('.', "\\.") };
        format!("{name}{}", "*".repeat(*markers))
    };
    path.iter().enumerate().map(|(index, step)| element(index, step)).collect::<Vec<_>>().join(".")
}

impl Query {
    /// As a person writes it.
    pub(super) fn written(&self) -> String {
        let list = |parts: &[Self], operator: &str| format!("({})", parts.iter().map(Self::written).collect::<Vec<_>>().join(operator));
        match self {
            Self::And(parts) => list(parts, " AND "),
            Self::Or(parts) => list(parts, " OR "),
            Self::Not(inner) => format!("NOT {}", inner.written()),
            Self::Tag(glob) => format!("tag:{}", glob.written(false)),
            Self::Comment(glob) => format!("comment:{}", glob.written(false)),
            Self::FileName(glob) => format!("file.name:{}", glob.written(false)),
            Self::BlobName(glob) => format!("blob.name:{}", glob.written(false)),
            Self::Family(glob) => format!("config.family:{}", glob.written(false)),
            Self::Content(glob) => format!("blob.content:{}", glob.written(true)),
            Self::FileSize(ends) => format!("file.size:{}", ends.written(|number| number.to_string())),
            Self::BlobSize(ends) => format!("blob.size:{}", ends.written(|number| number.to_string())),
            Self::Hours(ends) => format!("upload_time:{}", ends.written(date)),
            Self::FirstSeen(ends) => format!("blob.first_seen:{}", ends.written(date)),
            Self::UploadCount(ends) => format!("upload_count:{}", ends.written(|number| number.to_string())),
            Self::Dhash(dhash) => format!("dhash:{dhash}"),
            Self::Cfg(path, test) => format!("config.{}:{}", path_text("cfg", path), test.written(true)),
            Self::Attribute(key, path, test) => format!("attribute.{}:{}", path_text(key, path), test.written(false)),
            Self::Uploader(user) => format!("uploader:{}", USERS[*user]),
            Self::Sharer(user) => format!("sharer:{}", USERS[*user]),
            Self::Shared(group) => format!("shared:{}", if *group == TEAM { "team" } else { "public" }),
            Self::Favorite => "favorites:alice".to_owned(),
            Self::Author(user) => format!("comment_author:{}", USERS[*user]),
            Self::Karton(id) => format!("karton:{}", id.as_deref().unwrap_or("*")),
            Self::MultiConfig(items) => format!("config.multi:\"{}\"", items.join(" ")),
            Self::Parent(inner) => format!("parent:({})", inner.written()),
            Self::Child(inner) => format!("child:({})", inner.written()),
        }
    }
}

fn number(id: i64) -> usize {
    usize::try_from(id).unwrap() - 1
}

fn groups(caller: &Caller) -> Vec<i64> {
    caller.groups.iter().map(|group| group.id).collect()
}

fn is_root(caller: &Caller) -> bool {
    number(caller.id) == 3
}

pub(super) fn sees(caller: &Caller, object: &Object) -> bool {
    is_root(caller) || object.permissions.iter().any(|row| groups(caller).contains(&row.group))
}

/// Whether a query holds for an object; nothing when it says nothing of objects of this type.
pub(super) fn eval(world: &World, caller: &Caller, query: &Query, object: &Object) -> Option<bool> {
    let of = |kind: Kind, holds: bool| (object.kind == kind).then_some(holds);
    let relative = |indexes: &std::collections::BTreeSet<usize>, inner: &Query| {
        let relatives = indexes.iter().map(|index| &world.objects[*index]);
        Some(relatives.filter(|relative| sees(caller, relative)).any(|relative| eval(world, caller, inner, relative) == Some(true)))
    };
    match query {
        Query::And(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| eval(world, caller, part, object)).collect();
            if parts.contains(&Some(false)) {
                Some(false)
            } else if parts.contains(&None) {
                None
            } else {
                Some(true)
            }
        }
        Query::Or(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| eval(world, caller, part, object)).collect();
            if parts.contains(&Some(true)) {
                Some(true)
            } else if parts.contains(&None) {
                None
            } else {
                Some(false)
            }
        }
        Query::Not(inner) => eval(world, caller, inner, object).map(|holds| !holds),
        Query::Tag(glob) => Some(object.tags.iter().any(|tag| glob.matches(tag))),
        Query::Comment(glob) => Some(object.comments.iter().any(|(_, comment)| glob.matches(comment))),
        Query::FileName(glob) => of(Kind::File, object.names.iter().any(|name| glob.matches(name))),
        Query::BlobName(glob) => of(Kind::Blob, glob.matches(&object.names[0])),
        Query::Family(glob) => of(Kind::Config, glob.matches(&object.family)),
        Query::Content(glob) => of(Kind::Blob, glob.matches(&object.content)),
        Query::FileSize(ends) => {
            if ends.low.or(ends.high).is_none() {
                Some(true)
            } else {
                of(Kind::File, ends.holds(object.size))
            }
        }
        Query::BlobSize(ends) => {
            if ends.low.or(ends.high).is_none() {
                Some(true)
            } else {
                of(Kind::Blob, ends.holds(object.size))
            }
        }
        // A bound is a minute; brackets do not count.
        Query::Hours(ends) | Query::FirstSeen(ends) => {
            let inclusive = Ends { low: ends.low.map(|(number, _)| (number, true)), high: ends.high.map(|(number, _)| (number, true)) };
            Some(inclusive.holds(object.time / 3_600_000_000))
        }
        Query::UploadCount(ends) => {
            let users: std::collections::BTreeSet<i64> =
                object.permissions.iter().filter(|row| row.reason == "added").map(|row| row.user).collect();
            Some(ends.holds(i64::try_from(users.len()).unwrap()))
        }
        Query::Dhash(dhash) => Some(object.dhash == *dhash),
        Query::Cfg(path, test) => {
            let holds = object.kind == Kind::Config && json(&object.cfg, path, test);
            if matches!(test, Test::Like(glob) if glob.literal().is_none()) { Some(holds) } else { of(Kind::Config, holds) }
        }
        Query::Attribute(key, path, test) => Some(object.attributes.iter().any(|(known, value)| known == key && json(value, path, test))),
        Query::Uploader(user) => {
            let user = i64::try_from(*user).unwrap() + 1;
            let known = is_root(caller) || user == caller.id || (user < 3 && caller.id < 3);
            let row = |row: &super::bed::Permission| row.reason == "added" && row.related_object == object.id && row.user == user;
            Some(known && object.permissions.iter().any(row))
        }
        Query::Sharer(user) => {
            let user = i64::try_from(*user).unwrap() + 1;
            let known = |group: i64| is_root(caller) || groups(caller).contains(&group);
            Some(object.permissions.iter().any(|row| row.reason == "shared" && row.user == user && known(row.group)))
        }
        Query::Shared(group) => Some(object.permissions.iter().any(|row| row.group == *group)),
        Query::Favorite => Some(object.favorite_of.contains(&1)),
        Query::Author(user) => Some(object.comments.iter().any(|(author, _)| number(*author) == *user)),
        Query::Karton(None) => Some(!object.analyses.is_empty()),
        Query::Karton(Some(id)) => Some(object.analyses.contains(id)),
        Query::MultiConfig(items) => {
            let contains = |item: &String| *item == object.dhash || text(&object.cfg).contains(item);
            of(Kind::Config, items.is_empty() || items.iter().any(contains))
        }
        Query::Parent(inner) => relative(&object.parents, inner),
        Query::Child(inner) => relative(&object.children, inner),
    }
}

/// The JSON text that patterns are compared with.
fn text(value: &Value) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(text_of).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_by_key(|key| (key.len(), key.as_str()));
            format!("{{{}}}", keys.into_iter().map(|key| format!("{}: {}", quoted(key), text(&map[key]))).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn text_of(value: &Value) -> String {
    text(value)
}

fn unwrapped(items: Vec<Value>, times: usize) -> Vec<Value> {
    (0..times).fold(items, |items, _| {
        items.into_iter().flat_map(|item| if let Value::Array(elements) = item { elements } else { vec![item] }).collect()
    })
}

fn json(document: &Value, path: &Path, test: &Test) -> bool {
    let mut items = unwrapped(vec![document.clone()], path[0].1);
    for (name, markers) in &path[1..] {
        let members = items.iter().flat_map(|item| match item {
            Value::Array(elements) => elements.iter().filter_map(|element| element.get(*name).cloned()).collect::<Vec<_>>(),
            item => item.get(*name).cloned().into_iter().collect(),
        });
        items = unwrapped(members.collect(), *markers);
    }
    items.iter().any(|item| match test {
        Test::Numbers(ends) => {
            unwrapped(vec![item.clone()], 2).iter().any(|item| item.as_f64().is_some_and(|number| ends.holds_float(number)))
        }
        Test::Like(glob) => match glob.literal() {
            Some(literal) => unwrapped(vec![item.clone()], 2).iter().any(|item| match item {
                Value::String(text) => *text == literal,
                Value::Array(_) | Value::Object(_) => false,
                Value::Number(number) if !literal.starts_with('-') => {
                    literal.parse::<f64>().is_ok_and(|wanted| number.as_f64() == Some(wanted))
                }
                Value::Number(_) => false,
                Value::Null => literal == "null",
                Value::Bool(flag) => literal == if *flag { "true" } else { "false" },
            }),
            None if glob.0.first() == Some(&Sign::Many) && glob.0.last() == Some(&Sign::Many) => {
                let escaped = |also: bool| {
                    let signs = glob.0.iter().flat_map(|sign| match sign {
                        Sign::Is('\\') => vec![Sign::Is('\\'), Sign::Is('\\')],
                        Sign::Is('"') if also => vec![Sign::Is('\\'), Sign::Is('"')],
                        sign => vec![*sign],
                    });
                    Glob(signs.collect())
                };
                let text = text(item);
                escaped(true).matches(&text) || escaped(false).matches(&text)
            }
            None => match item {
                Value::Null => false,
                Value::String(text) => glob.matches(text),
                other => glob.matches(&text(other)),
            },
        },
    })
}

/// Groups that can be asked for.
pub(super) const ASKED: [i64; 2] = [TEAM, PUBLIC];
