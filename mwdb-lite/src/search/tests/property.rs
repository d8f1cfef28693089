//! Random queries on random objects give what the definition gives, for every caller, on every list,
//! from whatever index they are read.

use super::{
    bed::{ANALYSES, COMMENTS, CONTENTS, FAMILIES, NAMES, Random, TAGS, World},
    naive::{ASKED, Ends, Glob, Path, Query, Test, eval, sees},
};
use crate::{auth::Caller, objects::Kind, search};

fn ends(random: &mut Random, numbers: &[i64]) -> Ends {
    let mut bound = || random.chance(70).then(|| (*random.pick(numbers), random.chance(50)));
    Ends { low: bound(), high: bound() }
}

fn path(random: &mut Random) -> Path {
    let mut path = vec![("", random.below(2))];
    for _ in 0..random.below(3) {
        path.push((*random.pick(&["a", "bb", "k.y", "zz"]), random.below(3).saturating_sub(1)));
    }
    path
}

fn test(random: &mut Random) -> Test {
    if random.chance(20) {
        let ends = ends(random, &[0, 1, 2, 10]);
        if ends.low.or(ends.high).is_some() {
            return Test::Numbers(ends);
        }
    }
    let texts = ["1", "10", "2.5", "1.0", "v", "x y", "C:\\new\"q", "l1\nl2", "", "true", "null", "\"a\": ", "[1, 10", "-1", "a"];
    let text = *random.pick(&texts);
    Test::Like(Glob::like(random, text))
}

fn query(random: &mut Random, world: &World, caller: &Caller, depth: usize) -> Query {
    let like = |random: &mut Random, texts: &[&str]| {
        let text = *random.pick(texts);
        Glob::like(random, text)
    };
    let sizes = [0, 511, 512, 1024, 2048];
    // Names that the caller may ask for.
    let friend = |random: &mut Random| match caller.id {
        1 | 2 => random.below(2),
        3 => 2,
        _ => random.below(4),
    };
    if depth > 0 && random.chance(60) {
        let parts = |random: &mut Random| (0..2 + random.below(2)).map(|_| query(random, world, caller, depth - 1)).collect::<Vec<_>>();
        return match random.below(5) {
            0 | 1 => Query::And(parts(random)),
            2 => Query::Or(parts(random)),
            3 => Query::Not(Box::new(query(random, world, caller, depth - 1))),
            _ if random.chance(50) => Query::Parent(Box::new(query(random, world, caller, depth - 1))),
            _ => Query::Child(Box::new(query(random, world, caller, depth - 1))),
        };
    }
    match random.below(20) {
        0 | 1 => Query::Tag(like(random, &TAGS)),
        2 => Query::Comment(like(random, &COMMENTS)),
        3 => Query::FileName(like(random, &NAMES)),
        4 => Query::BlobName(like(random, &NAMES)),
        5 => Query::Family(like(random, &FAMILIES)),
        6 => Query::Content(like(random, &CONTENTS)),
        7 => Query::FileSize(ends(random, &sizes)),
        8 => Query::BlobSize(ends(random, &sizes)),
        9 if random.chance(30) => Query::FirstSeen(ends(random, &[0, 3, 10, 25])),
        9 => Query::Hours(ends(random, &[0, 3, 10, 25])),
        10 => Query::UploadCount(ends(random, &[1, 2, 3])),
        11 => Query::Dhash(random.pick(&world.objects).dhash.clone()),
        12 | 13 => Query::Cfg(path(random), test(random)),
        14 | 15 => Query::Attribute(random.pick::<&str>(&["open", "other"]), path(random), test(random)),
        16 => Query::Uploader(friend(random)),
        17 => match random.below(4) {
            0 => Query::Sharer(friend(random)),
            1 if caller.id == 1 || caller.id == 4 => Query::Favorite,
            2 => Query::Author(random.below(4)),
            _ => Query::Shared(if caller.id == 3 { ASKED[1] } else { *random.pick(&ASKED) }),
        },
        18 => Query::Karton(random.chance(60).then(|| (*random.pick(&ANALYSES)).to_owned())),
        _ => {
            let texts = ["v", "zzz", "new", "2.5"].map(str::to_owned);
            let mut items: Vec<String> = if random.chance(85) { vec![random.pick(&texts).clone()] } else { Vec::new() };
            if random.chance(50) {
                items.push(random.pick(&world.objects).dhash.clone());
            }
            Query::MultiConfig(items)
        }
    }
}

