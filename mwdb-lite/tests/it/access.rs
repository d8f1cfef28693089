//! Who sees what, and how access travels along relations. See MWDB API §U7.

use serde_json::json;

use crate::harness::{Api, Server, id, sorted};

/// Two users that share a work group, and one outside.
async fn team(server: &Server, capabilities: &[&str]) -> (Api, Api, Api, Api) {
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", capabilities).await;
    let bob = server.user(&admin, "bob", capabilities).await;
    let carol = server.user(&admin, "carol", capabilities).await;
    server.group(&admin, "team", &[&alice, &bob]).await;
    (admin, alice, bob, carol)
}

async fn put(api: &Api, content: &str, upload_as: &str) -> String {
    id(&api.upload("a", content, json!({"upload_as": upload_as})).await.ok())
}

#[tokio::test]
async fn upload_as_decides_who_sees_an_upload() {
    let server = Server::start().await;
    let (admin, alice, bob, carol) = team(&server, &[]).await;
    let seen = |hash: String| {
        let (bob, carol, alice) = (bob.clone(), carol.clone(), alice.clone());
        async move { (alice.sees(&hash).await, bob.sees(&hash).await, carol.sees(&hash).await) }
    };
    assert_eq!(seen(put(&alice, "1", "*").await).await, (true, true, false));
    assert_eq!(seen(put(&alice, "2", "private").await).await, (true, false, false));
    assert_eq!(seen(put(&alice, "3", "alice").await).await, (true, false, false));
    assert_eq!(seen(put(&alice, "4", "team").await).await, (true, true, false));
    assert_eq!(seen(put(&alice, "5", "public").await).await, (true, true, true));
    assert_eq!(seen(put(&alice, "6", "registered").await).await, (true, true, true));
    carol.upload("a", "7", json!({"upload_as": "team"})).await.missing();
    carol.upload("a", "7", json!({"upload_as": "alice"})).await.missing();
    admin.put("group/carol", json!({"capabilities": ["sharing_with_all"]})).await.ok();
    assert_eq!(seen(put(&carol, "7", "team").await).await, (true, true, true));
    // Administrators see everything.
    assert_eq!(admin.get("file/count").await.ok()["count"], 7);
    assert_eq!(carol.get("file/count").await.ok()["count"], 3);
}

#[tokio::test]
async fn hidden_is_missing_for_every_route() {
    let server = Server::start().await;
    let rights = [
        "adding_tags",
        "removing_tags",
        "adding_comments",
        "removing_comments",
        "adding_parents",
        "removing_parents",
        "removing_objects",
        "removing_attributes",
        "karton_assign",
        "karton_unassign",
        "modify_3rd_party_sharing",
    ];
    let (_, alice, _, carol) = team(&server, &rights).await;
    let hidden = put(&alice, "1", "private").await;
    let own = put(&carol, "2", "private").await;
    let body = json!({"tag": "t", "comment": "c", "group": "public", "key": "k", "value": "v"});
    for path in ["", "/tag", "/comment", "/relations", "/share", "/attribute", "/meta", "/karton", "/download"] {
        carol.get(&format!("file/{hidden}{path}")).await.missing();
    }
    for path in ["tag", "share"] {
        carol.put(&format!("file/{hidden}/{path}"), body.clone()).await.missing();
    }
    for path in ["comment", "attribute", "meta", "download", "download/zip"] {
        carol.post(&format!("file/{hidden}/{path}"), body.clone()).await.missing();
    }
    for path in ["", "/tag?tag=t", "/comment/1", "/attribute/1", "/meta?key=k", "/karton/b197bf85-e86e-421a-857b-eaafdff0b0d9"] {
        carol.delete(&format!("file/{hidden}{path}")).await.missing();
    }
    carol.put_empty(&format!("object/{hidden}/favorite")).await.missing();
    carol.put_empty(&format!("object/{hidden}/share_3rd_party")).await.missing();
    carol.put_empty(&format!("file/{hidden}/child/{own}")).await.missing();
    carol.put_empty(&format!("file/{own}/child/{hidden}")).await.missing();
    carol.delete(&format!("file/{own}/child/{hidden}")).await.missing();
    carol.upload("a", "3", json!({"parent": hidden})).await.missing();
    carol.get(&format!("file?older_than={hidden}")).await.missing();
    assert!(alice.sees(&hidden).await);
}

