//! Two blobs that are to be compared.
//!
//! The one rule: the content of a blob is read only once it is known to be small enough.

use rusqlite::Connection;

use super::{Kind, access};
use crate::{
    auth::Caller,
    db::objects::{self as db, ObjectRow},
    error::ApiResult,
};

/// What is known of one of the two.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) name: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// It is one blob.
    Same,
    /// One of them has more bytes than may be read.
    TooLarge,
    Both(String, String),
}

/// Two blobs that the caller sees, with their contents if neither has more than `largest` bytes.
pub(crate) fn find(c: &Connection, caller: &Caller, ids: [&str; 2], largest: u64) -> ApiResult<([Named; 2], Contents)> {
    let [left, right] = ids.map(|id| access::find(c, caller, Some(Kind::Blob), id));
    let (left, right) = (left?, right?);
    let named = |object: &ObjectRow| Ok::<_, rusqlite::Error>(Named { id: object.dhash.clone(), name: db::blob(c, object.id)?.blob_name });
    Ok(([named(&left)?, named(&right)?], contents(c, left.id, right.id, largest)?))
}

fn contents(c: &Connection, left: i64, right: i64, largest: u64) -> ApiResult<Contents> {
    // A blob is known by its content.
    if left == right {
        return Ok(Contents::Same);
    }
    if db::blob_bytes(c, left)?.max(db::blob_bytes(c, right)?) > largest {
        return Ok(Contents::TooLarge);
    }
    Ok(Contents::Both(db::blob_content(c, left)?, db::blob_content(c, right)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{db::objects::BlobRow, timestamp::Timestamp};

    #[test]
    fn a_blob_that_is_too_large_is_not_read() -> ApiResult<()> {
        let c = crate::db::scratch();
        let blob = |content: &str| -> ApiResult<i64> {
            let id = db::insert(&c, Kind::Blob, content, false)?;
            let row = BlobRow { blob_name: String::new(), blob_type: String::new(), blob_size: 0, last_seen: Timestamp::now() };
            db::insert_blob(&c, id, &row, content)?;
            Ok(id)
        };
        let (small, other, large) = (blob("ab")?, blob("ac")?, blob("\u{17c}\u{17c}")?);
        assert_eq!(contents(&c, small, other, 3)?, Contents::Both("ab".to_owned(), "ac".to_owned()));
        assert_eq!(contents(&c, large, large, 3)?, Contents::Same);
        // Four bytes: characters say nothing of what it takes to read them.
        assert_eq!(contents(&c, small, large, 3)?, Contents::TooLarge);
        // Whoever would read it fails.
        c.execute("UPDATE blob SET content = x'ffffffff' WHERE object_id = ?", [large])?;
        assert_eq!(contents(&c, large, small, 3)?, Contents::TooLarge);
        assert!(contents(&c, large, small, 4).is_err());
        Ok(())
    }
}
