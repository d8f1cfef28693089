//! No response ever shows what a caller may not see: random histories against a simple model of the
//! rules of MWDB API §U7. `PERMISSION_CASES` chooses how many histories are tried.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::{Value, json};

use crate::harness::{Api, Server, each, id};

const USERS: usize = 4;
const GROUPS: usize = 2;
/// Groups by number: the private ones of the users, the workspaces, and the one of everybody.
const PUBLIC: usize = USERS + GROUPS;
const KINDS: [&str; 3] = ["file", "config", "blob"];

#[derive(Debug, Clone)]
enum Op {
    Upload {
        user: usize,
        kind: usize,
        parent: Option<usize>,
        target: Target,
    },
    UploadAgain {
        user: usize,
        object: usize,
    },
    Share {
        user: usize,
        object: usize,
        group: usize,
    },
    Link {
        user: usize,
        parent: usize,
        child: usize,
    },
    Delete {
        user: usize,
        object: usize,
    },
    /// Joins the workspace, or leaves it.
    Move {
        user: usize,
        group: usize,
    },
}

#[derive(Debug, Clone)]
enum Target {
    Workspaces,
    Private,
    Group(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let user = 0..USERS;
    let object = 0..16_usize;
    let target = prop_oneof![2 => Just(Target::Workspaces), 2 => Just(Target::Private), 2 => (USERS..=PUBLIC).prop_map(Target::Group)];
    prop_oneof![
        6 => (user.clone(), 0..3_usize, prop::option::of(object.clone()), target)
            .prop_map(|(user, kind, parent, target)| Op::Upload { user, kind, parent, target }),
        1 => (user.clone(), object.clone()).prop_map(|(user, object)| Op::UploadAgain { user, object }),
        3 => (user.clone(), object.clone(), 0..=PUBLIC).prop_map(|(user, object, group)| Op::Share { user, object, group }),
        4 => (user.clone(), object.clone(), object.clone()).prop_map(|(user, parent, child)| Op::Link { user, parent, child }),
        1 => (user.clone(), object).prop_map(|(user, object)| Op::Delete { user, object }),
        1 => (user, USERS..PUBLIC).prop_map(|(user, group)| Op::Move { user, group }),
    ]
}

/// Who sees what, by the rules.
#[derive(Default)]
struct Model {
    members: BTreeMap<usize, BTreeSet<usize>>,
    objects: Vec<Object>,
    relations: BTreeSet<(usize, usize)>,
}

struct Object {
    id: String,
    kind: usize,
    /// The groups that see it; none once it is deleted.
    groups: Option<BTreeSet<usize>>,
}

impl Model {
    fn is_member(&self, user: usize, group: usize) -> bool {
        self.members[&group].contains(&user)
    }

    fn sees(&self, user: usize, object: usize) -> bool {
        let groups = self.objects.get(object).and_then(|object| object.groups.as_ref());
        groups.is_some_and(|groups| groups.iter().any(|group| self.is_member(user, *group)))
    }

    fn visible(&self, user: usize) -> impl Iterator<Item = usize> {
        (0..self.objects.len()).filter(move |object| self.sees(user, *object))
    }

    fn workspaces(&self, user: usize) -> Vec<usize> {
        (0..PUBLIC).filter(|group| self.is_member(user, *group)).collect()
    }

    /// Down to the children, but only from where the access is new.
    fn grant(&mut self, object: usize, group: usize) {
        let mut queue = vec![object];
        while let Some(object) = queue.pop() {
            if self.objects[object].groups.as_mut().is_some_and(|groups| groups.insert(group)) {
                queue.extend(self.relations.iter().filter(|(parent, _)| *parent == object).map(|(_, child)| *child));
            }
        }
    }

    fn link(&mut self, parent: usize, child: usize) {
        if self.relations.insert((parent, child)) {
            for group in self.objects[parent].groups.clone().unwrap_or_default() {
                self.grant(child, group);
            }
        }
    }

    fn delete(&mut self, object: usize) {
        self.objects[object].groups = None;
        self.relations.retain(|(parent, child)| *parent != object && *child != object);
    }

    fn ids(&self, objects: impl Iterator<Item = usize>) -> BTreeSet<String> {
        objects.map(|object| self.objects[object].id.clone()).collect()
    }
}

fn group_name(group: usize) -> String {
    match group {
        PUBLIC => "public".to_owned(),
        user if user < USERS => format!("user{user}"),
        workspace => format!("group{workspace}"),
    }
}

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
                model.objects.push(Object { id: id(&reply.json()), kind, groups: Some(BTreeSet::new()) });
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
            for (list, relatives) in [
                ("parents", model.relations.iter().filter(|(_, child)| *child == number).map(|(parent, _)| *parent).collect::<Vec<_>>()),
                ("children", model.relations.iter().filter(|(parent, _)| *parent == number).map(|(_, child)| *child).collect()),
            ] {
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

async fn history(ops: Vec<Op>) {
    let server = Server::start().await;
    let admin = server.admin().await;
    let mut users = Vec::new();
    for user in 0..USERS {
        let capabilities = ["adding_files", "adding_configs", "adding_blobs", "adding_parents", "removing_objects"];
        users.push(server.user(&admin, &group_name(user), &capabilities).await);
    }
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
    for (user, api) in users.iter().enumerate() {
        compare(&model, user, api).await;
    }
}

#[test]
fn no_response_shows_what_the_rules_hide() {
    let cases = std::env::var("PERMISSION_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let config = Config { cases, max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let outcome = TestRunner::new(config).run(&prop::collection::vec(op(), 20..40), |ops| {
        // In a task of its own, so that a failed assertion is a failed case and can be made smaller.
        let failed = |error: tokio::task::JoinError| TestCaseError::fail(error.to_string());
        runtime.block_on(async { tokio::spawn(history(ops)).await }).map_err(failed)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
