//! What a task would change in MWDB, for somebody who wants to know before it happens.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use karton_rs::json::{Map, Value};

use crate::mwdb::{ObjectType, UploadOptions};

/// One change that reporting a task would make. Prints as a line for people.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// An upload, with all that travels with it.
    #[non_exhaustive]
    Upload {
        /// What kind of object.
        kind: ObjectType,
        /// Its id.
        id: String,
        /// Name of a file or blob, family of a config.
        name: String,
        /// Bytes of its content.
        size: u64,
        /// Whether MWDB has it: then it takes on what is new.
        exists: bool,
        /// Relations and metadata.
        options: UploadOptions,
    },
    /// A relation between objects that exist.
    #[non_exhaustive]
    Link {
        /// Id of the parent.
        parent: String,
        /// Id of the child.
        child: String,
    },
    /// A tag on an object that exists.
    #[non_exhaustive]
    Tag {
        /// Id of the object.
        id: String,
        /// The tag.
        tag: String,
    },
    /// A value of an attribute on an object that exists.
    #[non_exhaustive]
    Attribute {
        /// Id of the object.
        id: String,
        /// Key.
        key: String,
        /// Value.
        value: Value,
    },
    /// An object that exists becomes part of the analysis.
    #[non_exhaustive]
    Analysis {
        /// Id of the object.
        id: String,
        /// Uid of the analysis.
        karton_id: String,
    },
    /// A comment that nobody has made.
    #[non_exhaustive]
    Comment {
        /// Id of the object.
        id: String,
        /// What it says.
        comment: String,
    },
}

impl Change {
    /// For programs: an object whose `change` says which of the kinds it is.
    pub fn to_value(&self) -> Value {
        let (change, members): (&str, Vec<(&str, Value)>) = match self {
            Self::Upload { kind, id, name, size, exists, options } => (
                "upload",
                vec![
                    ("kind", kind.as_str().into()),
                    ("id", id.into()),
                    ("name", name.into()),
                    ("size", (*size).into()),
                    ("exists", (*exists).into()),
                    ("options", options.to_map().into()),
                ],
            ),
            Self::Link { parent, child } => ("link", vec![("parent", parent.into()), ("child", child.into())]),
            Self::Tag { id, tag } => ("tag", vec![("id", id.into()), ("tag", tag.into())]),
            Self::Attribute { id, key, value } => ("attribute", vec![("id", id.into()), ("key", key.into()), ("value", value.clone())]),
            Self::Analysis { id, karton_id } => ("analysis", vec![("id", id.into()), ("karton_id", karton_id.into())]),
            Self::Comment { id, comment } => ("comment", vec![("id", id.into()), ("comment", comment.into())]),
        };
        let mut map = Map::new();
        map.insert("change".to_owned(), change.into());
        map.extend(members.into_iter().map(|(key, value)| (key.to_owned(), value)));
        map.into()
    }
}

impl fmt::Display for Change {
    // What tasks bring may hold anything: it is quoted, so that a terminal shows it and obeys none of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upload { kind, id, name, size, exists, options } => {
                let what = if *exists { "add to" } else { "upload new" };
                write!(f, "{what} {} {id} {name:?} ({size} bytes)", kind.as_str())?;
                if let Some(parent) = &options.parent {
                    write!(f, ", parent {parent}")?;
                }
                if !options.tags.is_empty() {
                    write!(f, ", tags {:?}", options.tags)?;
                }
                for (key, value) in &options.attributes {
                    write!(f, ", attribute {key:?} = {}", value.to_json())?;
                }
                for (key, value) in &options.metakeys {
                    write!(f, ", metakey {key:?} = {value:?}")?;
                }
                options.karton_id.as_ref().map_or(Ok(()), |uid| write!(f, ", analysis {uid:?}"))
            }
            Self::Link { parent, child } => write!(f, "link {parent} to its child {child}"),
            Self::Tag { id, tag } => write!(f, "tag {id}: {tag:?}"),
            Self::Attribute { id, key, value } => write!(f, "attribute of {id}: {key:?} = {}", value.to_json()),
            Self::Analysis { id, karton_id } => write!(f, "analysis of {id}: {karton_id:?}"),
            Self::Comment { id, comment } => write!(f, "comment on {id}: {comment:?}"),
        }
    }
}

/// The changes noted so far.
#[derive(Debug, Default)]
pub(super) struct Plan(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    changes: Vec<Change>,
    new: BTreeSet<String>,
}

impl Plan {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, change: Change) {
        let mut noted = self.noted();
        if let Change::Upload { id, exists: false, .. } = &change {
            noted.new.insert(id.clone());
        }
        noted.changes.push(change);
    }

    /// Whether an object will only be there once the plan is carried out.
    pub(super) fn makes(&self, id: &str) -> bool {
        self.noted().new.contains(id)
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).changes
    }
}