#[tokio::test]
async fn children_inherit_and_access_never_flows_up() {
    let server = Server::start().await;
    let (_, alice, bob, carol) = team(&server, &["adding_parents", "adding_configs", "adding_blobs"]).await;
    let parent = put(&alice, "parent", "*").await;
    let child = put(&carol, "child", "private").await;
    let grandchild = carol.child_of(&child, "grandchild").await;
    assert!(!bob.sees(&child).await);
    // Carol cannot link what she does not see; once shared, she can.
    alice.put(&format!("file/{parent}/share"), json!({"group": "public"})).await.ok();
    carol.put_empty(&format!("file/{parent}/child/{child}")).await.null();
    carol.put_empty(&format!("file/{parent}/child/{child}")).await.null();
    assert!(bob.sees(&child).await && bob.sees(&grandchild).await && alice.sees(&grandchild).await);
    // Mixed types below; what comes later inherits too.
    let config = id(&alice.config(json!({"family": "f", "cfg": {"a": 1}, "parent": grandchild, "upload_as": "private"})).await.ok());
    assert!(bob.sees(&config).await && carol.sees(&config).await);
    let private = put(&carol, "private parent", "private").await;
    carol.put_empty(&format!("file/{private}/child/{parent}")).await.null();
    assert!(!alice.sees(&private).await);
    // Parents that one may not see are not shown.
    assert_eq!(sorted(&alice.get(&format!("file/{parent}")).await.ok()["parents"], "id"), Vec::<String>::new());
    assert_eq!(sorted(&carol.get(&format!("file/{parent}")).await.ok()["parents"], "id"), [private]);
}

#[tokio::test]
async fn cycles_end() {
    let server = Server::start().await;
    let (_, alice, bob, _) = team(&server, &["adding_parents", "removing_parents"]).await;
    let a = put(&alice, "a", "private").await;
    let b = put(&alice, "b", "private").await;
    for (parent, child) in [(&a, &b), (&b, &a), (&a, &a)] {
        alice.put_empty(&format!("file/{parent}/child/{child}")).await.null();
    }
    alice.put(&format!("file/{a}/share"), json!({"group": "team"})).await.ok();
    assert!(bob.sees(&a).await && bob.sees(&b).await);
    let relations = alice.get(&format!("file/{a}/relations")).await.ok();
    let mut both = [a.clone(), b.clone()];
    both.sort();
    assert_eq!(sorted(&relations["parents"], "id"), both);
    assert_eq!(sorted(&relations["children"], "id"), both);
    // Dropping the loop to itself takes nothing away.
    alice.delete(&format!("file/{a}/child/{a}")).await.null();
    assert!(bob.sees(&a).await && alice.sees(&a).await);
    alice.delete(&format!("file/{a}/child/{b}")).await.null();
    assert!(!bob.sees(&b).await && alice.sees(&b).await && bob.sees(&a).await);
}

#[tokio::test]
async fn unlinking_takes_inherited_access_back() {
    let server = Server::start().await;
    let (_, alice, bob, _) = team(&server, &["adding_parents", "removing_parents"]).await;
    let top = put(&alice, "top", "team").await;
    let other = put(&alice, "other", "team").await;
    let last = put(&alice, "last", "team").await;
    let middle = put(&alice, "middle", "private").await;
    let leaf = id(&alice.upload("a", "leaf", json!({"parent": middle, "upload_as": "private"})).await.ok());
    let owned = put(&bob, "owned by bob", "private").await;
    for (parent, child) in [(&top, &middle), (&other, &middle), (&last, &middle)] {
        alice.put_empty(&format!("file/{parent}/child/{child}")).await.null();
    }
    bob.put_empty(&format!("file/{middle}/child/{owned}")).await.null();
    assert!(bob.sees(&leaf).await);
    // Through other parents bob keeps it, for the reason of the one that was linked first.
    alice.delete(&format!("file/{top}/child/{middle}")).await.null();
    assert!(bob.sees(&middle).await && bob.sees(&leaf).await);
    let shares = bob.get(&format!("file/{leaf}/share")).await.ok();
    let row = shares["shares"].as_array().unwrap().iter().find(|row| row["group_name"] == "team").unwrap().clone();
    assert_eq!(row["related_object_dhash"], json!(other), "{row}");
    // Without any parent it is gone; what bob owns stays his.
    for parent in [&other, &last] {
        alice.delete(&format!("file/{parent}/child/{middle}")).await.null();
    }
    assert!(!bob.sees(&middle).await && !bob.sees(&leaf).await);
    assert!(bob.sees(&owned).await && alice.sees(&owned).await && alice.sees(&leaf).await);
    // No relation, nothing to do.
    alice.delete(&format!("file/{other}/child/{middle}")).await.null();
}

