//! Mails: what is sent to whom and when, over a mail server of the test's own. See MWDB API §U4.3 and §U5.

use std::sync::{Arc, Mutex};

use base64::{Engine, prelude::BASE64_STANDARD};
use mwdb_lite::config::{CaptchaConfig, MailConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Server, quoted_printable};

/// What a mail server took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mail {
    from: String,
    to: String,
    /// Headers and text.
    pub(crate) text: String,
    auth: String,
}

/// A mail server: takes everything, but nothing for `refused@example.com`.
pub(crate) struct PostOffice {
    port: u16,
    taken: Arc<Mutex<Vec<Mail>>>,
}

impl PostOffice {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let box_ = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let box_ = Arc::clone(&box_);
                tokio::spawn(async move {
                    let _ = talk(stream, &box_).await;
                });
            }
        });
        Self { port, taken }
    }

    pub(crate) fn config(&self) -> MailConfig {
        MailConfig {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            from: "MWDB <mwdb@example.com>".to_owned(),
            account: None,
            tls: false,
            templates: None,
        }
    }

    pub(crate) fn take(&self) -> Vec<Mail> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }
}

async fn talk(stream: TcpStream, taken: &Mutex<Vec<Mail>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(b"220 post office\r\n").await?;
    let mut mail = Mail::default();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        let answer = match line.split_once([' ', ':']).map_or(line, |(word, _)| word).to_uppercase().as_str() {
            "EHLO" => "250-post office\r\n250 AUTH PLAIN",
            "AUTH" => {
                mail.auth = line.to_owned();
                "235 welcome"
            }
            "MAIL" => {
                mail.from = line.to_owned();
                "250 yes"
            }
            "RCPT" if line.contains("refused@example.com") => "550 nobody here",
            "RCPT" => {
                mail.to = line.to_owned();
                "250 yes"
            }
            "DATA" => {
                stream.get_mut().write_all(b"354 go on\r\n").await?;
                let mut bytes = Vec::new();
                while !bytes.ends_with(b"\r\n.\r\n") {
                    bytes.push(stream.read_u8().await?);
                }
                mail.text = quoted_printable(&String::from_utf8_lossy(&bytes));
                taken.lock().unwrap().push(std::mem::take(&mut mail));
                "250 taken"
            }
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

/// The token of the link in a mail.
pub(crate) fn token(mail: &Mail) -> String {
    let start = mail.text.find("/setpasswd/?token=").unwrap_or_else(|| panic!("no link in {}", mail.text));
    mail.text[start..].trim_start_matches("/setpasswd/?token=").split_whitespace().next().unwrap_or_default().to_owned()
}

async fn with_mail(office: &PostOffice) -> Server {
    let mail = office.config();
    Server::with(|config| {
        config.mail = Some(mail);
        config.enable_registration = true;
    })
    .await
}

fn account(email: &str) -> Value {
    json!({"email": email, "additional_info": "test"})
}

#[tokio::test]
async fn a_forgotten_password_is_recovered_by_mail() {
    let office = PostOffice::open().await;
    let server = with_mail(&office).await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    let ask = json!({"login": "alice", "email": "ALICE@Example.com"});
    assert_eq!(server.anonymous().post("auth/recover_password", ask).await.ok(), json!({"login": "alice"}));
    let mails = office.take();
    assert_eq!(mails.len(), 1);
    assert!(mails[0].to.contains("<alice@example.com>") && mails[0].from.contains("<mwdb@example.com>"), "{mails:?}");
    assert!(mails[0].text.contains("Subject: Set your password of mwdb"), "{mails:?}");
    let change = json!({"token": token(&mails[0]), "password": "another password"});
    server.anonymous().post("auth/change_password", change.clone()).await.ok();
    server.login("alice", "another password").await;
    server.anonymous().post("auth/change_password", change).await.refused(403);
}

#[tokio::test]
async fn only_login_and_address_together_recover_a_password() {
    let office = PostOffice::open().await;
    let server = with_mail(&office).await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    let ask =
        async |login: &str, email: &str| server.anonymous().post("auth/recover_password", json!({"login": login, "email": email})).await;
    ask("alice", "bob@example.com").await.refused(403);
    ask("nobody", "alice@example.com").await.refused(403);
    ask("a b", "alice@example.com").await.refused(400);
    server.anonymous().post("auth/recover_password", json!({"login": "alice"})).await.refused(400);
    // Who waits for acceptance, and who may not manage their profile.
    let form = json!({"login": "carol", "email": "carol@example.com", "additional_info": "x"});
    server.anonymous().post("auth/register", form).await.ok();
    office.take();
    ask("carol", "carol@example.com").await.refused(403);
    admin.put("group/registered", json!({"capabilities": []})).await.ok();
    ask("alice", "alice@example.com").await.refused(403);
    assert!(office.take().is_empty());
}

#[tokio::test]
async fn nobody_can_flood_somebody_with_mails() {
    let office = PostOffice::open().await;
    let server = with_mail(&office).await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    let ask = json!({"login": "alice", "email": "alice@example.com"});
    for _ in 0..5 {
        server.anonymous().post("auth/recover_password", ask.clone()).await.ok();
    }
    let refused = server.anonymous().post("auth/recover_password", ask).await;
    refused.refused(429);
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(office.take().len(), 5);
}

#[tokio::test]
async fn who_guesses_addresses_has_to_wait() {
    let office = PostOffice::open().await;
    let mail = office.config();
    let server = Server::with(|config| {
        config.mail = Some(mail);
        config.max_failed_logins = 2;
        config.use_x_forwarded_for = true;
    })
    .await;
    let ask = async |email: &str, from: &str| {
        let client = server.anonymous();
        let request = client.request(reqwest::Method::POST, "auth/recover_password").header("X-Forwarded-For", from);
        client.send(request.json(&json!({"login": "admin", "email": email}))).await
    };
    for _ in 0..2 {
        ask("guess@example.com", "10.0.0.1").await.refused(403);
    }
    ask("admin@mwdb.local", "10.0.0.1").await.refused(429);
    ask("admin@mwdb.local", "10.0.0.2").await.ok();
    assert_eq!(office.take().len(), 1);
}

#[tokio::test]
async fn a_link_is_mailed_to_oneself_and_by_administrators() {
    let office = PostOffice::open().await;
    let server = with_mail(&office).await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    assert_eq!(alice.post_empty("auth/request_password_change").await.ok(), json!({"login": "alice"}));
    assert_eq!(admin.post_empty("user/alice/request_password_change").await.ok(), json!({"login": "alice"}));
    admin.post_empty("user/nobody/request_password_change").await.missing();
    alice.post_empty("user/alice/request_password_change").await.refused(403);
    server.anonymous().post_empty("auth/request_password_change").await.refused(401);
    let mails = office.take();
    assert_eq!(mails.len(), 2);
    for mail in &mails {
        assert!(!token(mail).is_empty() && mail.to.contains("alice@example.com"));
    }
    admin.put("group/registered", json!({"capabilities": []})).await.ok();
    alice.post_empty("auth/request_password_change").await.refused(403);
}

#[tokio::test]
async fn a_new_account_is_welcomed_and_stays_when_the_mail_fails() {
    let office = PostOffice::open().await;
    let server = with_mail(&office).await;
    let admin = server.admin().await;
    let with_mail = |email: &str| json!({"email": email, "additional_info": "x", "send_email": true});
    admin.post("user/alice", with_mail("alice@example.com")).await.ok();
    let mails = office.take();
    let change = json!({"token": token(&mails[0]), "password": "my first password"});
    server.anonymous().post("auth/change_password", change).await.ok();
    server.login("alice", "my first password").await;
    admin.post("user/bob", account("bob@example.com")).await.ok();
    assert!(office.take().is_empty(), "nobody asked for a mail");
    let failed = admin.post("user/carol", with_mail("refused@example.com")).await.refused(500);
    assert!(!failed.contains("nobody here"), "no details: {failed}");
    admin.get("user/carol").await.ok();
}

#[tokio::test]
async fn registration_is_accompanied_by_mails() {
    let office = PostOffice::open().await;
    let server = with_mail(&office).await;
    let admin = server.admin().await;
    let register = async |login: &str, email: &str| {
        server.anonymous().post("auth/register", json!({"login": login, "email": email, "additional_info": "please"})).await.ok();
    };
    register("alice", "alice@example.com").await;
    let mails = office.take();
    assert!(mails[0].text.contains("Hello alice") && !mails[0].text.contains("setpasswd"), "{mails:?}");
    admin.post_empty("user/alice/pending").await.ok();
    let mails = office.take();
    let change = json!({"token": token(&mails[0]), "password": "my first password"});
    server.anonymous().post("auth/change_password", change).await.ok();
    server.login("alice", "my first password").await;

    register("bob", "bob@example.com").await;
    office.take();
    admin.delete("user/bob/pending?send_email=true").await.ok();
    assert!(office.take()[0].text.contains("not accepted"));
    register("carol", "carol@example.com").await;
    office.take();
    admin.delete("user/carol/pending?send_email=false").await.ok();
    assert!(office.take().is_empty());
    // Asking works though the mail does not get there; accepting says so, and does not happen.
    register("dave", "refused@example.com").await;
    admin.post_empty("user/dave/pending").await.refused(500);
    assert_eq!(admin.get("user/dave").await.ok()["pending"], true);
    // So it can be tried again, or rejected.
    admin.post_empty("user/dave/pending").await.refused(500);
    admin.delete("user/dave/pending?send_email=false").await.ok();
}

#[tokio::test]
async fn without_mail_server_what_needs_one_is_500() {
    let server = Server::with(|config| config.enable_registration = true).await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    admin.post_empty("auth/request_password_change").await.refused(500);
    admin.post_empty("user/alice/request_password_change").await.refused(500);
    server.anonymous().post("auth/recover_password", json!({"login": "alice", "email": "alice@example.com"})).await.refused(500);
    admin.post("user/bob", json!({"email": "b@example.com", "additional_info": "x", "send_email": true})).await.refused(500);
    admin.get("user/bob").await.ok();
    server.anonymous().post("auth/register", json!({"login": "carol", "email": "c@example.com", "additional_info": "x"})).await.ok();
    admin.post_empty("user/carol/pending").await.ok();
}

#[tokio::test]
async fn the_mail_server_is_logged_into_and_never_spoken_to_in_the_clear_against_the_setting() {
    let office = PostOffice::open().await;
    let mut mail = office.config();
    mail.account = Some(("me".to_owned(), "secret".to_owned()));
    let server = Server::with(|config| config.mail = Some(mail.clone())).await;
    server.admin().await.post_empty("user/admin/request_password_change").await.ok();
    assert_eq!(office.take()[0].auth, format!("AUTH PLAIN {}", BASE64_STANDARD.encode("\0me\0secret")));
    mail.tls = true;
    let server = Server::with(|config| config.mail = Some(mail)).await;
    server.admin().await.post_empty("user/admin/request_password_change").await.refused(500);
    assert!(office.take().is_empty());
}

#[tokio::test]
async fn own_texts_stand_in_for_the_built_in_ones() {
    let office = PostOffice::open().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("recover.txt"), "Neues Kennwort für {instance}\nHallo {login}: {link}\n").unwrap();
    let mail = MailConfig { templates: Some(folder.path().to_owned()), ..office.config() };
    let server = Server::with(|config| {
        config.mail = Some(mail);
        config.base_url = "https://mwdb.example/".to_owned();
    })
    .await;
    server.admin().await.post_empty("user/admin/request_password_change").await.ok();
    let text = office.take()[0].text.clone();
    assert!(text.contains("Hallo admin: https://mwdb.example/setpasswd/?token="), "{text}");
}

/// A captcha service that accepts one answer.
async fn judge() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/siteverify", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let mut length = 0;
            while !String::from_utf8_lossy(&request[..length]).contains("response=") {
                length += stream.read(&mut request[length..]).await.unwrap_or(0);
            }
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let success = request.contains("secret=the-secret") && request.contains("response=right");
            let body = format!("{{\"success\": {success}}}");
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

#[tokio::test]
async fn a_captcha_guards_registration_and_recovery_when_it_is_set() {
    let office = PostOffice::open().await;
    let (mail, url) = (office.config(), judge().await);
    let server = Server::with(|config| {
        config.mail = Some(mail);
        config.enable_registration = true;
        config.recaptcha_site_key = Some("the-site-key".to_owned());
        config.captcha = Some(CaptchaConfig { secret: "the-secret".to_owned(), url });
    })
    .await;
    assert_eq!(server.anonymous().get("server").await.ok()["recaptcha_site_key"], "the-site-key");
    let register = async |recaptcha: Value| {
        let form = json!({"login": "alice", "email": "alice@example.com", "additional_info": "x", "recaptcha": recaptcha});
        server.anonymous().post("auth/register", form).await
    };
    register(json!("")).await.refused(403);
    register(json!("wrong")).await.refused(403);
    register(json!("right")).await.ok();
    let recover = async |recaptcha: Value| {
        let form = json!({"login": "admin", "email": "admin@mwdb.local", "recaptcha": recaptcha});
        server.anonymous().post("auth/recover_password", form).await
    };
    recover(json!("wrong")).await.refused(403);
    recover(json!("right")).await.ok();
}

#[tokio::test]
async fn without_passwords_none_is_set_or_recovered() {
    let office = PostOffice::open().await;
    let mail = office.config();
    let mut server = Server::start().await;
    let admin = server.admin().await;
    let link = admin.get("user/admin/change_password").await.ok();
    server.stop().await;
    server
        .start_again(|config| {
            config.mail = Some(mail);
            config.enable_password_auth = false;
        })
        .await;
    let admin = server.with_token(admin.token.as_ref().unwrap());
    let anonymous = server.anonymous();
    anonymous.post("auth/login", json!({"login": "admin", "password": crate::harness::PASSWORD})).await.refused(403);
    anonymous.post("auth/change_password", json!({"token": link["token"], "password": "another password"})).await.refused(403);
    anonymous.post("auth/recover_password", json!({"login": "admin", "email": "admin@mwdb.local"})).await.refused(403);
    admin.post_empty("auth/request_password_change").await.refused(403);
    assert_eq!(anonymous.get("server").await.ok()["is_password_auth_enabled"], false);
    assert!(office.take().is_empty());
}
