//! No response ever shows what a caller may not see: random histories and random queries against a
//! simple model of the rules of MWDB API §U7. `PERMISSION_CASES` chooses how many histories are tried.
//!
//! Two rules are checked of every route: what is hidden is answered like what never was, and what a
//! query finds is what the model finds among the visible objects, so that nothing can be found out by
//! asking around it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::harness::{Api, Server, each, id, sorted};
use crate::permissions_model::{ABSENT, KINDS, Model, Object, Op, PUBLIC, Query, Target, USERS, WORDS, group_name, op, query};

async fn upload(api: &Api, kind: usize, number: usize, options: Value) -> crate::harness::Reply {
    let mut body = options.clone();
    let map = body.as_object_mut().expect("an object");
    match KINDS[kind] {
        "file" => return api.upload("name", format!("file {number}"), options).await,
        "config" => {
            map.insert("family".to_owned(), json!("family"));
            map.insert("cfg".to_owned(), json!({"number": number}));
        }
        _ => {
            map.insert("blob_name".to_owned(), json!("name"));
            map.insert("blob_type".to_owned(), json!("type"));
            map.insert("content".to_owned(), json!(format!("blob {number}")));
        }
    }
    api.post(KINDS[kind], body).await
}

/// What the rules say about the outcome: done, or not there for this caller.
#[track_caller]
fn expect(reply: &crate::harness::Reply, allowed: bool) {
    if allowed {
        reply.ok();
    } else {
        reply.missing();
    }
}

async fn apply(model: &mut Model, admin: &Api, users: &[Api], op: Op) {
    let existing = model.objects.len();
    match op {
        Op::Upload { user, kind, parent, target } => {
            let parent = parent.filter(|parent| *parent < existing);
            let (name, groups) = match target {
                Target::Workspaces => ("*".to_owned(), Some(model.workspaces(user))),
                Target::Private => ("private".to_owned(), Some(vec![user])),
                Target::Group(group) => (group_name(group), model.is_member(user, group).then(|| vec![user, group])),
            };
            let parent_id = parent.map(|parent| model.objects[parent].id.clone());
            let options = json!({"upload_as": name, "parent": parent_id, "tags": [{"tag": format!("tag{existing}")}]});
            let reply = upload(&users[user], kind, existing, options).await;
            let allowed = groups.is_some() && parent.is_none_or(|parent| model.sees(user, parent));
            expect(&reply, allowed);
            if let Some(groups) = groups.filter(|_| allowed) {
                model.objects.push(Object { id: id(&reply.json()), kind, groups: Some(BTreeSet::new()), words: BTreeSet::new() });
                groups.into_iter().for_each(|group| model.grant(existing, group));
                if let Some(parent) = parent {
                    model.link(parent, existing);
                }
            }
        }
        Op::UploadAgain { user, object } if object < existing && model.objects[object].groups.is_some() => {
            upload(&users[user], model.objects[object].kind, object, json!({})).await.ok();
            model.workspaces(user).into_iter().for_each(|group| model.grant(object, group));
        }
        Op::Share { user, object, group } if object < existing && group != user => {
            let body = json!({"group": group_name(group)});
            let reply = users[user].put(&format!("object/{}/share", model.objects[object].id), body).await;
            let allowed = model.sees(user, object) && model.is_member(user, group);
            expect(&reply, allowed);
            if allowed {
                model.grant(object, group);
            }
        }
        Op::Link { user, parent, child } if parent < existing && child < existing => {
            let path = format!("object/{}/child/{}", model.objects[parent].id, model.objects[child].id);
            let allowed = model.sees(user, parent) && model.sees(user, child);
            expect(&users[user].put_empty(&path).await, allowed);
            if allowed {
                model.link(parent, child);
            }
        }
        Op::Delete { user, object } if object < existing => {
            let allowed = model.sees(user, object);
            expect(&users[user].delete(&format!("object/{}", model.objects[object].id)).await, allowed);
            if allowed {
                model.delete(object);
            }
        }
        Op::Annotate { user, object, word } if object < existing => {
            let allowed = model.sees(user, object);
            let (path, text) = (format!("object/{}", model.objects[object].id), format!("word{word}"));
            expect(&users[user].put(&format!("{path}/tag"), json!({"tag": text})).await, allowed);
            expect(&users[user].post(&format!("{path}/comment"), json!({"comment": text})).await, allowed);
            expect(&users[user].post(&format!("{path}/attribute"), json!({"key": "note", "value": text})).await, allowed);
            if allowed {
                model.objects[object].words.insert(word);
            }
        }
        Op::Favor { user, object } if object < existing => {
            let allowed = model.sees(user, object);
            expect(&users[user].put_empty(&format!("object/{}/favorite", model.objects[object].id)).await, allowed);
            if allowed {
                model.favorites.insert((user, object));
            }
        }
        Op::Move { user, group } => {
            let path = format!("group/{}/member/{}", group_name(group), group_name(user));
            let members = model.members.get_mut(&group).expect("a group");
            if members.insert(user) {
                admin.post_empty(&path).await.ok();
            } else {
                members.remove(&user);
                admin.delete(&path).await.ok();
            }
        }
        // Of an object that there is not (any more).
        _ => {}
    }
}

