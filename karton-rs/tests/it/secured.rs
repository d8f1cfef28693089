//! Servers that want TLS, users or the credentials of an instance.

use std::process::Command;

use karton_rs::testing::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bed::Bed;

/// Runs `karton-system --setup-bucket` until it says `wanted`.
async fn broker_says(ini: &std::path::Path, environment: &[(&str, &str)], wanted: &str) -> String {
    let log = ini.with_extension("log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_karton-system"));
    command.args(["--setup-bucket", "--config-file"]).arg(ini).current_dir(ini.parent().unwrap());
    let mut child = command.envs(environment.iter().copied()).stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let text = eventually(&format!("`{wanted}`"), || async {
        let text = std::fs::read_to_string(&log).unwrap();
        text.contains(wanted).then_some(text)
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    text
}

#[tokio::test]
async fn redis_over_tls_is_trusted_by_the_certificates_of_the_system_and_by_no_others() {
    let bed = Bed::start().await;
    let folder = tempfile::tempdir().unwrap();
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (authority, certificate) = (file("ca.pem", authority_pem), file("cert.pem", certificate.pem()));
    let key = file("key.pem", key.serialize_pem());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    for (name, value) in [("tls-cert-file", &certificate), ("tls-key-file", &key), ("tls-ca-cert-file", &authority)] {
        let () = bed.command(&["CONFIG", "SET", name, value]).await;
    }
    let () = bed.command(&["CONFIG", "SET", "tls-auth-clients", "no"]).await;
    let () = bed.command(&["CONFIG", "SET", "tls-port", &port]).await;
    let () = bed.command(&["ACL", "SETUSER", "worker", "on", ">pa%ss", "~*", "&*", "+@all"]).await;
    let mut config = bed.config.clone();
    for (option, value) in [("host", "localhost"), ("port", &port), ("ssl", "1"), ("username", "worker"), ("password", "pa%%ss")] {
        config.set("redis", option, value);
    }
    let ini = Bed::write_ini(&config, folder.path());
    broker_says(&ini, &[("SSL_CERT_FILE", &authority)], "karton.system starting").await;
    let refused = broker_says(&ini, &[("SSL_CERT_FILE", &certificate)], "trying again").await;
    assert!(refused.contains("certificate"), "{refused}");
    // The same by a URL, whose options win over its path and over those beside it.
    let () = bed.command(&["ACL", "SETUSER", "default", "nopass", "-@all", "+info"]).await;
    for (database, host, options) in
        [(3, "localhost", format!("ssl_ca_certs={authority}")), (4, "127.0.0.1", "ssl_cert_reqs=none".to_owned())]
    {
        let url = format!("rediss://{host}:{port}/1?db={database}&username=worker&password=pa%25ss&{options}");
        let config = bed.with_options(&[("redis", "url", &url), ("redis", "username", "nobody"), ("redis", "password", "wrong")]);
        let karton = karton_rs::Karton::connect(&config, "karton.producer", None).await.unwrap();
        karton.send_task(karton_rs::Task::new(serde_json::json!({"type": "x"}))).await.unwrap();
        let databases: String = bed.command(&["INFO", "keyspace"]).await;
        assert!(databases.contains(&format!("db{database}:")) && !databases.contains("db1:"), "{databases}");
    }
    let unknown = bed.with_options(&[("redis", "url", &format!("rediss://localhost:{port}?sentinel=secret"))]);
    let refused = broker_says(&Bed::write_ini(&unknown, folder.path()), &[], "`sentinel`").await;
    assert!(refused.contains("[redis] url") && !refused.contains("secret"), "{refused}");
}

#[tokio::test]
async fn credentials_of_the_container_win_over_the_key_pair_when_asked_for() {
    let bed = Bed::start().await;
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/credentials", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = connection.read(&mut request).await;
            let body = r#"{"AccessKeyId": "access", "SecretAccessKey": "secret-key", "Token": "t", "Expiration": "2999-01-01T00:00:00Z"}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    let config = bed.with_options(&[
        ("s3", "access_key", "wrong"),
        ("s3", "secret_key", "wrong"),
        ("s3", "bucket", "other"),
        ("system", "gc_interval", "1"),
    ]);
    let ini = Bed::write_ini(&config, folder.path());
    broker_says(&ini, &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)], "S3 at").await;
    assert!(!bed.bucket_exists("other"));
    let config = {
        let mut config = config;
        config.set("s3", "iam_auth", "1");
        config
    };
    let ini = Bed::write_ini(&config, folder.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_karton-system"));
    command.args(["--setup-bucket", "--config-file"]).arg(&ini).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url).current_dir(folder.path());
    let mut child = command.spawn().unwrap();
    eventually("the bucket", || async { bed.bucket_exists("other").then_some(()) }).await;
    child.kill().unwrap();
    child.wait().unwrap();
}
