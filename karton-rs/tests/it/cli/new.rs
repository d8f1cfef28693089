//! `karton new`: what it writes is what is compiled and tested here.

/// The template itself, with its own tests.
#[path = "../../../src/cli/new/template/main.rs"]
#[allow(dead_code)] // its `main` is not ours
mod template;

use std::process::Command;

#[test]
fn a_new_service_has_the_name_the_identity_and_a_library_to_build_on() {
    let folder = tempfile::tempdir().unwrap();
    let new = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_karton")).arg("new").args(args).current_dir(folder.path()).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    // There is no library here, and none to download.
    let (code, err) = new(&["karton-strings"]);
    assert!(code == 0 && err.contains("--karton-rs PATH") && err.contains("karton-strings/Cargo.toml"), "{err}");
    let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap();
    let main = read("karton-strings/src/main.rs");
    assert!(main.contains("Consumer::new(\"karton.strings\")") && main.lines().count() < 40, "{main}");
    let version = format!("karton-rs = \"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(read("karton-strings/Cargo.toml").contains(&version));
    assert!(read("karton-strings/README.md").starts_with("# karton-strings"));
    let library = env!("CARGO_MANIFEST_DIR");
    assert_eq!(new(&["other", "--identity", "lab.other", "--karton-rs", library, "--path", "services"]), (0, String::new()));
    assert!(read("services/other/Cargo.toml").contains(&format!("karton-rs = {{ path = '{library}' }}")));
    assert!(read("services/other/src/main.rs").contains("\"lab.other\""));
    // The manifest is one that cargo takes.
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let manifest = folder.path().join("services/other/Cargo.toml");
    let mut read = Command::new(cargo);
    read.args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"]).arg(manifest);
    let output = read.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (wrong, code) in [
        (&["karton-strings"][..], 1),
        (&["Bad Name"], 2),
        (&["kArTon2"], 2),
        (&["fn"], 2),
        (&["x", "--identity", "a b"], 2),
        (&["y", "--karton-rs", "nowhere"], 2),
        (&["services/z"], 2),
        (&["serde-json"], 2),
        (&["clap"], 2),
    ] {
        let (got, err) = new(wrong);
        assert_eq!(got, code, "{wrong:?}: {err}");
    }
    assert!(new(&["My.Service"]).1.contains("as `my-service`"));
    assert!(new(&["services/z"]).1.contains("--path"));
    // An empty folder is as good as none, and another workspace does not take it in.
    std::fs::create_dir(folder.path().join("services/empty")).unwrap();
    std::fs::write(folder.path().join("Cargo.toml"), "[workspace]\nresolver = \"3\"\nmembers = []\n").unwrap();
    let (code, err) = new(&["empty", "--path", "services", "--karton-rs", library]);
    assert!(code == 0 && err.contains("workspace of its own"), "{err}");
    let mut metadata = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    metadata.args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"]);
    assert!(metadata.arg(folder.path().join("services/empty/Cargo.toml")).output().unwrap().status.success());
}
