//! Documents, names and callers of unusual size: found like all others, and from an index.

use rusqlite::params;

use super::bed::World;
use crate::{auth::OwnGroup, objects::Kind, search};

fn found(world: &World, query: &str) -> Vec<i64> {
    let root = &world.callers[3];
    let condition = search::condition(&world.c, root, None, query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let page = search::page(&world.c, root, None, &condition, None, (0, 1000)).expect("a page");
    page.into_iter().map(|object| object.id).collect()
}

fn one_of(world: &World, kind: Kind) -> i64 {
    world.objects.iter().find(|object| object.kind == kind).expect("an object of the type").id
}

#[test]
fn a_file_with_very_many_names_is_found_by_each() {
    let world = World::new(5, 60);
    let id = one_of(&world, Kind::File);
    let add = |number: usize| {
        let name = format!("quite_a_long_name_of_a_sample_{number:06}.bin");
        world.c.execute("INSERT OR IGNORE INTO file_name (object_id, name) VALUES (?, ?)", params![id, name]).unwrap();
    };
    let listed = || world.c.query_row("SELECT count(*) FROM file_many_names", [], |row| row.get::<_, i64>(0)).unwrap();
    (0..1000).for_each(add);
    assert_eq!((found(&world, "file.name:*sample_000999*"), listed()), (vec![id], 0));
    (1000..3000).for_each(add);
    assert_eq!(listed(), 1);
    for number in ["000000", "001700", "002999"] {
        assert_eq!(found(&world, &format!("file.name:*sample_{number}*")), [id], "{number}");
    }
    assert!(found(&world, "file.type:*PE32*").contains(&id));
    world.c.execute("DELETE FROM object WHERE id = ?", [id]).unwrap();
    assert_eq!((found(&world, "file.name:*sample_001700*"), listed()), (vec![], 0));
}

#[test]
fn values_in_very_large_documents_are_found() {
    let world = World::new(6, 60);
    let id = one_of(&world, Kind::Config);
    let numbers: Vec<String> = (1_000_000..1_020_000).map(|number| number.to_string()).collect();
    for cfg in [
        format!("{{\"n\": [{}], \"last\": \"needle\"}}", numbers.join(",")),
        format!("{{\"pad\": \"{}\", \"last\": \"needle\"}}", "x".repeat(1_200_000)),
    ] {
        // As an upload does it: configs are never changed.
        world.c.execute("DELETE FROM config WHERE object_id = ?", [id]).unwrap();
        world.c.execute("INSERT INTO config VALUES (?, 'f', 'static', ?)", params![id, cfg]).unwrap();
        assert_eq!(found(&world, "config.cfg.last:needle"), [id]);
        assert_eq!(found(&world, "config.cfg.last:*needl*"), [id]);
        let listed: i64 = world.c.query_row("SELECT count(*) FROM config_leaf WHERE object_id = ?", [id], |row| row.get(0)).unwrap();
        assert_eq!(listed, 1);
    }
    world.c.execute("DELETE FROM object WHERE id = ?", [id]).unwrap();
    assert_eq!(found(&world, "config.cfg.last:needle"), Vec::<i64>::new());
}

#[test]
fn members_of_very_many_groups_see_the_same_and_from_an_index() {
    let world = World::new(7, 200);
    let few = &world.callers[0];
    let mut many = few.clone();
    many.groups.extend((100..200).map(|id| OwnGroup { id, name: String::new(), private: false, workspace: true, shares_queried: false }));
    let page = |caller| {
        let condition = search::condition(&world.c, caller, None, "").expect("a query");
        let page = search::page(&world.c, caller, None, &condition, None, (0, 1000)).expect("a page");
        page.into_iter().map(|object| object.id).collect::<Vec<_>>()
    };
    assert!(!page(few).is_empty());
    assert_eq!(page(few), page(&many));
    let condition = search::condition(&world.c, &many, None, "").expect("a query");
    let plan = search::explain(&world.c, &many, None, &condition).expect("a plan").join("\n");
    assert!(plan.contains("permission_group") && !plan.contains("SCAN o"), "{plan}");
}

#[test]
fn the_search_index_can_be_made_anew() {
    let world = World::new(8, 200);
    let queries = [
        "file.name:*setup*",
        "config.cfg:*new*",
        "config.cfg.a:1",
        "blob.content:*evil*",
        "tag:*mot*",
        "comment:*pack*",
        "attribute.open.a:*new*",
        "attribute.open:1",
    ];
    let before = queries.map(|query| found(&world, query));
    assert!(before.iter().all(|ids| !ids.is_empty()), "{before:?}");
    let damage = "DELETE FROM file_fts; DELETE FROM config_fts; DELETE FROM config_leaf; DELETE FROM blob_fts; DELETE FROM tag_fts; \
        DELETE FROM comment_fts; DELETE FROM attribute_fts; DELETE FROM attribute_leaf; INSERT INTO config_leaf VALUES (1, 1)";
    world.c.execute_batch(damage).unwrap();
    assert_eq!(queries.map(|query| found(&world, query)), queries.map(|_| Vec::<i64>::new()));
    crate::db::search_index::refill(&world.c, || ()).unwrap();
    assert_eq!(queries.map(|query| found(&world, query)), before);
}
