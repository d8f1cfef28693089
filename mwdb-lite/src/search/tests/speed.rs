//! How long searches take in a large database. Run by hand, in release for figures that mean something:
//! `MWDB_SPEED_OBJECTS=1000000 cargo test --release -p mwdb-lite --lib speed -- --ignored --nocapture`

#![allow(clippy::print_stdout, reason = "it is what the figures are for")]

use std::time::{Duration, Instant};

use super::bed::{TEAM, World};
use crate::{
    auth::Caller,
    db::filling::{self, Owners},
    objects::{Kind, access, views},
    search,
};

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
    world.c.execute_batch("BEGIN").unwrap();
    filling::fill(&world.c, 1, count, Owners { user: 4, own: 4, other: TEAM }).unwrap();
    world.c.execute_batch("COMMIT").unwrap();
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
        "attribute.open.host:\"host75.example\"",
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
    let counted = search::count_some(&world.c, caller, kind, &condition).unwrap();
    let elapsed = start.elapsed().as_secs_f64() * 1e3;
    let least = if counted.exact { "" } else { ">=" };
    println!("  {p50:8.3} {p99:8.3}   {elapsed:8.3} {least:2}{:<8} {found:2} {query}", counted.count);
}
