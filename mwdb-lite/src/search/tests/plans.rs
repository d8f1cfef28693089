//! Which index each field is read from: what makes searching fast, put down so that it stays so.

use super::bed::World;
use crate::{auth::Caller, objects::Kind, search};

fn plans(world: &World, caller: &Caller, kind: Option<Kind>, query: &str) -> Vec<String> {
    let condition = search::condition(&world.c, caller, kind, query).unwrap_or_else(|error| panic!("{query}: {error}"));
    search::explain(&world.c, caller, kind, &condition).expect("a plan")
}

#[test]
fn every_field_with_an_index_is_read_from_it() {
    let world = World::new(1, 200);
    let root = &world.callers[3];
    let hash = &world.objects.iter().find(|object| object.kind == Kind::File).expect("a file").dhash;
    let cases = [
        ("tag:emotet".to_owned(), "object_tag_tag"),
        ("tag:emo*".into(), "object_tag_tag"),
        ("file.name:setup.exe".into(), "file_name_name"),
        ("file.name:*setup*".into(), "s VIRTUAL TABLE INDEX"),
        ("file.type:*PE32*".into(), "s VIRTUAL TABLE INDEX"),
        ("file.type:\"PE32 executable\"".into(), "file_type"),
        ("file.size:512".into(), "file_size"),
        ("file.size:[1 TO 600]".into(), "file_size"),
        ("file.md5:00000000000000000000000000000001".into(), "file_md5"),
        ("file.sha1:0*".into(), "file_sha1"),
        (format!("dhash:{hash}"), "sqlite_autoindex_object_1"),
        ("dhash:00*".into(), "sqlite_autoindex_object_1"),
        (format!("file.sha256:{hash}"), "sqlite_autoindex_object_1"),
        ("config.family:emotet".into(), "config_family"),
        ("config.family:*mot*".into(), "s VIRTUAL TABLE INDEX"),
        ("config.family:e*".into(), "config_family"),
        ("config.cfg.a:v".into(), "s USING PRIMARY KEY (hash=?"),
        ("config.cfg.bb*.c:5".into(), "s USING PRIMARY KEY (hash=?"),
        ("config.cfg:*new*".into(), "s VIRTUAL TABLE INDEX"),
        ("config.cfg.bb:[1 TO 5]".into(), "s VIRTUAL TABLE INDEX"),
        ("blob.content:*evil*".into(), "s VIRTUAL TABLE INDEX"),
        ("blob.content:evil".into(), "s VIRTUAL TABLE INDEX"),
        ("blob.name:ab".into(), "blob_name"),
        ("blob.last_seen:>=1970-01-01".into(), "blob_last_seen"),
        ("comment:*packed*".into(), "f VIRTUAL TABLE INDEX"),
        ("attribute.open:v".into(), "s USING PRIMARY KEY (hash=?"),
        ("attribute.open:5".into(), "s USING PRIMARY KEY (hash=?"),
        ("attribute.open.a*.b:v".into(), "s USING PRIMARY KEY (hash=?"),
        ("attribute.open.a:*new*".into(), "f VIRTUAL TABLE INDEX"),
        ("uploader:alice".into(), "permission_related_user"),
        ("sharer:alice".into(), "permission_related_user"),
        ("shared:team".into(), "permission_group"),
        ("favorites:root".into(), "PRIMARY KEY (user_id=?"),
        ("comment_author:alice".into(), "comment_user"),
        ("karton:91a521d0-4696-4df1-9188-c07c525a0808".into(), "PRIMARY KEY (analysis_id=?"),
        ("karton:*".into(), "analysis_object_object"),
        ("upload_time:>=1970-01-02".into(), "s USING INTEGER PRIMARY KEY"),
        (format!("parent:(dhash:{hash})"), "sqlite_autoindex_relation_1"),
        (format!("child:(dhash:{hash})"), "relation_child"),
        ("parent:(file.name:*a*)".into(), "relation_child"),
        (format!("file.multi:\"{hash} 00000001\""), "file_crc32"),
    ];
    for (query, index) in cases {
        let plans = plans(&world, root, None, &query);
        assert!(plans.iter().any(|plan| plan.lines().next().is_some_and(|first| first.contains(index))), "{query}: {plans:#?}");
        for plan in plans {
            assert!(!plan.contains("SCAN o\n") && !plan.ends_with("SCAN o"), "{query} reads all objects: {plan}");
            // Only few rows are ever sorted: the planner of ours counts them first.
            let may_sort = ["*", "[", "multi", ">="].iter().any(|sign| query.contains(sign));
            assert!(may_sort || !plan.contains("TEMP B-TREE FOR ORDER BY"), "{query} is sorted: {plan}");
        }
    }
}

#[test]
fn listings_walk_an_index_and_sort_nothing() {
    let world = World::new(1, 200);
    for caller in &world.callers {
        for kind in [None, Some(Kind::File), Some(Kind::Config), Some(Kind::Blob)] {
            for query in ["", "NOT tag:emotet", "tag:emotet AND file.name:*setup* AND config.cfg:*x*"] {
                for plan in plans(&world, caller, kind, query) {
                    assert!(!plan.contains("TEMP B-TREE FOR ORDER BY"), "{query:?} {kind:?} for {}: {plan}", caller.login);
                    let scans = plan
                        .lines()
                        .filter(|line| line.starts_with("SCAN ") && !line.contains("VIRTUAL TABLE") && !line.contains("json_each"))
                        .count();
                    let all = caller.login == "root" && kind.is_none() && !query.starts_with("tag");
                    assert!(scans == 0 || (all && scans == 1), "{query:?} {kind:?} for {}: {plan}", caller.login);
                }
            }
        }
    }
}

#[test]
fn the_source_that_names_fewest_is_read() {
    let world = World::new(1, 200);
    let root = &world.callers[3];
    world.c.execute("INSERT INTO tag (tag) VALUES ('rare')", []).unwrap();
    world.c.execute("INSERT INTO object_tag (object_id, tag_id) SELECT 7, id FROM tag WHERE tag = 'rare'", []).unwrap();
    let plan = plans(&world, root, None, "file.name:*setup* AND upload_time:>=1970-01-01 AND tag:rare").join("\n");
    assert!(plan.starts_with("SEARCH s USING COVERING INDEX object_tag_tag"), "{plan}");
    // Of a caller who sees less than the condition names.
    let plan = plans(&world, &world.callers[2], None, "upload_time:>=1970-01-01").join("\n");
    assert!(plan.contains("permission_group"), "{plan}");
}