#[test]
fn queries_give_what_the_definition_gives() {
    for seed in 1..=4_u64 {
        let world = World::new(seed, 60);
        let mut random = Random::new(seed + 1000);
        for round in 0..100 {
            let caller = random.pick(&world.callers).clone();
            let query = query(&mut random, &world, &caller, 3);
            let text = query.written();
            let kind = if random.chance(40) { Some(*random.pick(&Kind::ALL)) } else { None };
            let expected: Vec<i64> = world
                .objects
                .iter()
                .rev()
                .filter(|object| sees(&caller, object) && kind.is_none_or(|kind| object.kind == kind))
                .filter(|object| eval(&world, &caller, &query, object) == Some(true))
                .map(|object| object.id)
                .collect();
            let who = format!("seed {seed}, round {round}, {} on {kind:?}: {text}", caller.login);
            let condition = search::condition(&world.c, &caller, kind, &text).unwrap_or_else(|error| panic!("{who}: {error}"));
            let page = |before, limit| -> Vec<i64> {
                let rows =
                    search::page(&world.c, &caller, kind, &condition, before, limit).unwrap_or_else(|error| panic!("{who}: {error}"));
                rows.iter().map(|row| row.id).collect()
            };
            assert_eq!(page(None, (0, 1000)), expected, "{who}");
            assert_eq!(search::scan(&world.c, &caller, kind, &condition).unwrap(), expected, "without index: {who}");
            assert_eq!(search::count(&world.c, &caller, kind, &condition).unwrap(), expected.len() as u64, "{who}");
            let counted = search::count_some(&world.c, &caller, kind, &condition).unwrap();
            assert_eq!((counted.count, counted.exact), (expected.len() as u64, true), "{who}");
            // In pages.
            let mut walked: Vec<i64> = Vec::new();
            loop {
                let next = page(walked.last().copied(), (0, 7));
                if next.is_empty() {
                    break;
                }
                walked.extend(next);
            }
            assert_eq!(walked, expected, "{who}");
            assert_eq!(page(None, (3, 5)), expected.iter().copied().skip(3).take(5).collect::<Vec<_>>(), "{who}");
        }
    }
}

#[test]
fn an_existing_database_is_indexed_by_the_migration() {
    let world = World::new(3, 60);
    let caller = world.callers[3].clone();
    let ask = |text: &str| {
        let condition = search::condition(&world.c, &caller, None, text).expect("a query");
        search::count(&world.c, &caller, None, &condition).expect("a count")
    };
    let queries = [
        "file.name:*setup*",
        "config.cfg:*new*",
        "blob.content:*evil*",
        "tag:*mot*",
        "comment:*pack*",
        "attribute.open.a:*new*",
        "attribute.open:1",
        "config.cfg.a:1",
    ];
    let before = queries.map(ask);
    assert!(before.iter().all(|count| *count > 0), "{before:?}");
    // As it was before: without indexes and triggers.
    let names: Vec<(String, String)> = world
        .c
        .prepare("SELECT type, name FROM sqlite_schema WHERE ((name LIKE '%\\_fts' ESCAPE '\\' OR name LIKE '%\\_leaf' ESCAPE '\\' OR name = 'file_many_names') AND type = 'table') OR type = 'trigger' OR name IN ('config_long', 'blob_long', 'blob_long_name', 'attribute_long', 'attribute_key_object', 'attribute_container')")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(names.len() > 15, "{names:?}");
    for (kind, name) in names {
        world.c.execute_batch(&format!("DROP {kind} {name}")).unwrap();
    }
    world.c.execute_batch("CREATE INDEX attribute_key ON attribute (key, digest, object_id)").unwrap();
    world.c.execute_batch(include_str!("../../../migrations/0002_search.sql")).unwrap();
    world.c.execute_batch(include_str!("../../../migrations/0003_leaves.sql")).unwrap();
    assert_eq!(queries.map(ask), before);
}