#[tokio::test]
async fn deleting_a_parent_leaves_its_children_visible() {
    let server = Server::start().await;
    let (admin, alice, bob, _) = team(&server, &["adding_parents"]).await;
    let parent = put(&alice, "parent", "team").await;
    let child = id(&alice.upload("a", "child", json!({"parent": parent, "upload_as": "private"})).await.ok());
    admin.delete(&format!("file/{parent}")).await.null();
    assert!(bob.sees(&child).await);
    let shares = bob.get(&format!("file/{child}/share")).await.ok();
    let row = shares["shares"].as_array().unwrap().iter().find(|row| row["group_name"] == "team").unwrap().clone();
    assert_eq!(row["related_object_dhash"], serde_json::Value::Null);
    assert!(row.as_object().unwrap().contains_key("access_reason"));
}

#[tokio::test]
async fn the_uploader_of_a_child_stays_its_uploader() {
    let server = Server::start().await;
    let (_, alice, _, _) = team(&server, &["adding_parents"]).await;
    let parent = put(&alice, "parent", "private").await;
    let child = id(&alice.upload("a", "child", json!({"parent": parent, "upload_as": "private"})).await.ok());
    let shares = alice.get(&format!("file/{child}/share")).await.ok()["shares"].clone();
    assert_eq!(shares.as_array().unwrap().len(), 1);
    assert_eq!((&shares[0]["reason_type"], &shares[0]["related_object_dhash"]), (&json!("added"), &json!(child)));
}

#[tokio::test]
async fn parents_need_the_right() {
    let server = Server::start().await;
    let (_, alice, _, _) = team(&server, &[]).await;
    let parent = put(&alice, "parent", "*").await;
    let other = put(&alice, "other", "*").await;
    alice.upload("a", "child", json!({"parent": parent})).await.refused(403);
    alice.put_empty(&format!("file/{parent}/child/{other}")).await.refused(403);
    alice.delete(&format!("file/{parent}/child/{other}")).await.refused(403);
    assert_eq!(alice.get("file/count").await.ok()["count"], 2);
}

#[tokio::test]
async fn asking_by_id_shares_with_those_who_hold_the_right() {
    let server = Server::start().await;
    let (admin, alice, bob, carol) = team(&server, &["adding_parents"]).await;
    let parent = put(&carol, "parent", "private").await;
    let child = carol.child_of(&parent, "child").await;
    let md5 = carol.get(&format!("file/{parent}")).await.ok()["md5"].as_str().unwrap().to_owned();
    admin.put("group/team", json!({"capabilities": ["share_queried_objects"]})).await.ok();
    // Lists do not share.
    assert_eq!(alice.get("file").await.ok(), json!({"files": []}));
    alice.get(&format!("file/{}", "0".repeat(64))).await.missing();
    alice.get(&format!("file/{md5}")).await.ok();
    assert!(bob.sees(&child).await);
    let shares = alice.get(&format!("file/{child}/share")).await.ok()["shares"].clone();
    let row = shares.as_array().unwrap().iter().find(|row| row["group_name"] == "team").unwrap().clone();
    assert_eq!((&row["reason_type"], &row["related_user_login"]), (&json!("queried"), &json!("alice")));
    admin.put("group/team", json!({"capabilities": []})).await.ok();
    assert_eq!(alice.get("file/count").await.ok()["count"], 2);
}

#[tokio::test]
async fn leaving_a_group_hides_what_was_seen_through_it() {
    let server = Server::start().await;
    let (admin, alice, bob, _) = team(&server, &[]).await;
    let hash = put(&alice, "1", "team").await;
    admin.delete("group/team/member/bob").await.ok();
    assert!(!bob.sees(&hash).await);
    admin.delete("group/team/member/alice").await.ok();
    assert!(alice.sees(&hash).await);
    admin.post_empty("group/team/member/bob").await.ok();
    assert!(bob.sees(&hash).await);
    admin.delete("group/team").await.ok();
    assert!(!bob.sees(&hash).await);
}
