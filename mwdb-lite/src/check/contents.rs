//! Files against their content, and content against the files.

use futures::{StreamExt, TryStreamExt, stream};
use rusqlite::Connection;
use tokio::io::AsyncReadExt;

use super::{Problem, Report};
use crate::{
    content::{Digests, Hasher, Store, StoreError, Stored},
    db::{
        fresh,
        objects::{self, FileRow},
        upkeep::{self, Known},
    },
    objects::Kind,
    progress::Progress,
};

/// Files that are read at once.
const AT_ONCE: usize = 4;
/// Rows that are read at once.
const PAGE: u32 = 500;
/// How much of a file is read at once.
const PIECE: usize = 256 * 1024;

/// What is under the hash of a file.
enum Found {
    Nothing,
    Content(u64, Box<Digests>),
}

/// Reads the content of every file and compares all that the database says of it.
pub(super) async fn files(c: &Connection, store: &Store, repair: bool, report: &mut Report) -> anyhow::Result<()> {
    let progress = Progress::of("files", upkeep::count(c, Kind::File)?);
    let mut after = 0;
    loop {
        let mut page = Vec::new();
        let objects = upkeep::objects(c, Kind::File, after, PAGE)?;
        let Some(last) = objects.last() else { return Ok(()) };
        after = last.id;
        for object in objects {
            match objects::file(c, object.id) {
                Ok(row) => page.push((object, row)),
                // Deleted meanwhile.
                Err(rusqlite::Error::QueryReturnedNoRows) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let reads = stream::iter(page).map(|(object, row)| async {
            let found = read(store, &object.dhash, row.ssdeep.is_some()).await?;
            progress.step();
            Ok::<_, StoreError>((object, row, found))
        });
        for (object, row, found) in reads.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await? {
            report.files += 1;
            if let Found::Content(size, _) = found {
                report.bytes += size;
            }
            compare(c, store, repair, (object, row, found), report).await?;
        }
    }
}

async fn read(store: &Store, sha256: &str, fuzzy: bool) -> Result<Found, StoreError> {
    let Some(content) = store.find(sha256).await? else { return Ok(Found::Nothing) };
    let mut reader = match content.whole().await {
        Err(StoreError::Missing(_)) => return Ok(Found::Nothing),
        reader => reader?,
    };
    let mut hasher = Hasher::new(fuzzy);
    let mut piece = vec![0; PIECE];
    loop {
        let count = reader.read(&mut piece).await.map_err(|error| StoreError::Away(format!("read {sha256}: {error}")))?;
        if count == 0 {
            return Ok(Found::Content(hasher.size(), Box::new(hasher.finish())));
        }
        hasher.update(&piece[..count]);
    }
}

async fn compare(
    c: &Connection,
    store: &Store,
    repair: bool,
    (object, row, found): (Known, FileRow, Found),
    report: &mut Report,
) -> anyhow::Result<()> {
    match found {
        Found::Nothing => {
            // A row goes before its content: without a row nothing is missing.
            if upkeep::is_file(c, &object.dhash)? {
                let detail = format!("the content of `{}` is missing: {}", row.file_name, remedy(c, &object.dhash)?);
                report.add(Problem::new("missing", object.dhash, detail));
            }
        }
        Found::Content(size, digests) if digests.sha256 != object.dhash => {
            let detail = format!("the content has {size} bytes and the hash {}: {}", digests.sha256, remedy(c, &object.dhash)?);
            report.add(Problem::new("damaged", &object.dhash, detail));
            if repair && let Some(key) = store.key_of(&object.dhash).await? {
                // Kept, but out of the way of an upload of the right bytes.
                let place = store.set_aside(&key).await?;
                let problem = Problem::new("damaged", &object.dhash, "the wrong content would be in the way of the right one");
                report.add(problem.repaired(Some(format!("moved to {place}"))));
            }
        }
        Found::Content(size, digests) => {
            let wrong = differences(&row, size, &digests);
            if !wrong.is_empty() {
                let repaired = if repair {
                    upkeep::correct_file(c, object.id, &row, size, &digests)?;
                    Some("row corrected from the content")
                } else {
                    None
                };
                report.add(Problem::new("hash", object.dhash, format!("the row is wrong about {}", wrong.join(", "))).repaired(repaired));
            }
        }
    }
    Ok(())
}

/// What brings the content of a file back.
fn remedy(c: &Connection, sha256: &str) -> anyhow::Result<&'static str> {
    let in_database = fresh::has(c, sha256)?;
    Ok(if in_database { "the database has it still: start mwdb-lite, or check with --repair" } else { "upload the file again" })
}

fn differences(row: &FileRow, size: u64, digests: &Digests) -> Vec<&'static str> {
    let pairs = [
        ("file_size", row.file_size == size),
        ("md5", row.md5 == digests.md5),
        ("sha1", row.sha1 == digests.sha1),
        ("sha512", row.sha512 == digests.sha512),
        ("crc32", row.crc32 == digests.crc32),
        ("ssdeep", row.ssdeep.is_none() || row.ssdeep == digests.ssdeep),
    ];
    pairs.into_iter().filter(|(_, right)| !right).map(|(name, _)| name).collect()
}

/// Finds what is stored but belongs to no file.
pub(super) async fn strays(c: &Connection, store: &Store, repair: bool, report: &mut Report) -> anyhow::Result<()> {
    let progress = Progress::open("stored files");
    let mut walked = store.walk();
    while let Some(stored) = walked.recv().await {
        let stored = stored?;
        progress.step();
        if is_needed(c, store, &stored).await? {
            if !stored.in_place && store.find(&stored.sha256).await?.is_none() {
                let detail = "the content of a file lies under the other scheme: set [mwdb] hash_pathing_fallback = 1";
                report.add(Problem::new("misplaced", stored.key, detail));
            }
            continue;
        }
        let detail = format!("no file has this content of {} bytes", stored.size);
        let repaired = if repair { Some(format!("moved to {}", store.set_aside(&stored.key).await?)) } else { None };
        report.add(Problem::new("stray", stored.key, detail).repaired(repaired));
    }
    Ok(())
}

/// Also while a server takes uploads and deletes files: content that is on its way in or out has a
/// doubt, which goes only after the database has decided.
async fn is_needed(c: &Connection, store: &Store, stored: &Stored) -> anyhow::Result<bool> {
    let known = || upkeep::is_file(c, &stored.sha256);
    let gone = async || Ok::<_, StoreError>(stored.in_place && store.find(&stored.sha256).await?.is_none());
    Ok(known()? || store.is_in_doubt(&stored.sha256) || known()? || gone().await?)
}
