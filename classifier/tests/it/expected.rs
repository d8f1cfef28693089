//! Every labelled file under every name: rule, class, tag and texts as the reference gives them.

use classifier::{
    classify::{Classification, Trial, classify, explain},
    magic::{Detection, Detector as _, Fallback, LibMagic, detect},
};
use karton_rs::json::Value;

use crate::vectors::{file, load, text};

fn optional(row: &Value, key: &str) -> Option<String> {
    row.get(key).and_then(Value::as_str).map(str::to_owned)
}

#[test]
fn all_labelled_files_are_classified_as_by_the_reference() {
    let libmagic = LibMagic::open().unwrap();
    let rows = load("expected.jsonl");
    assert_eq!(rows.len(), 277);
    let mut failures = Vec::new();
    for row in &rows {
        let name = text(row, "sample_name");
        let content = file(text(row, "file"));
        assert_eq!(libmagic.description(&content).unwrap(), text(row, "magic"), "{row}");
        assert_eq!(libmagic.mime(&content).unwrap(), text(row, "mime"), "{row}");

        let detection = detect(&libmagic, &content, Fallback::default());
        let found = classify(name, &content, &detection).class;
        let (outcome, mut trials) = explain(name, &content, &detection);
        assert_eq!(outcome, classify(name, &content, &detection), "{row}");
        let explained = trials.pop().filter(|trial| trial.holds);
        let rule = found.as_ref().map(|class| class.rule.trim_end_matches("+zipfallback").to_owned());
        assert_eq!(explained.map(|Trial { rule, .. }| rule), rule, "{row}");
        let headers = row.get("headers").unwrap();
        let expected = (text(row, "rule") != "none").then(|| Classification {
            rule: text(row, "rule").to_owned(),
            kind: text(headers, "kind").to_owned(),
            platform: optional(headers, "platform"),
            extension: optional(headers, "extension"),
            mime: optional(headers, "mime"),
            magic: optional(row, "payload_magic"),
            yara_rule: None,
        });
        let tag = row.get("tags").and_then(Value::as_array).map(|tags| tags[0].as_str().unwrap().to_owned());
        if found != expected || found.as_ref().map(Classification::tag) != tag {
            failures.push(format!("{} as {name}:\n  found    {found:?}\n  expected {expected:?}", text(row, "file")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn rule_of(name: &str, content: &[u8], magic: &str, mime: &str) -> String {
    let detection = Detection { magic: magic.to_owned(), mime: mime.to_owned(), ..Detection::default() };
    classify(name, content, &detection).class.map_or_else(|| "none".to_owned(), |class| class.rule)
}

/// Texts of other libmagic versions, and the order of neighbouring rules.
#[test]
fn rules_read_the_wording_of_the_description() {
    for (name, magic, rule) in [
        ("x", "MS-DOS executable PE32 something", "pe"),
        ("x.zip", "PE32 executable (GUI)", "pe"),
        ("k.apk", "iOS App Zip archive data", "none"),
        ("k.zip", "iOS App Zip archive data", "arch-ext-zip"),
        ("x", "MS Windows icon resource - 2 icons, PNG image data, 16 x 16", "img-magic-png"),
        ("x.jpeg", "data", "none"),
        ("x", "  LHa (2.x) archive data [lh5]", "arch-magic-lzh"),
        ("x", "LHa (2.x) archive data [lh5]", "none"),
        ("x", "ASCII cpio archive (SVR4 with no CRC)", "ascii"),
        ("x", "Non-ISO extended-ASCII text", "ascii"),
        ("x", "Non-ISO extended-ASCII text, with CRLF line terminators", "none"),
        ("x", "UTF-8 Unicode text", "utf-8"),
        ("x", "Unicode text, UTF-8 text", "none"),
        ("x", "JSON data", "json"),
        ("x", "JSON text data", "none"),
        ("x", "tcpdump capture file (little-endian)", "pcap"),
        ("x", "pcapng capture file - version 1.0", "pcapng"),
        ("x.document", "data", "office-ext"),
        ("x", "CDFV2 Encrypted", "none"),
    ] {
        assert_eq!(rule_of(name, b"\x01\x02\x03", magic, ""), rule, "{name}, {magic}");
    }
    assert_eq!(rule_of("x", b"", "CDFV2 Encrypted", "application/encrypted"), "cdf-encrypted");
    assert_eq!(rule_of("x", b"", "JSON text data", "application/json"), "json");
}

#[test]
fn the_name_alone_classifies_an_empty_file() {
    let libmagic = LibMagic::open().unwrap();
    let detection = detect(&libmagic, b"", Fallback::default());
    assert_eq!((detection.magic.as_str(), detection.mime.as_str()), ("empty", "application/x-empty"));
    assert_eq!(classify("a.js", b"", &detection).class.unwrap().tag(), "script:win32:js");
    assert_eq!(classify("a", b"", &detection).class, None);
}

#[test]
fn bytes_that_are_not_text_come_out_as_octal_escapes() {
    let libmagic = LibMagic::open().unwrap();
    let mut gzip = b"\x1f\x8b\x08\x08\0\0\0\0\0\x03l\xffdger\0".to_vec();
    gzip.extend([0; 32]);
    let description = libmagic.description(&gzip).unwrap();
    assert!(description.contains(r#"was "l\377dger""#), "{description}");
}

#[test]
fn a_text_without_a_type_is_octets() {
    let libmagic = LibMagic::open().unwrap();
    let damaged = b"\xFF\xFE\0\0a\0\0\0a\0\0\0a\0\0\xFFb\0\0\0b\0\0\0b\0\0\0";
    assert_eq!(libmagic.description(damaged).unwrap(), "Unicode text, UTF-32, little-endian");
    assert_eq!(libmagic.mime(damaged).unwrap(), "application/octet-stream");
}
