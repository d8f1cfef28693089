//! Renders every page from made-up data, harmless and hostile, and compares the two.
//!
//! Hostile text must change nothing but text: same elements, same attributes, no character that hides
//! or reorders. With `MWDB_PREVIEW_DIR` set the pages are also written there, to be looked at.

mod made_up;
mod pages;

use std::path::Path;

use askama::Template;

use super::object::AnalysisBox;
use made_up::{Source, analyses};
use pages::pages;

/// Elements with the names of their attributes, in order; marks of invisible characters left out.
fn skeleton(html: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut marks = 0;
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let mut quoted = false;
        let end = rest
            .find(|character| {
                if character == '"' {
                    quoted = !quoted;
                }
                character == '>' && !quoted
            })
            .expect("every tag ends");
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if tag == "span class=ctl" {
            marks += 1;
        } else if tag == "/span" && marks > 0 {
            marks -= 1;
        } else {
            out.push(names(tag));
        }
    }
    out
}

/// `a href="x" title="y"` as `a href title`. Titles of shortened texts come and go with their length.
fn names(tag: &str) -> String {
    let mut out = String::new();
    let mut quoted = false;
    for character in tag.chars() {
        match character {
            '"' => quoted = !quoted,
            _ if quoted => {}
            _ => out.push(character),
        }
    }
    out
}

#[test]
fn hostile_text_changes_nothing_but_text() {
    for ((name, plain), (_, hostile)) in pages(false).into_iter().zip(pages(true)) {
        let (expected, found) = (skeleton(&plain), skeleton(&hostile));
        // Texts that are empty or short in the harmless page may bring their own hint in the other.
        let strip = |tags: Vec<String>| {
            tags.into_iter().filter(|tag| tag != "em" && tag != "/em" && tag != "bdi" && tag != "/bdi").collect::<Vec<_>>()
        };
        assert_eq!(strip(expected), strip(found), "{name}");
        assert!(!hostile.contains("<script>"), "{name}");
        assert!(!hostile.contains("<img src=x"), "{name}");
    }
}

#[test]
fn nothing_hides_or_reorders() {
    for (name, html) in pages(true) {
        let bad = html.chars().find(|character| {
            matches!(character, '\u{202a}'..='\u{202e}' | '\u{200b}'..='\u{200f}')
                || (character.is_control() && !matches!(character, '\n' | '\t'))
        });
        // Form fields hold text as it is: there the browser shows it, and nothing is decided by its looks.
        let fields = [
            "login",
            "register",
            "recover",
            "setpassword",
            "upload",
            "settings-user",
            "settings-refused",
            "attribute",
            "search-problem",
            "upload-config",
            "upload-blob",
            "object-refused",
        ];
        assert!(bad.is_none() || fields.contains(&name), "{name}: {bad:?}");
    }
}

#[test]
fn pages_obey_the_content_security_policy() {
    for (name, html) in pages(true).into_iter().chain(pages(false)) {
        for tag in skeleton(&html) {
            let words: Vec<&str> = tag.split_ascii_whitespace().collect();
            assert!(
                !words.iter().any(|word| word.starts_with("style=") || (word.starts_with("on") && word.ends_with('='))),
                "{name}: {tag}"
            );
            assert!(words[0] != "style" && (words[0] != "script" || words.iter().any(|word| word.starts_with("src="))), "{name}: {tag}");
        }
        assert!(!html.contains("javascript:"), "{name}");
    }
}

#[test]
fn every_field_has_a_label_and_every_button_a_type() {
    for (name, html) in pages(false) {
        for (at, _) in html.match_indices("<button") {
            assert!(html[at..].split('>').next().is_some_and(|tag| tag.contains("type=")), "{name}");
        }
        for element in ["<input", "<select", "<textarea"] {
            for (at, _) in html.match_indices(element) {
                let tag = html[at..].split('>').next().unwrap_or_default();
                let inside = html[..at].matches("<label").count() > html[..at].matches("</label").count();
                assert!(inside || tag.contains("hidden") || tag.contains("aria-label"), "{name}: {tag}");
            }
        }
    }
}

#[test]
fn a_page_shows_only_what_the_viewer_may_do() {
    let source = Source { hostile: false };
    let may = analyses(source, true);
    assert!(may.render().expect("renders").contains("Reanalyze"));
    let may_not = AnalysisBox { can_reanalyze: false, ..analyses(source, true) };
    assert!(!may_not.render().expect("renders").contains("Reanalyze"));
    let bare = pages(false).into_iter().find(|(name, _)| *name == "bare").map(|(_, html)| html).expect("it is there");
    let main = &bare[bare.find("<main").expect("a body")..];
    assert!(!main.contains("<form"), "no form without rights");
}

#[test]
fn previews_are_written_when_asked_for() {
    let Ok(folder) = std::env::var("MWDB_PREVIEW_DIR") else { return };
    for hostile in [false, true] {
        for (name, html) in pages(hostile) {
            let html = html.replace("/static/", "static/");
            let file = format!("{name}{}.html", if hostile { "-hostile" } else { "" });
            std::fs::write(Path::new(&folder).join(file), html).expect("the folder can be written");
        }
    }
}
