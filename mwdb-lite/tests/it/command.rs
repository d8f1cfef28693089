//! The `mwdb-lite` command: settings, exit codes, the first start. See MWDB API §A3.2.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use crate::harness::{Api, Server};

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mwdb-lite"));
    command.args(arguments).current_dir(folder).env_clear().env("HOME", folder).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Exit code and standard error of a command that ends by itself.
async fn outcome(mut command: Command) -> (i32, String) {
    let output = tokio::time::timeout(Duration::from_secs(20), command.output()).await.expect("the command ends").unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    (output.status.code().unwrap(), text)
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn bad_settings_are_named_and_end_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let ini = folder.path().join("mwdb.ini");
    for (text, named) in [
        ("[mwdb]\nenable_karton = true", "enable_karton"),
        ("[mwdb]\nport = x", "port"),
        ("[mwdb]\nstorage_provider = tape", "storage_provider"),
        ("[mwdb]\nadmin_login = a b", "admin_login"),
        ("[mwdb]\nweb_folder = /no/such/folder", "web_folder"),
        ("[karton]\nconfig_path = /no/such/file", "config_path"),
    ] {
        std::fs::write(&ini, text).unwrap();
        let (code, message) = outcome(command(folder.path(), &["run"])).await;
        assert_eq!(code, 2, "{text}: {message}");
        assert!(message.contains("mwdb.ini") && message.contains(named), "{text}: {message}");
    }
    std::fs::remove_file(&ini).unwrap();
    let mut with_variable = command(folder.path(), &["run"]);
    with_variable.env("MWDB_PORT", "x");
    let (code, message) = outcome(with_variable).await;
    assert_eq!(code, 2, "{message}");
    assert!(message.contains("MWDB_PORT"), "{message}");
    let mut without_karton = command(folder.path(), &["run"]);
    without_karton.env("MWDB_ENABLE_KARTON", "1");
    let (code, message) = outcome(without_karton).await;
    assert_eq!(code, 2, "{message}");
    assert_eq!(outcome(command(folder.path(), &["run", "--no-such-flag"])).await.0, 2);
    assert_eq!(outcome(command(folder.path(), &["run", "--config", "missing.ini"])).await.0, 2);
    assert_eq!(outcome(command(folder.path(), &["version"])).await.0, 0);
}

#[tokio::test]
async fn what_is_missing_is_made_and_nobody_else_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mut configure = command(folder.path(), &["configure", "-q"]);
    configure.env("MWDB_SQLITE_PATH", "state/deep/mwdb.sqlite").env("MWDB_UPLOADS_FOLDER", "state/uploads");
    assert_eq!(outcome(configure).await.0, 0);
    for made in ["state", "state/uploads", "state/deep/mwdb.sqlite"] {
        let mode = std::fs::metadata(folder.path().join(made)).unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "{made}: {mode:o}");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["version"] as &[&str], &["check"], &["backup", "copy"]] {
        assert_eq!(outcome(command(folder.path(), &["configure", "-q"])).await.0, 0);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut unread = command(folder.path(), arguments);
        unread.stdout(writer).stderr(Stdio::null());
        assert!(unread.status().await.unwrap().success(), "{arguments:?}");
    }
}

#[tokio::test]
async fn certificates_that_are_none_and_copies_that_nobody_made_are_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mwdb.ini"), "[mwdb]\ntls_certificate = mwdb.ini\ntls_key = mwdb.ini\n").unwrap();
    let (code, message) = outcome(command(folder.path(), &["run"])).await;
    assert!(code == 2 && message.contains("[mwdb] tls_certificate: `mwdb.ini` holds no"), "{code} {message}");
    std::fs::remove_file(folder.path().join("mwdb.ini")).unwrap();
    let (code, message) = outcome(command(folder.path(), &["check", "--copy", "."])).await;
    assert!(code == 1 && message.contains("there is no copy made by `backup` in `.`"), "{code} {message}");
}

#[tokio::test]
async fn a_port_in_use_ends_with_1_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, message) = outcome(command(folder.path(), &["run", "--port", &port])).await;
    assert_eq!(code, 1, "{message}");
    assert!(message.contains(&port), "{message}");
}

#[tokio::test]
async fn a_file_that_is_no_database_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mwdb.sqlite"), "this is no database, however long it may become".repeat(100)).unwrap();
    let (code, message) = outcome(command(folder.path(), &["configure", "-q"])).await;
    assert_eq!(code, 1, "{message}");
    assert!(message.contains("mwdb.sqlite"), "{message}");
}