fn ids(list: &Value) -> BTreeSet<String> {
    each(list, "id").into_iter().map(|id| id.as_str().expect("an id").to_owned()).collect()
}

/// Everything that `user` can ask for shows exactly what the model says.
async fn compare(model: &Model, user: usize, api: &Api) {
    let visible = model.ids(model.visible(user));
    for kind in ["object", "file", "config", "blob"] {
        let of_kind = model.visible(user).filter(|object| kind == "object" || KINDS[model.objects[*object].kind] == kind);
        let expected = model.ids(of_kind);
        let list = api.get(&format!("{kind}?count=1000")).await.ok();
        assert_eq!(ids(&list[format!("{kind}s")]), expected, "{kind} list of user {user}");
        assert_eq!(api.get(&format!("{kind}/count")).await.ok()["count"], expected.len(), "{kind} count of user {user}");
        let mut paged = BTreeSet::new();
        let mut pivot = String::new();
        loop {
            let page = api.get(&format!("{kind}?count=3{pivot}")).await.ok();
            let Some(last) = each(&page[format!("{kind}s")], "id").last().map(|id| id.as_str().unwrap().to_owned()) else { break };
            pivot = format!("&older_than={last}");
            paged.extend(ids(&page[format!("{kind}s")]));
        }
        assert_eq!(paged, expected, "{kind} pages of user {user}");
    }
    let tags: BTreeSet<String> = model.visible(user).map(|object| format!("tag{object}")).collect();
    let known = api.get("tag?query=tag").await.ok();
    assert_eq!(each(&known, "tag").into_iter().map(|tag| tag.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(), tags);
    let words: BTreeSet<String> = (0..WORDS)
        .filter(|word| model.visible(user).any(|object| model.objects[object].words.contains(word)))
        .map(|word| format!("word{word}"))
        .collect();
    let known = api.get("tag?query=word").await.ok();
    assert_eq!(sorted(&known, "tag"), words.into_iter().collect::<Vec<_>>(), "words of user {user}");
    for (number, object) in model.objects.iter().enumerate() {
        let (hash, kind, sees) = (&object.id, KINDS[object.kind], model.sees(user, number));
        let mut paths = vec![format!("object?older_than={hash}"), format!("object/{hash}"), format!("{kind}/{hash}")];
        paths.extend(["relations", "comment", "tag", "attribute", "share", "karton", "meta"].map(|part| format!("object/{hash}/{part}")));
        if kind == "file" {
            paths.extend(["download", "download/zip"].map(|part| format!("file/{hash}/{part}")));
        }
        for path in paths {
            let reply = api.get(&path).await;
            if sees {
                assert_eq!(reply.status.as_u16(), 200, "user {user} sees {path}");
            } else {
                let message = reply.refused(404);
                assert!(!message.contains(hash.as_str()), "user {user}: {path}: {message}");
            }
            if !sees || reply.header("content-type") != "application/json" {
                continue;
            }
            // Whatever is told of relatives, they are visible ones, and all of those.
            let body = reply.json();
            for (list, relatives) in [("parents", model.parents(number)), ("children", model.children(number))] {
                if body.get(list).is_some() {
                    let expected = model.ids(relatives.into_iter().filter(|relative| model.sees(user, *relative)));
                    assert_eq!(ids(&body[list]), expected, "user {user}: {list} in {path}");
                }
            }
            let text = reply.text();
            for (other, hidden) in model.objects.iter().enumerate().filter(|(other, _)| !model.sees(user, *other)) {
                // A row may name the object that access came from; it names no more than its hash.
                assert!(path.ends_with("/share") || !text.contains(&hidden.id), "user {user}: {path} shows object {other}");
            }
        }
    }
    assert_eq!(visible.len(), model.visible(user).count());
}

/// What `user` finds is what the model finds, however it is asked for.
async fn ask(model: &Model, user: usize, api: &Api, queries: &[Query]) {
    for (number, query) in queries.iter().enumerate() {
        let text = query.text(model, user);
        let found: Vec<usize> = model.visible(user).filter(|object| query.finds(model, user, *object)).collect();
        let asked = format!("user {user}: {text}");
        let encoded = encode(&text);
        // Each kind in turn, and the list of all.
        let kind = KINDS[number % KINDS.len()];
        for kind in ["object", kind] {
            let of_kind = found.iter().copied().filter(|object| kind == "object" || KINDS[model.objects[*object].kind] == kind);
            let expected = model.ids(of_kind);
            let list = api.get(&format!("{kind}?count=1000&query={encoded}")).await.ok();
            assert_eq!(ids(&list[format!("{kind}s")]), expected, "{kind}: {asked}");
            let count = api.get(&format!("{kind}/count?query={encoded}")).await.ok();
            assert_eq!(count["count"], expected.len(), "count of {kind}: {asked}");
        }
        let list = api.post("search", json!({"query": text})).await.ok();
        assert_eq!(ids(&list), model.ids(found.into_iter()), "search: {asked}");
    }
    // People and groups: whatever the answer is, it is about visible objects.
    let visible = model.ids(model.visible(user));
    for other in 0..=PUBLIC {
        let name = group_name(other);
        for query in ["shared", "uploader", "sharer", "favorites", "comment_author"].map(|field| format!("{field}:{name}")) {
            let reply = api.get(&format!("object?count=1000&query={}", encode(&query))).await;
            match reply.status.as_u16() {
                200 => assert!(ids(&reply.json()["objects"]).is_subset(&visible), "user {user}: {query}"),
                _ => assert!(!reply.refused(400).is_empty()),
            }
        }
    }
}

fn encode(text: &str) -> String {
    reqwest::Url::parse_with_params("http://a/", [("q", text)]).expect("an address").query().expect("a query")[2..].to_owned()
}

/// The routes that name an object, also those that would change something. `own` is visible to who asks.
fn naming(kind: &str, hash: &str, own: Option<&str>) -> Vec<(Method, String, Option<Value>)> {
    let (get, put, post, delete) = (Method::GET, Method::PUT, Method::POST, Method::DELETE);
    let mut routes = Vec::new();
    for word in ["object", kind] {
        let path = format!("{word}/{hash}");
        let parts = ["", "/relations", "/comment", "/tag", "/attribute", "/share", "/karton", "/meta"];
        routes.extend(parts.map(|part| (get.clone(), format!("{path}{part}"), None)));
        routes.extend([
            (put.clone(), format!("{path}/tag"), Some(json!({"tag": "leak"}))),
            (delete.clone(), format!("{path}/tag?tag=word0"), None),
            (post.clone(), format!("{path}/comment"), Some(json!({"comment": "leak"}))),
            (delete.clone(), format!("{path}/comment/1"), None),
            (post.clone(), format!("{path}/attribute"), Some(json!({"key": "note", "value": "leak"}))),
            (delete.clone(), format!("{path}/attribute/1"), None),
            (post.clone(), format!("{path}/meta"), Some(json!({"key": "note", "value": "leak"}))),
            (delete.clone(), format!("{path}/meta?key=note"), None),
            (put.clone(), format!("{path}/share"), Some(json!({"group": "public"}))),
            (put.clone(), format!("{path}/child/{hash}"), None),
            (delete.clone(), format!("{path}/child/{hash}"), None),
            (delete.clone(), path, None),
        ]);
        routes.push((get.clone(), format!("{word}?older_than={hash}"), None));
        routes.push((get.clone(), format!("{word}?older_than={hash}&query=tag:word*"), None));
    }
    routes.extend([
        (put.clone(), format!("object/{hash}/favorite"), None),
        (delete.clone(), format!("object/{hash}/favorite"), None),
        (post.clone(), "blob".to_owned(), Some(json!({"blob_name": "n", "blob_type": "t", "content": "leak", "parent": hash}))),
        (put.clone(), format!("config/{hash}"), Some(json!({"family": "f", "cfg": {"leak": 1}}))),
        (post.clone(), format!("request/sample/{hash}"), None),
    ]);
    for part in ["download", "download/zip"] {
        routes.extend([(get.clone(), format!("file/{hash}/{part}"), None), (post.clone(), format!("file/{hash}/{part}"), None)]);
    }
    if kind == "blob" {
        routes.push((post, "config".to_owned(), Some(json!({"family": "f", "cfg": {"leak": {"in-blob": hash}}}))));
    }
    if let Some(own) = own {
        routes.extend([(put.clone(), format!("object/{own}/child/{hash}"), None), (put, format!("object/{hash}/child/{own}"), None)]);
        routes.extend([(delete.clone(), format!("object/{own}/child/{hash}"), None), (delete, format!("object/{hash}/child/{own}"), None)]);
    }
    routes
}

/// The message of a request that names what is not there.
async fn refusal(api: &Api, (method, path, body): (Method, String, Option<Value>)) -> String {
    let request = api.request(method, &path);
    api.send(if let Some(body) = body { request.json(&body) } else { request }).await.refused(404)
}

/// What is hidden is answered like what never was, and nothing about it can be changed.
async fn probe(model: &Model, user: usize, api: &Api, digests: &BTreeMap<usize, Vec<String>>) {
    let own = model.visible(user).next().map(|object| model.objects[object].id.clone());
    for kind in KINDS {
        let hidden: Vec<&Object> = (0..model.objects.len())
            .filter(|object| !model.sees(user, *object))
            .map(|object| &model.objects[object])
            .filter(|object| KINDS[object.kind] == kind)
            .collect();
        // One of each kind: the routes are many.
        if let Some(object) = hidden.first() {
            let routes = naming(kind, &object.id, own.as_deref());
            for (route, of_absent) in routes.into_iter().zip(naming(kind, ABSENT, own.as_deref())) {
                let what = format!("user {user}: {} {}", route.0, route.1);
                // A message may repeat what was asked for.
                let answer = refusal(api, route).await.replace(&object.id, ABSENT);
                assert_eq!(answer, refusal(api, of_absent).await, "{what}");
            }
        }
    }
    for (_, digests) in digests.iter().filter(|(object, _)| !model.sees(user, **object)) {
        for digest in digests {
            api.get(&format!("file/{digest}")).await.missing();
            let found = api.get(&format!("file?query={}", encode(&format!("multi:{digest}")))).await.ok();
            assert_eq!(found["files"], json!([]), "user {user}: {digest}");
        }
    }
}

/// The pages show no more than the API.
async fn browse(model: &Model, user: usize, api: &Api) {
    let hidden: Vec<&str> =
        (0..model.objects.len()).filter(|object| !model.sees(user, *object)).map(|object| &*model.objects[object].id).collect();
    let mut pages = vec!["/objects".to_owned(), "/".to_owned(), "/objects?query=tag%3Aword%2A".to_owned()];
    pages.extend(model.visible(user).map(|object| format!("/object/{}", model.objects[object].id)));
    let cookie = format!("mwdb_session={}", api.token.as_ref().expect("a token"));
    for page in pages {
        let request = api.http.get(format!("{}{page}", api.url)).header(header::COOKIE, &cookie);
        let html = api.send(request).await.text();
        let html = html.split("id=\"shares\"").next().unwrap_or_default();
        assert!(html.contains("</nav>"), "user {user}: {page}: {html}");
        for hash in &hidden {
            assert!(!html.contains(hash), "user {user}: {page} shows {hash}");
        }
    }
    for hash in hidden {
        let request = api.http.get(format!("{}/object/{hash}", api.url)).header(header::COOKIE, &cookie);
        assert_eq!(api.send(request).await.status.as_u16(), 404, "user {user}: the page of {hash}");
    }
}

/// What one saves is one's own.
async fn saved_searches(users: &[Api]) {
    for (user, api) in users.iter().enumerate() {
        for kind in ["object", "file", "config", "blob"] {
            let query = json!({"name": format!("secret{user}"), "query": format!("tag:secret{user}"), "type": kind});
            api.post(&format!("{kind}/quick_query"), query).await.ok();
        }
    }
    for (user, api) in users.iter().enumerate() {
        for kind in ["object", "file", "config", "blob"] {
            let list = api.get(&format!("{kind}/quick_query")).await.ok();
            assert_eq!(each(&list, "name"), [&json!(format!("secret{user}"))], "{kind}: {list}");
            let other = &users[(user + 1) % users.len()];
            other.delete(&format!("quick_query/{}", list[0]["id"])).await.missing();
            assert_eq!(api.get(&format!("{kind}/quick_query")).await.ok(), list);
        }
    }
}

async fn history(ops: Vec<Op>, queries: Vec<Query>) {
    let server = Server::start().await;
    let admin = server.admin().await;
    let mut users = Vec::new();
    let capabilities = [
        "adding_files",
        "adding_configs",
        "adding_blobs",
        "adding_parents",
        "adding_tags",
        "adding_comments",
        "personalize",
        "removing_attributes",
        "removing_comments",
        "removing_objects",
        "removing_parents",
        "removing_tags",
    ];
    for user in 0..USERS {
        users.push(server.user(&admin, &group_name(user), &capabilities).await);
    }
    admin.post("attribute", json!({"key": "note", "label": "", "description": "", "hidden": false})).await.ok();
    admin.put("attribute/note/permissions", json!({"group_name": "public", "can_read": true, "can_set": true})).await.ok();
    let mut model = Model::default();
    for user in 0..USERS {
        model.members.insert(user, BTreeSet::from([user]));
    }
    for group in USERS..PUBLIC {
        let first = group - USERS;
        server.group(&admin, &group_name(group), &[&users[first], &users[first + 1]]).await;
        model.members.insert(group, BTreeSet::from([first, first + 1]));
    }
    model.members.insert(PUBLIC, (0..USERS).collect());
    for op in ops {
        apply(&mut model, &admin, &users, op).await;
    }
    let mut digests = BTreeMap::new();
    for (number, object) in model.objects.iter().enumerate().filter(|(_, object)| object.kind == 0 && object.groups.is_some()) {
        let file = admin.get(&format!("file/{}", object.id)).await.ok();
        let texts = ["md5", "sha1", "sha256", "sha512"].map(|name| file[name].as_str().expect("a digest").to_owned());
        digests.insert(number, texts.to_vec());
    }
    saved_searches(&users).await;
    for (user, api) in users.iter().enumerate() {
        compare(&model, user, api).await;
        ask(&model, user, api, &queries).await;
        probe(&model, user, api, &digests).await;
        browse(&model, user, api).await;
    }
    // The probes have left nothing behind.
    for (user, api) in users.iter().enumerate() {
        compare(&model, user, api).await;
        assert_eq!(api.get("object/count?query=tag:leak%20OR%20comment:leak%20OR%20attribute.note:leak").await.ok()["count"], 0);
    }
}

#[test]
fn no_response_shows_what_the_rules_hide() {
    let cases = std::env::var("PERMISSION_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let config = Config { cases, max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let histories = (prop::collection::vec(op(), 20..40), prop::collection::vec(query(), 8..16));
    let outcome = TestRunner::new(config).run(&histories, |(ops, queries)| {
        // In a task of its own, so that a failed assertion is a failed case and can be made smaller.
        let failed = |error: tokio::task::JoinError| TestCaseError::fail(error.to_string());
        runtime.block_on(async { tokio::spawn(history(ops, queries)).await }).map_err(failed)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
