//! What can be seen from the database alone.

use anyhow::Context;
use karton_rs::{config_dhash, json::Value};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::{Problem, Report};
use crate::{
    db::{objects, search_index, upkeep},
    objects::Kind,
    progress::Progress,
};

/// Rows that are read at once.
const PAGE: u32 = 500;

/// The file as `SQLite` sees it, and references that lead nowhere.
pub(super) fn database(c: &Connection, repair: bool, report: &mut Report) -> anyhow::Result<()> {
    let _progress = Progress::open("database");
    let damage = upkeep::damage(c)?;
    let mut left = damage.clone();
    if repair && !damage.is_empty() && upkeep::reindex(c).is_ok() {
        left = upkeep::damage(c)?;
    }
    if repair {
        let progress = Progress::of("search index", search_index::STEPS);
        search_index::refill(c, || progress.step()).context("make the search index anew")?;
    }
    for line in damage {
        let repaired = (!left.contains(&line)).then_some("indexes were made anew");
        report.add(Problem::new("database", "integrity_check", line).repaired(repaired));
    }
    for dangling in upkeep::dangling(c)? {
        let detail = format!("{} rows name something in `{}` that is not there", dangling.count, dangling.target);
        let repaired = if repair {
            let count = upkeep::mend(c, &dangling)?;
            Some(if dangling.optional { format!("{count} references emptied") } else { format!("{count} rows removed") })
        } else {
            None
        };
        report.add(Problem::new("dangling", format!("{}.{}", dangling.table, dangling.column), detail).repaired(repaired));
    }
    Ok(())
}

/// Objects without their other half, and the hashes of configs and blobs.
pub(super) fn objects(c: &Connection, repair: bool, report: &mut Report) -> anyhow::Result<()> {
    for kind in Kind::ALL {
        for half in upkeep::halves(c, kind)? {
            report.add(Problem::new("half", half.dhash, format!("the object has no row as {}", kind.name())));
        }
        report.objects += upkeep::count(c, kind)?;
    }
    each(c, Kind::Config, "configs", |object| {
        let cfg = objects::config_cfg(c, object.id)?;
        let right = Value::parse(&cfg).is_ok_and(|cfg| config_dhash(&cfg) == object.dhash);
        if !right {
            report.add(Problem::new("hash", object.dhash, "the config is not what its hash says"));
        }
        Ok(())
    })?;
    each(c, Kind::Blob, "blobs", |object| {
        let (row, content) = (objects::blob(c, object.id)?, objects::blob_content(c, object.id)?);
        let hash: String = Sha256::digest(content.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let size = content.chars().count() as u64;
        if hash != object.dhash {
            report.add(Problem::new("hash", object.dhash, "the blob is not what its hash says"));
        } else if size != row.blob_size {
            let repaired = if repair { Some(upkeep::correct_blob_size(c, object.id, size).map(|()| "size corrected")?) } else { None };
            report.add(Problem::new("size", object.dhash, format!("the row says {}, it is {size}", row.blob_size)).repaired(repaired));
        }
        Ok(())
    })
}

fn each(c: &Connection, kind: Kind, what: &'static str, mut look: impl FnMut(upkeep::Known) -> rusqlite::Result<()>) -> anyhow::Result<()> {
    let progress = Progress::of(what, upkeep::count(c, kind)?);
    let mut after = 0;
    loop {
        let page = upkeep::objects(c, kind, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        for object in page {
            progress.step();
            match look(object) {
                // Deleted meanwhile.
                Err(rusqlite::Error::QueryReturnedNoRows) => {}
                looked => looked?,
            }
        }
    }
}
