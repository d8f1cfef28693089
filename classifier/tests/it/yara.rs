//! YARA rules: what a folder may hold, what its errors say, and what its rules give.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use classifier::yara::{Rules, RulesError, SCAN_TIMEOUT, ScanError, YaraClass};
use karton_rs::Task;
use tempfile::TempDir;

use crate::{
    bed::Bed,
    vectors::{file, path},
};

/// Size of a sample that is scanned from its file.
const HUGE: u64 = 52 << 20;
/// Memory of its own that the program may have for it: it holds neither the sample nor a million matches.
const SCAN_MEMORY: u64 = 64 << 20;

fn folder(files: &[(&str, impl AsRef<[u8]>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn names(classes: &[YaraClass]) -> Vec<String> {
    classes.iter().map(|class| format!("{}:{}", class.file, class.rule)).collect()
}

fn scan(rules: &Rules, content: &[u8]) -> Vec<YaraClass> {
    rules.scanner().scan(content, SCAN_TIMEOUT).unwrap()
}

/// The message of a folder that is refused, without the folder's name.
fn refused(folder: &Path) -> String {
    let error = Rules::load(folder).unwrap_err();
    assert!(matches!(error, RulesError::Invalid(_)), "{error}");
    error.to_string().replace(&format!("{}/", folder.display()), "")
}

#[test]
fn only_yar_files_directly_in_the_folder_are_loaded_in_the_order_of_their_names() {
    let rules = Rules::load(&path("yara/basic")).unwrap();
    let all =
        ["a.yar:starts_with_mz", "a.yar:any_content", "a.yar:tiny", "a.yar:zip_local_header", "a.yar:ext_only", "b.yar:starts_with_mz"];
    assert_eq!(names(rules.classes()), all);
    assert_eq!(rules.count(), 6);
    assert_eq!(names(&scan(&rules, &file("pe-gui32.bin"))), ["a.yar:starts_with_mz", "b.yar:starts_with_mz"]);
    // The private rule that it needs is not told.
    assert_eq!(names(&scan(&rules, b"short")), ["a.yar:tiny"]);

    assert_eq!(Rules::load(&path("yara/empty")).unwrap().count(), 0);
    assert!(matches!(Rules::load(&path("yara/missing-folder")), Err(RulesError::NotAFolder(_))));
    assert!(matches!(Rules::load(&path("yara/basic/a.yar")), Err(RulesError::NotAFolder(_))));
}

#[test]
fn errors_name_file_and_line_of_every_rule_that_cannot_be_used() {
    let broken = folder(&[
        ("a.yar", "rule fine { meta: kind = \"x\" condition: true }\n\nrule one {\n  condition:\n    $a\n}\n"),
        ("b.yar", "rule two { condition: no_such_thing }\nrule three { strings: $s = /(/ condition: $s }\n"),
        ("c.yar", "rule four {"),
        ("d.yar", "import \"no_such_module\"\nrule five { condition: true }"),
        ("e.yar", "rule six { condition: true } // \u{FFFD}\ninclude \"missing.inc\"\n"),
    ]);
    let message = refused(broken.path());
    let lines: Vec<&str> = message.lines().collect();
    for expected in
        ["a.yar:5: ", "b.yar:1: unknown identifier `no_such_thing`", "b.yar:2: ", "c.yar:1: ", "d.yar:1: unknown module", "e.yar:2: "]
    {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}\n{message}");
    }

    let meta = folder(&[
        (
            "a.yar",
            "rule nameless { condition: true }\nprivate rule hidden\n{ condition: true }\nrule good { meta: kind = \"k\" condition: true }",
        ),
        ("b.yar", "rule empty { meta: kind = \"\" condition: true }\n\nrule number { meta: kind = 5 condition: true }"),
        ("c.yar", "rule flag { meta: kind = \"k\" platform = true extension = 3 condition: true }"),
    ]);
    let expected = "a.yar:1: rule `nameless` has no `kind` in its metadata, or an empty one\n\
         a.yar:2: rule `hidden` has no `kind` in its metadata, or an empty one\n\
         b.yar:1: rule `empty` has no `kind` in its metadata, or an empty one\n\
         b.yar:3: `kind` in the metadata of rule `number` is not a text\n\
         c.yar:1: `platform` in the metadata of rule `flag` is not a text";
    assert_eq!(refused(meta.path()), expected);
}

#[test]
fn rules_may_include_files_and_use_the_usual_modules() {
    let modules = ["pe", "elf", "math", "hash", "string", "time", "console", "dotnet", "macho", "dex", "cuckoo"];
    let imports: String = modules.map(|module| format!("import \"{module}\"\n")).concat();
    let text = "include \"more/shared.inc\"\n".to_owned()
        + &imports
        + "rule own { meta: kind = \"own\" strings: $brace = /x{a/ condition: shared and ($brace or true) and hash.md5(0, 3) == \"900150983cd24fb0d6963f7d28e17f72\" }";
    let folder =
        folder(&[("a.yar", text.as_str()), ("more/shared.inc", "rule shared { meta: kind = \"shared\" condition: filesize < 100 }")]);
    let rules = Rules::load(folder.path()).unwrap();
    assert_eq!(names(&scan(&rules, b"abc")), ["a.yar:shared", "a.yar:own"]);
    assert!(scan(&rules, &[0; 100]).is_empty());
}

#[test]
fn global_rules_hold_for_their_file_and_the_last_metadata_wins() {
    let folder = folder(&[
        (
            "a.yar",
            "global rule gate { meta: kind = \"gate\" condition: filesize > 3 }\nrule behind { meta: kind = \"a\" kind = \"b\" platform = \"\" condition: true }",
        ),
        ("b.yar", "rule free { meta: kind = \"free\" condition: true }"),
    ]);
    let rules = Rules::load(folder.path()).unwrap();
    assert_eq!(names(&scan(&rules, b"abc")), ["b.yar:free"]);
    let classes = scan(&rules, b"abcd");
    assert_eq!(names(&classes), ["a.yar:gate", "a.yar:behind", "b.yar:free"]);
    assert_eq!((classes[1].kind.as_str(), &classes[1].platform), ("b", &None));
}

/// What yara-python 4.5.4 makes of the same files.
#[test]
fn texts_with_escapes_and_files_in_latin_1_are_taken_as_yara_python_takes_them() {
    let folder = folder(&[
        (
            "a.yar",
            &b"// caf\xe9\nrule bytes { meta: author = \"Andr\xe9\" kind = \"caf\xe9\" /* \xe9 */\n\
               strings: $text = \"f\xe9\" $expression = /[a-f]\xe9/ $hex = { 66 /* \xe9 */ e9 }\n\
               condition: $text and $expression and $hex and not (\"caf\" contains \"\xe9\") }"[..],
        ),
        ("b.yar", br#"rule escapes { meta: kind = "a\x41\"\\" platform = "p\x00q" extension = "\xc3\xa9\xe9" condition: true }"#),
        ("c.yar", br#"rule nothing { meta: kind = "k" platform = "\x00p" extension = "\xe9" condition: true }"#),
    ]);
    let rules = Rules::load(folder.path()).unwrap();
    let seen = |content: &[u8]| -> Vec<(String, String, Option<String>, Option<String>)> {
        let classes = scan(&rules, content).into_iter();
        classes.map(|class| (class.rule, class.kind, class.platform, class.extension)).collect()
    };
    let class = |rule: &str, kind: &str, platform: Option<&str>, extension: Option<&str>| {
        (rule.to_owned(), kind.to_owned(), platform.map(str::to_owned), extension.map(str::to_owned))
    };
    let both = [class("escapes", "aA\"\\", Some("p"), Some("é")), class("nothing", "k", None, None)];
    assert_eq!(seen(b"caf\xe9"), [&[class("bytes", "caf", None, None)][..], &both].concat());
    assert_eq!(seen("café".as_bytes()), both);

    let outside = self::folder(&[("a.yar", b"\nrule caf\xe9 { condition: true }")]);
    assert!(refused(outside.path()).starts_with("a.yar:2: invalid UTF-8"));
    let empty = self::folder(&[("b.yar", br#"rule a { meta: kind = "\x00" condition: true }"#)]);
    assert!(refused(empty.path()).starts_with("b.yar:1: rule `a` has no `kind`"));
}

#[test]
fn a_rule_that_takes_too_long_is_ended() {
    let folder = folder(&[(
        "slow.yar",
        "rule slow { meta: kind = \"k\" condition: filesize > 100 and for all i in (0..1000000) : (for all j in (0..1000000) : (uint8(i % 7) + j >= 0)) }\n\
         rule quick { meta: kind = \"k\" condition: filesize < 100 }",
    )]);
    let (rules, limit, started) = (Rules::load(folder.path()).unwrap(), Duration::from_secs(1), Instant::now());
    let mut scanner = rules.scanner();
    let error = scanner.scan(&[7; 4096], limit).unwrap_err();
    assert!(matches!(error, ScanError::Timeout(after) if after == limit), "{error}");
    assert_eq!(error.to_string(), "the YARA rules took longer than 1 s");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    // The scanner is fit for the next sample.
    assert_eq!(names(&scanner.scan(b"short", limit).unwrap()), ["slow.yar:quick"]);
}

#[test]
fn one_scanner_tells_of_each_content_what_is_in_it() {
    let rules = Rules::load(&path("yara/basic")).unwrap();
    let mut scanner = rules.scanner();
    for content in [&file("pe-gui32.bin")[..], b"short", b"", &file("zip-plain.bin"), &file("pe-gui32.bin"), b"short"] {
        assert_eq!(scanner.scan(content, SCAN_TIMEOUT).unwrap(), scan(&rules, content));
    }
}

#[test]
fn a_scan_of_a_huge_sample_with_endless_matches_stays_in_bounds() {
    let rules = folder(&[(
        "many.yar",
        "rule many { meta: kind = \"many\" strings: $a = \"a\" condition: #a > 1000 and @a[1000] > 0 }\n\
         rule large { meta: kind = \"large\" strings: $b = { 00 00 00 00 } condition: $b and filesize > 50MB }",
    )]);
    let sample = rules.path().join("sample");
    let file = fs::File::create(&sample).unwrap();
    file.write_all_at(&vec![b'a'; 4 << 20], 0).unwrap();
    file.set_len(HUGE).unwrap();
    let limited = format!("ulimit -c 0; ulimit -d {}; exec \"$@\"", SCAN_MEMORY >> 10);
    let mut command = Command::new("sh");
    command.args(["-c", &limited, "sh", env!("CARGO_BIN_EXE_karton-classifier"), "classify", "--json", "--yara-rules"]);
    let output = command.arg(rules.path()).arg(&sample).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let kinds: Vec<&str> = object["tasks"].as_array().unwrap().iter().filter_map(|task| task["headers"]["kind"].as_str()).collect();
    assert_eq!(kinds[..2], ["many", "large"], "{object}");
}

#[test]
fn classify_tells_of_yara_rules_without_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let classify = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_karton-classifier"));
        command.env_clear().current_dir(folder.path()).arg("classify").args(arguments).arg(path("files/pe-gui32.bin"));
        command.output().unwrap()
    };
    let rules = path("yara/basic");
    let output = classify(&["--json", "--explain", "--yara-rules", rules.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let tags: Vec<&str> = object["tasks"].as_array().unwrap().iter().map(|task| task["tags"][0].as_str().unwrap()).collect();
    assert_eq!(tags, ["runnable:win32:exe", "second-namespace:win32", "runnable:win32:exe"]);
    assert_eq!(object["tasks"][0]["headers"]["rule-name"], "starts_with_mz");
    assert_eq!(object["tried"][2]["rule"], "a.yar:tiny");
    assert_eq!(object["tried"][2]["holds"], false);

    let output = classify(&["--yara-rules", path("yara/no-kind").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("r.yar:1: rule `nk` has no `kind`"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_sends_a_task_for_each_rule_before_its_own() {
    let mut bed = Bed::start().await;
    bed.config.set("classifier", "yara_rules", path("yara/basic").to_str().unwrap());
    bed.start_classifier().await;
    let without_digest = |task: &mut Task| {
        task.set_payload("magic", "what the sender said");
        let mut sample = task.resource("sample").unwrap();
        sample.metadata.shift_remove("sha256");
        task.set_payload("sample", sample.to_value());
    };
    let sent = bed.send("a", file("pe-gui32.bin"), without_digest).await;
    let mut answers = vec![bed.answer().await, bed.answer().await, bed.answer().await];
    // The broker may hand them on in another order than they were sent.
    answers.sort_by_key(|task| task.header_str("rule-name").is_none());
    let kinds: Vec<_> = answers.iter().map(|task| (task.header_str("rule-name"), task.header_str("mime").is_some())).collect();
    assert_eq!(kinds, [(Some("starts_with_mz"), false), (Some("starts_with_mz"), false), (None, true)]);
    for answer in &answers {
        assert_eq!(answer.root_uid(), sent.root_uid());
        assert!(answer.resource("sample").unwrap().sha256().is_some());
        let magic = answer.payload("magic").and_then(|magic| magic.as_str()).unwrap();
        assert_eq!(magic == "what the sender said", answer.header_str("rule-name").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_scan_costs_no_other_sample_its_task() {
    let mut bed = Bed::start().await;
    let slow = "for all i in (0..1000000) : (for all j in (0..1000000) : (uint8(i % 4) + j >= 0))";
    let rules = folder(&[("slow.yar", &format!("rule slow {{ meta: kind = \"k\" condition: uint32(0) == 0x776f6c73 and {slow} }}"))]);
    bed.config.set("classifier", "yara_rules", rules.path().to_str().unwrap());
    bed.config.set("karton", "task_timeout", "4");
    bed.start_classifier().await;
    let slow = bed.send("a", b"slow".to_vec(), |_| {}).await;
    let innocent: Vec<Task> = [bed.send("b.js", b"1;".to_vec(), |_| {}).await, bed.send("c.js", b"2;".to_vec(), |_| {}).await].into();
    for task in innocent {
        let answer = bed.answer().await;
        assert_eq!((answer.root_uid(), answer.header_str("extension")), (task.root_uid(), Some("js")));
    }
    let error = bed.crashed(slow.root_uid()).await.error().concat();
    assert!(error.contains("took longer than"), "{error}");
}
