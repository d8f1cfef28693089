//! Queries that are refused, or that nobody may wait for. See MWDB search.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::Server;
use crate::search::{found, refuse, refused};

#[tokio::test]
async fn queries_that_cannot_be_answered_are_refused_with_the_column() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let bad = [
        "(tag:a",
        "tag:a AND",
        "tag:\"a",
        "tag:",
        "   ",
        "a",
        "tag:a tag:b",
        "+tag:a",
        "tag:a~",
        "tag:a^2",
        "tag:/x/",
        "tag:(a)",
        "tag:a:b",
        "tag:[a TO b]",
        "size:-1",
        "parent:a",
        "foo:1",
        "file.name.x:1",
        "file:x",
        "blob:\"*\"",
        "family:a",
        "meta:a",
        "attribute.nokey:a",
        "size:a",
        "size:*",
        "size:1.5",
        "upload_time:2024",
        "upload_time:1h",
        "upload_time:>=s1",
        "upload_time:>=1x",
        "upload_time:>=1h1h",
        "upload_time:2024-01-01T10:00",
        "upload_time:*",
        "upload_count:0",
        "upload_count:-1",
        "upload_count:a",
        "upload_count:[0 TO 1]",
        "karton:zz",
        "karton:9*",
        "multi:abc",
        "multi:\"*\"",
        "multi:\" \"",
        "size:[1? TO 2]",
        "size:\">=5kB\"",
        "shared:x",
        "uploader:x",
        "uploader:public",
        "favorites:other",
        "comment_author:x",
        "file.na*me:x",
        "*file.name:x",
        "file.name*.x:1",
        "upload_time:>TO",
        "name:>=*",
        "multi:\"\"",
        "NOT",
        "AND",
        ")",
        "tag:a)",
        "tag:a OR OR tag:b",
        "tag:a && tag:b",
        "Tag:a",
        "a && b",
        "tag:a NOT tag:b",
        "\"tag\":a",
        "name:a\\",
    ];
    for query in bad {
        refuse(&admin, "file", query).await;
        refused(admin.post("search", json!({"query": query})).await, query);
    }
    assert!(refuse(&admin, "file", "tag:a AND foo:1").await.contains("column 11 to 13"));
    admin.request(Method::GET, "file").query(&[("query", "")]).send().await.unwrap();
    assert_eq!(found(&admin, "file", "").await, 0);
}

/// The status of a query that had its time, unless the machine was fast enough.
const GIVEN_UP: u16 = 503;

#[tokio::test]
async fn hostile_queries_are_refused_or_answered_soon() {
    let server = Server::with(|config| config.statement_timeout = 2000).await;
    let admin = server.admin().await;
    admin.upload("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "content", Value::Null).await.ok();
    admin.blob(&"ab".repeat(500_000)).await;
    let many = |count: usize, operator: &str| vec!["tag:a"; count].join(operator);
    let queries = [
        ("a".repeat(10_000_000), 400),
        (format!("blob.content:\"{}\"", "x".repeat(1_000_000)), 400),
        ("(".repeat(100_000), 400),
        ("NOT ".repeat(60_000), 400),
        (format!("{}tag:a{}", "(".repeat(40), ")".repeat(40)), 200),
        (format!("{}tag:a{}", "parent:(".repeat(40), ")".repeat(40)), 200),
        (format!("{}tag:a{}", "NOT (".repeat(51), ")".repeat(51)), 400),
        (many(500, " OR "), 200),
        (many(500, " AND "), 200),
        (many(501, " AND "), 400),
        (format!("file.name:{}", "*a".repeat(10_000)), 200),
        (format!("file.name:{}b", "*?".repeat(10_000)), 200),
        (format!("blob.content:*{}c*", "a?".repeat(20_000)), GIVEN_UP),
        (format!("blob.content:*{}c*", "?b".repeat(20_000)), GIVEN_UP),
        ("tag:\"' OR 1=1 --\"".to_owned(), 200),
        ("tag:\"%' UNION SELECT * FROM users --\"".to_owned(), 200),
        ("file.name:\"\\\"* OR *\\\"\"".to_owned(), 200),
        ("file.name:\"*\\\"aaa OR name : bbb*\"".to_owned(), 200),
        ("tag:\"\0\"".to_owned(), 400),
        ("tag:a\0b".to_owned(), 400),
        ("\0".to_owned(), 400),
        ("file.name:*\0\0\0*".to_owned(), 400),
        (format!("config.cfg{}:1", ".a".repeat(10_000)), 200),
        (format!("config.cfg{}:1", "*".repeat(100_000)), 200),
        ("file.size:99999999999999999999999999999999".to_owned(), 200),
        ("upload_time:>=99999999999999999999y".to_owned(), 400),
        ("upload_count:99999999999999999999999".to_owned(), 200),
        (format!("config.cfg.a:{}", "9".repeat(100_000)), 200),
        ("config.cfg.a:\"\\ud800\"".to_owned(), 200),
        ("\u{feff}".to_owned(), 400),
        (format!("multi:\"{}\"", "0".repeat(64).repeat(10)), 400),
        (format!("file.multi:\"{}\"", vec!["00000000"; 20_000].join(" ")), 200),
        ("tag:\u{202e}x".to_owned(), 200),
    ];
    for (query, status) in queries {
        let start = std::time::Instant::now();
        let reply = admin.post("search", json!({"query": query})).await;
        let shown: String = query.chars().take(50).collect();
        let status = if status == GIVEN_UP && reply.status == 200 { 200 } else { status };
        assert_eq!(reply.status.as_u16(), status, "{shown}: {}", reply.text().chars().take(300).collect::<String>());
        assert!(start.elapsed() < std::time::Duration::from_secs(15), "{shown}: {:?}", start.elapsed());
    }
    admin.raw(Method::POST, "search", r#"{"query": "tag:\ud800"}"#).await.refused(400);
    admin.get("file?query=tag:%ff%fe").await.ok();
    admin.get("file?query=%00").await.refused(400);
    admin.get("file?query=tag:a%00b").await.ok();
}
