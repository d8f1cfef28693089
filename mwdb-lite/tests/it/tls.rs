//! Encrypted connections, without a proxy in front.

use std::path::Path;

use mwdb_lite::config::TlsConfig;
use serde_json::Value;

use crate::harness::Server;

/// A certificate for `localhost` that only this test knows.
fn files() -> TlsConfig {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
    TlsConfig { certificate: folder.join("certificate.pem"), key: folder.join("key.pem") }
}

#[tokio::test]
async fn with_certificate_and_key_the_server_speaks_https_only() {
    let server = Server::with(|config| config.tls = Some(files())).await;
    let certificate = std::fs::read(files().certificate).unwrap();
    let https =
        reqwest::Client::builder().no_proxy().tls_certs_only([reqwest::Certificate::from_pem(&certificate).unwrap()]).build().unwrap();
    let url = format!("https://localhost:{}", server.url().rsplit(':').next().unwrap());
    let answer: Value = https.get(format!("{url}/api/ping")).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["status"], "ok");
    // Browsers are told to keep the session to such connections.
    let login = [("login", "admin"), ("password", crate::harness::PASSWORD)];
    let https = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([reqwest::Certificate::from_pem(&certificate).unwrap()])
        .build()
        .unwrap();
    let answer = https.post(format!("{url}/login")).form(&login).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(answer.status() == 303 && cookie.contains("Secure"), "{cookie}");
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(plain.get(format!("{}/api/ping", server.url())).send().await.is_err());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    std::fs::write(&key, "no key").unwrap();
    let config = mwdb_lite::Config {
        port: 0,
        sqlite_path: folder.path().join("mwdb.sqlite"),
        uploads_folder: folder.path().join("uploads"),
        tls: Some(TlsConfig { key, ..files() }),
        ..mwdb_lite::Config::default()
    };
    let outcome = mwdb_lite::run(config, tokio_util::sync::CancellationToken::new()).await;
    let error = format!("{:#}", outcome.expect_err("it does not start"));
    assert!(error.contains("key.pem") || error.to_lowercase().contains("tls"), "{error}");
}
