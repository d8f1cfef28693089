//! What the server says of itself.

use serde_json::json;

use crate::harness::Server;

#[tokio::test]
async fn ping_answers_anybody() {
    let server = Server::start().await;
    assert_eq!(server.anonymous().get("ping").await.ok(), json!({"status": "ok"}));
    server.anonymous().get("ping/").await.no_route();
}

#[tokio::test]
async fn server_information_has_all_keys() {
    let server = Server::start().await;
    let info = server.anonymous().get("server").await.ok();
    let expected = json!({
        "server_version": info["server_version"], "is_authenticated": false, "instance_name": "mwdb", "is_maintenance_set": false,
        "is_registration_enabled": false, "is_password_auth_enabled": true, "is_karton_enabled": false, "is_oidc_enabled": false,
        "is_oidc_registration_enabled": false, "is_3rd_party_sharing_consent_enabled": true, "recaptcha_site_key": null,
        "request_timeout": 20000, "file_upload_timeout": 60000, "statement_timeout": 0,
    });
    assert_eq!(info, expected);
    assert!(info["server_version"].as_str().unwrap().starts_with("2.19.0"));
    let admin = server.admin().await;
    assert_eq!(admin.get("server").await.ok()["is_authenticated"], true);
    // A bad token makes a caller anonymous, nothing more.
    assert_eq!(server.with_token("rubbish").get("server").await.ok()["is_authenticated"], false);
}

#[tokio::test]
async fn a_user_made_through_the_api_can_upload() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let user = server.user(&admin, "alice", &["adding_files"]).await;
    assert_eq!(user.file("content").await["type"], "file");
}
