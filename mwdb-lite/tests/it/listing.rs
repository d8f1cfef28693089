//! Lists and pages. See MWDB API §A1.6.

use serde_json::{Value, json};

use crate::harness::{Api, Server, id, keys};

async fn ids(api: &Api, path: &str) -> Vec<String> {
    api.get(path).await.ok()["files"].as_array().unwrap().iter().map(id).collect()
}

#[tokio::test]
async fn lists_are_newest_first_and_paged() {
    let server = Server::with(|config| config.listing_endpoints_count_limit = 20).await;
    let admin = server.admin().await;
    let mut all = Vec::new();
    for n in 0..25 {
        all.push(id(&admin.file(&format!("file {n}")).await));
    }
    all.reverse();
    assert_eq!(ids(&admin, "file").await, all[..10]);
    assert_eq!(ids(&admin, "file?query=&older_than=&count=3").await, all[..3]);
    assert_eq!(ids(&admin, "file?count=0").await, Vec::<String>::new());
    assert_eq!(ids(&admin, "file?count=9999").await, all[..20]);
    assert_eq!(ids(&admin, "file?page=0").await, all[..10]);
    assert_eq!(ids(&admin, "file?page=1").await, all[..10]);
    assert_eq!(ids(&admin, "file?page=3").await, all[20..]);
    assert_eq!(ids(&admin, "file?page=4").await, Vec::<String>::new());
    assert_eq!(ids(&admin, "file?page=2&count=3").await, all[10..13]);
    // From page to page, as clients walk.
    let mut walked = Vec::new();
    loop {
        let path = walked.last().map_or("file?count=7".to_owned(), |last| format!("file?count=7&older_than={last}"));
        let page = ids(&admin, &path).await;
        if page.is_empty() {
            break;
        }
        walked.extend(page);
    }
    assert_eq!(walked, all);
    // As large as numbers get.
    assert_eq!(ids(&admin, "file?page=18446744073709551615&count=18446744073709551615").await, Vec::<String>::new());
    for bad in ["count=-1", "count=a", "count=", "count=1.0", "count=_1", "page=x", "page="] {
        admin.get(&format!("file?{bad}")).await.refused(400);
    }
    admin.get(&format!("file?page=1&older_than={}", all[0])).await.refused(400);
    for missing in ["0".repeat(64), "garbage".to_owned(), "root".to_owned()] {
        admin.get(&format!("file?older_than={missing}")).await.missing();
    }
    assert_eq!(admin.get("file?unknown=1").await.ok()["files"].as_array().unwrap().len(), 10);
    server.anonymous().get("file").await.refused(401);
}

#[tokio::test]
async fn types_have_their_own_lists_and_counts() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    admin.file("1").await;
    admin.blob("2").await;
    admin.config(json!({"family": "f", "cfg": {}})).await.ok();
    for (kind, count) in [("file", 1), ("blob", 1), ("config", 1), ("object", 3)] {
        let list = admin.get(kind).await.ok();
        assert_eq!(list[format!("{kind}s")].as_array().unwrap().len(), count, "{list}");
        assert_eq!(list.as_object().unwrap().len(), 1);
        assert_eq!(admin.get(&format!("{kind}/count")).await.ok(), json!({"count": count}));
        assert_eq!(alice.get(&format!("{kind}/count")).await.ok(), json!({"count": 0}));
    }
    let object = admin.get("object?count=1").await.ok()["objects"][0].clone();
    assert_eq!(keys(&object), ["id", "tags", "type", "upload_time"]);
    admin.get("thing").await.no_route();
    admin.get("thing/count").await.no_route();
}

#[tokio::test]
async fn row_ids_are_never_used_again() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let first = id(&admin.file("first").await);
    let second = id(&admin.file("second").await);
    admin.delete(&format!("file/{second}")).await.null();
    let third = id(&admin.file("third").await);
    assert_eq!(ids(&admin, "file").await, [third.clone(), first.clone()]);
    assert_eq!(ids(&admin, &format!("file?older_than={third}")).await, [first]);
}

#[tokio::test]
async fn dates_have_offset_and_microseconds() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for n in 0..3 {
        let time = admin.file(&format!("{n}")).await["upload_time"].as_str().unwrap().to_owned();
        let (date, offset) = time.split_at(time.len() - 6);
        assert_eq!(offset, "+00:00");
        let fraction = date.split_once('.').map_or("000000", |(_, fraction)| fraction);
        assert!(date.as_bytes()[10] == b'T' && fraction.len() == 6, "{time}");
    }
    assert_eq!(admin.get("user/admin").await.ok()["registered_on"], Value::Null);
}

#[tokio::test]
async fn members_of_very_many_groups_list_what_they_see() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let mut all = Vec::new();
    for n in 0..60 {
        server.group(&admin, &format!("group{n}"), &[&alice]).await;
        if n % 5 == 0 {
            let options = json!({"upload_as": format!("group{n}")});
            all.push(id(&admin.upload("a", format!("file {n}"), options).await.ok()));
        }
        if n == 40 {
            assert_eq!(ids(&alice, "file?count=100").await.len(), 9);
        }
    }
    all.reverse();
    admin.file("hidden").await;
    assert_eq!(ids(&alice, "file").await, all[..10]);
    assert_eq!(ids(&alice, &format!("file?older_than={}", all[9])).await, all[10..]);
}

#[tokio::test]
async fn numbers_are_written_as_in_python_and_the_first_of_two_counts() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let mut all = Vec::new();
    for n in 0..12 {
        all.push(id(&admin.file(&format!("file {n}")).await));
    }
    all.reverse();
    for (query, expected) in [
        ("page=-1", &all[..10]),
        ("page=%2B2", &all[10..]),
        ("page=1_0", &[]),
        ("count=1_1", &all[..11]),
        ("count=%203%20", &all[..3]),
        ("count=18446744073709551616", &all[..]),
        ("count=3&count=1", &all[..3]),
        ("count=1&count=3", &all[..1]),
        ("page=2&page=1", &all[10..]),
        ("query=tag:none&query=", &[]),
        ("query=&query=tag:none", &all[..10]),
    ] {
        assert_eq!(ids(&admin, &format!("file?{query}")).await, expected, "{query}");
    }
    assert_eq!(admin.get("file/count?query=tag:none&query=tag:*").await.ok(), json!({"count": 0}));
}

#[tokio::test]
async fn other_names_of_parameters_are_other_parameters() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.upload("x", "x", json!({"tags": [{"tag": "x"}]})).await.ok());
    for name in ["tag[]", "tag[0]", "tag.x", "tag:x", "Tag"] {
        admin.delete(&format!("object/{file}/tag?{name}=x")).await.refused(400);
    }
    assert_eq!(ids(&admin, "file?query[]=tag:y").await, std::slice::from_ref(&file));
    assert_eq!(ids(&admin, "file?query[]=tag:y&query=tag:x").await, [file]);
    // Both are there, whatever they say.
    admin.get("object?older_than=&page=1").await.refused(400);
}