#[tokio::test]
async fn configure_makes_what_run_serves_and_the_password_can_be_set() {
    let folder = tempfile::tempdir().unwrap();
    // Without a password one is made and shown, once.
    let (code, message) = outcome(command(folder.path(), &["configure", "-q"])).await;
    assert_eq!(code, 0, "{message}");
    assert!(message.contains("has the password"), "{message}");
    let (code, message) = outcome(command(folder.path(), &["configure", "-q"])).await;
    assert_eq!((code, message.contains("has the password")), (0, false), "{message}");
    assert_eq!(outcome(command(folder.path(), &["set-admin-password", "short"])).await.0, 1);
    assert_eq!(outcome(command(folder.path(), &["set-admin-password", "a good password"])).await.0, 0);
    // From a file, which no list of processes shows.
    let secret = folder.path().join("password");
    std::fs::write(&secret, "a better password\n").unwrap();
    let mut set = command(folder.path(), &["set-admin-password"]);
    set.stdin(std::fs::File::open(&secret).unwrap());
    assert_eq!(outcome(set).await.0, 0);
    assert_eq!(outcome(command(folder.path(), &["set-admin-password"])).await.0, 1, "nothing on standard input");

    let port = free_port();
    let mut run = command(folder.path(), &["run", "--port", &port.to_string()]);
    // Longer than the test waits: the connection that the client keeps open does not use it.
    run.env("MWDB_SHUTDOWN_GRACE", "60");
    let mut process = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let helper = Server::start().await;
    let api = Api { url: format!("http://127.0.0.1:{port}"), ..helper.anonymous() };
    karton_rs::testing::within(Duration::from_secs(20), "an answer", || async {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
    })
    .await;
    api.get("ping").await.ok();
    api.post("auth/login", json!({"login": "admin", "password": "a better password"})).await.ok();
    // A signal ends it, cleanly and soon.
    let pid = process.id().unwrap().to_string();
    let killed = Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
    assert!(killed.success(), "{killed}");
    let status = tokio::time::timeout(Duration::from_secs(20), process.wait()).await.expect("it stops").unwrap();
    assert_eq!(status.code(), Some(0));
}

/// A command in the name of an account that may not write everywhere, also when the tests run as root.
fn unprivileged(folder: &Path, arguments: &[&str]) -> Command {
    let mut unprivileged = command(folder, arguments);
    if rustix::process::geteuid().is_root() {
        unprivileged.uid(65534).gid(65534);
    }
    unprivileged
}

#[tokio::test]
async fn what_cannot_be_written_is_told_at_the_start() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("data");
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    std::fs::create_dir(&folder).unwrap();
    mode(outside.path(), 0o755);
    mode(&folder, 0o755);
    if rustix::process::geteuid().is_root() {
        chown(&folder, Some(65534), Some(65534)).unwrap();
    }
    let (code, message) = outcome(unprivileged(&folder, &["configure", "-q"])).await;
    assert_eq!(code, 0, "{message}");
    // Nobody may write the file or folder; who owns it can let him.
    for (path, locked, unlocked, told) in [
        ("mwdb.sqlite", 0o444, 0o644, "[mwdb] sqlite_path and its folder must be writable"),
        ("uploads", 0o555, 0o755, "[mwdb] uploads_folder must be writable"),
        ("uploads/.staging", 0o555, 0o755, "[mwdb] uploads_folder must be writable"),
        (".", 0o555, 0o755, "[mwdb] sqlite_path and its folder must be writable"),
    ] {
        if path == "." {
            for name in ["mwdb.sqlite-wal", "mwdb.sqlite-shm"] {
                let _ = std::fs::remove_file(folder.join(name));
            }
        }
        mode(&folder.join(path), locked);
        for arguments in [&["run", "--port", "0"] as &[&str], &["configure", "-q"]] {
            let (code, message) = outcome(unprivileged(&folder, arguments)).await;
            assert!(code == 1 && message.contains(told), "{path}: {code} {message}");
        }
        mode(&folder.join(path), unlocked);
    }
}

#[tokio::test]
async fn a_terminal_has_its_echo_back_after_ctrl_c() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let folder = tempfile::tempdir().unwrap();
    // `script` is a terminal, and the shell in it, which Ctrl-C does not end, looks at what the command leaves.
    let line = format!("trap : INT; '{}' set-admin-password; echo code $?; stty -a", env!("CARGO_BIN_EXE_mwdb-lite"));
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(folder.path()).env("HOME", folder.path());
    let mut terminal = script.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let (mut keyboard, mut screen) = (terminal.stdin.take().unwrap(), terminal.stdout.take().unwrap());
    let mut shown = String::new();
    let watching = async {
        let mut typed = false;
        let mut piece = [0; 1024];
        loop {
            let got = screen.read(&mut piece).await.unwrap();
            shown.push_str(&String::from_utf8_lossy(&piece[..got]));
            if got == 0 || shown.contains("-extproc") {
                return;
            }
            if !typed && shown.contains("New password: ") {
                keyboard.write_all(b"abc\x03").await.unwrap();
                typed = true;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), watching).await.expect("an end");
    assert!(shown.contains("code 130"), "{shown}");
    assert!(shown.contains(" echo ") && shown.contains(" icanon "), "{shown}");
}
