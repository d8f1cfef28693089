//! How long searches take in a large database. Run by hand, in release for figures that mean something:
//! `MWDB_SPEED_OBJECTS=1000000 cargo test --release -p mwdb-lite --lib speed -- --ignored --nocapture`

#![allow(clippy::print_stdout, reason = "it is what the figures are for")]

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::bed::World;
use crate::{
    auth::Caller,
    objects::{Kind, access, views},
    search,
};

/// Fills the database with files: every tenth in the team, a thousand families of names, a rare tag.
fn fill(c: &Connection, count: i64) {
    c.execute_batch("BEGIN; INSERT INTO tag (tag) VALUES ('common'), ('rare'), ('absent'); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO tag (tag) SELECT 'family:' || i FROM n;").unwrap();
    let series = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)";
    for statement in [
        "INSERT INTO object (id, type, dhash, upload_time, share_3rd_party) SELECT i, CASE WHEN i % 10 = 3 THEN 2 WHEN i % 10 = 4 THEN 3 ELSE 1 END, printf('%064x', i), i * 1000000, 1 FROM n",
        "INSERT INTO file SELECT i, printf('sample_%d_%x.exe', i % 1000, i * 2654435761), i % 100000, 'PE32 executable (GUI) Intel 80386, ' || (i % 9) || ' sections', printf('%032x', i), printf('%040x', i), printf('%0128x', i), printf('%08x', i), NULL FROM n WHERE i % 10 NOT IN (3, 4)",
        "INSERT INTO file_name (object_id, name) SELECT i, printf('sample_%d_%x.exe', i % 1000, i * 2654435761) FROM n WHERE i % 10 NOT IN (3, 4)",
        "INSERT INTO config SELECT i, 'family' || (i % 300), 'static', printf('{\"c2\": [\"http://host%d.example:%d/gate\"], \"id\": %d, \"key\": \"%x\"}', i % 5000, i % 60000, i, i * 2654435761) FROM n WHERE i % 10 = 3",
        "INSERT INTO blob SELECT i, 'strings', 'raw', 40, i * 1000000, printf('some text %x with %d words', i * 2654435761, i) FROM n WHERE i % 10 = 4",
        "INSERT INTO object_tag (object_id, tag_id) SELECT i, (SELECT id FROM tag WHERE tag = 'common') FROM n WHERE i % 2 = 0",
        "INSERT INTO object_tag (object_id, tag_id) SELECT i, (SELECT min(id) FROM tag WHERE tag LIKE 'family:%') + i % 2000 FROM n",
        "INSERT INTO object_tag (object_id, tag_id) SELECT i, (SELECT id FROM tag WHERE tag = 'rare') FROM n WHERE i IN (5, 77)",
        "INSERT INTO permission SELECT i, 4, CASE WHEN i % 10 = 3 THEN 2 WHEN i % 10 = 4 THEN 3 ELSE 1 END, 'added', i, 4, 0 FROM n",
        "INSERT INTO permission SELECT i, 5, CASE WHEN i % 10 = 3 THEN 2 WHEN i % 10 = 4 THEN 3 ELSE 1 END, 'shared', i, 4, 0 FROM n WHERE i % 3 = 0",
        "INSERT INTO attribute (object_id, key, value, digest) SELECT i, 'open', printf('\"value %d\"', i), randomblob(32) FROM n WHERE i % 5 = 0",
        "INSERT INTO relation (parent_id, child_id, creation_time) SELECT i, i + 1, 0 FROM n WHERE i % 10 = 2",
    ] {
        c.execute(&format!("{series} {statement}"), [count]).unwrap();
    }
    c.execute_batch("COMMIT; ANALYZE").unwrap();
}

fn percentiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e3;
    (at(50), at(99))
}

#[test]
#[ignore = "fills a large database: run by hand"]
fn searches_in_a_large_database() {
    let count: i64 = std::env::var("MWDB_SPEED_OBJECTS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let world = World::new(1, 0);
    let start = Instant::now();
    fill(&world.c, count);
    println!("{count} objects in {:.1} s", start.elapsed().as_secs_f64());
    let queries = [
        "",
        "tag:common",
        "tag:rare",
        "tag:absent",
        "tag:family\\:77",
        "tag:family*",
        "tag:*77",
        "name:sample_7*",
        "name:*_77_*",
        "name:*deadbee*",
        "name:*exe",
        "size:77",
        "size:[10 TO 20]",
        "size:>500",
        "type:*80386*",
        "md5:00000000000000000000000000004d2",
        "upload_time:>=2h",
        "upload_time:<=1970-01-01",
        "uploader:root",
        "shared:team",
        "NOT tag:common",
        "tag:common AND name:*_77_*",
        "tag:rare AND tag:common",
        "attribute.open:\"value 500\"",
        "attribute.open:\"*lue 5*\"",
        "parent:(tag:rare)",
        "parent:(file.name:*_77_*)",
        "upload_count:1",
        "comment:*nothing*",
        "multi:00000077",
        "tag:rare OR name:*deadbee*",
        "name:*zz",
    ];
    let typed = [
        (Some(Kind::Config), "cfg.c2:*host77.*"),
        (Some(Kind::Config), "cfg.id:5003"),
        (Some(Kind::Config), "family:family7"),
        (Some(Kind::Config), "family:*y77"),
        (Some(Kind::Blob), "content:\"*5004 words\""),
        (None, ""),
    ];
    let files = queries.iter().map(|query| (Some(Kind::File), *query));
    for caller in [&world.callers[3], &world.callers[0]] {
        println!("as {}: milliseconds p50, p99 of a page of 10; of the count", caller.login);
        for (kind, query) in files.clone().chain(typed) {
            measure(&world, caller, kind, query);
        }
        let times = (0..200).map(|number| {
            let start = Instant::now();
            let hash = format!("{:064x}", number * 3);
            drop(access::find(&world.c, caller, None, &hash));
            start.elapsed()
        });
        let (p50, p99) = percentiles(times.collect());
        println!("  {p50:8.3} {p99:8.3}   object by hash");
    }
}

fn measure(world: &World, caller: &Caller, kind: Option<Kind>, query: &str) {
    let rounds = 40;
    let mut found = 0;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        let condition = search::condition(&world.c, caller, kind, query).unwrap();
        let rows = search::page(&world.c, caller, kind, &condition, None, (0, 10)).unwrap();
        found = rows.len();
        for row in &rows {
            views::list_item(&world.c, row, kind.is_some()).unwrap();
        }
        times.push(start.elapsed());
        if start.elapsed() > Duration::from_millis(200) {
            break;
        }
    }
    let (p50, p99) = percentiles(times);
    let start = Instant::now();
    let condition = search::condition(&world.c, caller, kind, query).unwrap();
    let counted = search::count(&world.c, caller, kind, &condition).unwrap();
    let elapsed = start.elapsed().as_secs_f64() * 1e3;
    let least = if counted.exact { "" } else { ">=" };
    println!("  {p50:8.3} {p99:8.3}   {elapsed:8.3} {least:2}{:<8} {found:2} {query}", counted.count);
}
