//! The rules of objects and their metadata (no HTTP, no SQL). See MWDB API §O1 to §O13 and §U7.
//!
//! The one rule: an object is reached through [`access::find`] alone, which is where permissions are.

pub(crate) mod access;
pub(crate) mod analyses;
pub(crate) mod attributes;
pub(crate) mod comments;
pub(crate) mod create;
pub(crate) mod definitions;
pub(crate) mod downloads;
pub(crate) mod favorites;
pub(crate) mod listing;
pub(crate) mod metakeys;
pub(crate) mod names;
pub(crate) mod options;
pub(crate) mod pair;
pub(crate) mod plugin;
pub(crate) mod relations;
pub(crate) mod remove;
mod room;
pub(crate) mod shares;
pub(crate) mod tags;
pub(crate) mod text;
pub(crate) mod views;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Serialize, Serializer};

/// The three types of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A sample.
    File,
    /// A configuration found in one.
    Config,
    /// A piece of text.
    Blob,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::File, Self::Config, Self::Blob];

    /// The number in the database.
    pub(crate) fn code(self) -> i64 {
        match self {
            Self::File => 1,
            Self::Config => 2,
            Self::Blob => 3,
        }
    }

    /// The name in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Config => "static_config",
            Self::Blob => "text_blob",
        }
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl ToSql for Kind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.code().into())
    }
}

impl FromSql for Kind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let code = value.as_i64()?;
        Self::ALL.into_iter().find(|kind| kind.code() == code).ok_or(FromSqlError::OutOfRange(code))
    }
}
