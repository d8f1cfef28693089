//! What MWDB says about an object, and about itself.

use std::fmt;

use karton_rs::json::Value;

use super::content::Reader;

/// The word for a kind of object in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectType {
    /// Any kind.
    Object,
    /// A file.
    File,
    /// A configuration.
    Config,
    /// A text.
    Blob,
}

impl ObjectType {
    /// As it stands in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::File => "file",
            Self::Config => "config",
            Self::Blob => "blob",
        }
    }
}

/// An object in MWDB.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Object {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Ids of its parents; nothing when the answer does not tell.
    pub parents: Option<Vec<String>>,
    /// Ids of its children; nothing when the answer does not tell.
    pub children: Option<Vec<String>>,
    /// Its tags; nothing when the answer does not tell.
    pub tags: Option<Vec<String>>,
    value: Value,
}

impl Object {
    /// Reads an answer; nothing when it is no object.
    pub(super) fn from_answer(answer: Value) -> Option<Self> {
        let id = answer.get("id")?.as_str()?.to_owned();
        let ids = |key| texts(answer.get(key), "id");
        let (parents, children) = (ids("parents"), ids("children"));
        Some(Self { id, parents, children, tags: texts(answer.get("tags"), "tag"), value: answer })
    }

    /// An object that is not there yet.
    pub(crate) fn planned(id: &str, parent: Option<String>, tags: Vec<String>) -> Self {
        let parents = Some(parent.into_iter().collect());
        Self { id: id.to_owned(), parents, children: Some(Vec::new()), tags: Some(tags), value: Value::Null }
    }

    pub(crate) fn is_planned(&self) -> bool {
        self.value.is_null()
    }

    /// What kind of object it is; nothing when the answer does not tell.
    pub fn kind(&self) -> Option<ObjectType> {
        match self.text("type")? {
            "file" => Some(ObjectType::File),
            "static_config" => Some(ObjectType::Config),
            "text_blob" => Some(ObjectType::Blob),
            _ => None,
        }
    }

    /// A field of the answer, for example `file_size` or `cfg` (MWDB API §O2-§O5).
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.value.get(field)
    }

    /// A field that is text, for example `file_name`, `family` or `upload_time`.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.get(field)?.as_str()
    }
}

/// The neighbours of an object.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Relations {
    /// Objects that it came from.
    pub parents: Vec<Object>,
    /// Objects that came from it.
    pub children: Vec<Object>,
}

impl Relations {
    pub(super) fn from_answer(answer: &Value) -> Option<Self> {
        let objects = |key| list_of(answer.get(key), |item| Object::from_answer(item.clone()));
        Some(Self { parents: objects("parents")?, children: objects("children")? })
    }
}

/// The content of a file on its way.
#[non_exhaustive]
pub struct Download {
    /// Bytes, when the server tells.
    pub size: Option<u64>,
    /// The content.
    pub reader: Reader,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("size", &self.size).finish_non_exhaustive()
    }
}

/// One value of an attribute.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Attribute {
    /// Its number, which metakeys of old servers do not have.
    pub id: Option<i64>,
    /// Key that the value stands under.
    pub key: String,
    /// The value.
    pub value: Value,
}

impl Attribute {
    pub(super) fn from_value(item: &Value) -> Option<Self> {
        Some(Self { id: number(item, "id"), key: text(item, "key")?, value: item.get("value")?.clone() })
    }
}

/// What somebody said about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comment {
    /// Its number; zero when the answer does not tell.
    pub id: i64,
    /// Login of who made it; nothing when the account is gone.
    pub author: Option<String>,
    /// What it says.
    pub text: String,
    /// When it was made, as MWDB writes times.
    pub time: Option<String>,
}

impl Comment {
    pub(super) fn from_value(item: &Value) -> Option<Self> {
        let id = number(item, "id").unwrap_or_default();
        Some(Self { id, author: text(item, "author"), text: text(item, "comment")?, time: text(item, "timestamp") })
    }
}

/// A group that an object is shared with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Share {
    /// Name of the group.
    pub group: String,
    /// Why, as `added`, `shared`, `queried` or `migrated`.
    pub reason: Option<String>,
    /// Since when, as MWDB writes times.
    pub time: Option<String>,
}

impl Share {
    pub(super) fn from_value(item: &Value) -> Option<Self> {
        Some(Self { group: text(item, "group_name")?, reason: text(item, "reason_type"), time: text(item, "access_time") })
    }
}

/// One way of an object through Karton.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Analysis {
    /// Uid of its first task.
    pub id: String,
    /// `running` or `finished`.
    pub status: String,
    /// When something happened last, as MWDB writes times; nothing when it is finished.
    pub last_update: Option<String>,
}

impl Analysis {
    pub(super) fn from_value(item: &Value) -> Option<Self> {
        Some(Self { id: text(item, "id")?, status: text(item, "status")?, last_update: text(item, "last_update") })
    }
}

/// The analyses of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Analyses {
    /// `not_analyzed`, `running` or `finished`.
    pub status: String,
    /// The newest ones, newest first.
    pub analyses: Vec<Analysis>,
}

impl Analyses {
    pub(super) fn from_answer(answer: &Value) -> Option<Self> {
        Some(Self { status: text(answer, "status")?, analyses: list_of(answer.get("analyses"), Analysis::from_value)? })
    }
}

/// Who we are to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Login.
    pub login: String,
    /// What the account may do; nothing when the answer does not tell.
    pub capabilities: Option<Vec<String>>,
}

impl Account {
    pub(super) fn from_answer(answer: &Value) -> Option<Self> {
        let capabilities = answer.get("capabilities").and_then(Value::as_array);
        let capabilities = capabilities.map(|items| items.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        Some(Self { login: text(answer, "login")?, capabilities })
    }

    /// Whether the account has a capability, as far as the server tells.
    pub fn may(&self, capability: &str) -> bool {
        self.capabilities.as_ref().is_none_or(|held| held.iter().any(|known| known == capability))
    }
}

fn text(item: &Value, key: &str) -> Option<String> {
    item.get(key)?.as_str().map(str::to_owned)
}

fn number(item: &Value, key: &str) -> Option<i64> {
    item.get(key)?.as_number()?.as_i64()
}

/// A list, all of whose items can be read.
pub(super) fn list_of<T>(list: Option<&Value>, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    list?.as_array()?.iter().map(read).collect()
}

/// The texts under `key` in a list of objects.
pub(super) fn texts(list: Option<&Value>, key: &str) -> Option<Vec<String>> {
    let items = list?.as_array()?;
    Some(items.iter().filter_map(|item| item.get(key)?.as_str().map(str::to_owned)).collect())
}
