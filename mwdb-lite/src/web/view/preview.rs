//! Renders every page from made-up data, harmless and hostile, and compares the two.
//!
//! Hostile text must change nothing but text: same elements, same attributes, no character that hides
//! or reorders. With `MWDB_PREVIEW_DIR` set the pages are also written there, to be looked at.

use std::path::Path;

use askama::Template;

use super::{
    account::{ApiKey, Group, KeyList, LoginPage, NewKey, ProfilePage, RecoverPage, RegisterPage, SetPasswordPage},
    frame::{Frame, Notice, Section, Viewer},
    object::{
        Analysis, AnalysisBox, Attribute, AttributeKey, Comment, ConfigEntry, Content, Detail, EntryValue, HexLine, ObjectLink, ObjectPage,
        RemovePage, Rights, ServiceWork, Share, State, Value,
    },
    parts::{Hash, Kind, ObjectRef, Tag},
    recent::{Found, Place, Problem, RecentPage, Row, SavedQuery},
    search_help::{HelpField, HelpGroup, HelpPage},
    settings::{AttributePage, AttributeRights, AttributeRow, CapabilityBox, GroupPage, GroupRow, Member, SettingsPage, UserPage, UserRow},
    simple::{AboutPage, ErrorPage},
    text::{Block, Characters, Size, Text},
    time::Moment,
    upload::UploadPage,
};

const SCRIPT: &str = "\"><script>alert(1)</script><img src=x onerror=alert(2)>' onfocus=alert(3) autofocus='</pre></textarea><!--";

/// Makes the texts of a page: each is either what it says or something evil.
#[derive(Clone, Copy)]
struct Source {
    hostile: bool,
}

impl Source {
    fn text(self, text: &str) -> Text {
        Text::new(self.string(text))
    }

    fn string(self, text: &str) -> String {
        if self.hostile { format!("{text}{SCRIPT}\u{202e}gpj.exe\u{200b}\0\u{1b}[31m\r\n{}", "A".repeat(10_000)) } else { text.to_owned() }
    }

    fn block(self, text: &str) -> Block {
        Block::new(&self.string(text), 64 * 1024)
    }

    fn tag(self, tag: &str) -> Tag {
        Tag::new(self.string(tag))
    }

    fn frame(self, section: Section) -> Frame {
        Frame {
            instance: "mwdb".to_owned(),
            section,
            viewer: Some(Viewer { login: "analyst".to_owned(), can_upload: true, manages_users: true }),
            notice: self
                .hostile
                .then(|| Notice { good: true, text: self.text("done") })
                .or(Some(Notice { good: true, text: "Done.".into() })),
        }
    }

    fn frame_without_notice(self, section: Section) -> Frame {
        Frame { notice: None, ..self.frame(section) }
    }
}

fn digest(seed: usize) -> String {
    (0..64)
        .map(|at| char::from_digit(u32::try_from((seed * 31 + at * at * 7 + at * 13 + seed * at) % 16).unwrap_or(0), 16).unwrap_or('0'))
        .collect()
}

fn minutes_ago(minutes: i64) -> Moment {
    Moment::new(i64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000).unwrap_or(0) - minutes * 60_000_000)
}

fn rows(source: Source, section: Section) -> Vec<Row> {
    let names = [
        "invoice_2026-11.pdf.exe",
        "a.bin",
        "emotet_loader.dll",
        "update.js",
        "sample with a very long file name that somebody gave to a document about quarterly results.docm",
        "",
    ];
    let types = [
        "PE32 executable (GUI) Intel 80386, for MS Windows",
        "data",
        "PE32+ executable (DLL) (console) x86-64, for MS Windows, 6 sections",
        "ASCII text, with very long lines (65536), with no line terminators",
        "Microsoft Word 2007+",
        "Zip archive data, at least v2.0 to extract",
    ];
    let tags: [&[&str]; 6] = [
        &["runnable:win32:exe", "emotet", "feed:honeypot"],
        &[],
        &["ripped:emotet", "static:emotet", "yara:win_emotet"],
        &["script:win32:js", "maybe:gootkit"],
        &["document:win32:doc", "spam", "src:mail", "dynamic:agenttesla"],
        &["archive:zip"],
    ];
    (0..25)
        .map(|at| {
            let kind = match section {
                Section::Configs => Kind::Config,
                Section::Blobs => Kind::Blob,
                Section::All => [Kind::File, Kind::Config, Kind::Blob][at % 3],
                _ => Kind::File,
            };
            let named = section != Section::All;
            let sized = matches!(section, Section::Files | Section::Blobs);
            Row {
                kind,
                id: digest(at),
                name: named.then(|| source.text(if kind == Kind::Config { ["emotet", "agenttesla"][at % 2] } else { names[at % 6] })),
                detail: named.then(|| {
                    source.text(match kind {
                        Kind::File => types[at % 6],
                        Kind::Config => "static",
                        Kind::Blob => "raw_cfg",
                    })
                }),
                size: sized.then(|| Size(317 << (at % 20))),
                md5: None,
                tags: tags[at % 6].iter().map(|tag| source.tag(tag)).collect(),
                uploaded: minutes_ago(i64::try_from(at * at * 37).unwrap_or(0)),
                last_seen: (section == Section::Blobs).then(|| minutes_ago(3)),
            }
        })
        .collect()
}

fn related(source: Source, kind: Kind, seed: usize) -> ObjectRef {
    ObjectRef { kind, id: digest(seed), tags: vec![source.tag("dump:win32:exe"), source.tag("emotet")], uploaded: minutes_ago(90) }
}

fn analyses(source: Source, enabled: bool) -> AnalysisBox {
    let work = |service, from| ServiceWork {
        service: source.text(service),
        statuses: vec![source.text("Started"), source.text("Spawned")],
        received_from: vec![source.text(from)],
    };
    let analysis = |id: &str, state, services, arguments| Analysis {
        id: id.to_owned(),
        state,
        started: minutes_ago(3),
        updated: Some(minutes_ago(1)),
        arguments,
        services,
    };
    AnalysisBox {
        object: digest(1),
        karton_enabled: enabled,
        can_reanalyze: true,
        more: true,
        unreachable: enabled,
        analyses: vec![
            analysis("0f0c9a39-1f37-4e4b-b5a5-0e7d44d0b1aa", State::Queued, vec![], vec![]),
            analysis(
                "91a521d0-4696-4df1-9188-c07c525a0808",
                State::Running,
                vec![work("karton.classifier", "karton.mwdb"), work("karton.config-extractor", "karton.classifier")],
                vec![(source.text("execute"), source.text("yes"))],
            ),
            Analysis { updated: None, ..analysis("b197bf85-e86e-421a-857b-eaafdff0b0d9", State::Finished, vec![], vec![]) },
        ],
    }
}

fn object(source: Source, kind: Kind, content: Content) -> ObjectPage {
    let all = Rights {
        add_tags: true,
        remove_tags: true,
        add_comments: true,
        remove_comments: true,
        add_parents: true,
        remove_parents: true,
        remove_objects: true,
        personalize: true,
        upload_child: true,
    };
    ObjectPage {
        frame: source.frame(match kind {
            Kind::File => Section::Files,
            Kind::Config => Section::Configs,
            Kind::Blob => Section::Blobs,
        }),
        kind,
        id: digest(1),
        title: source.text("invoice_2026-11.pdf.exe"),
        details: vec![
            Detail { label: "Name", value: Value::Text(source.text("invoice_2026-11.pdf.exe")) },
            Detail { label: "Other names", value: Value::Names(vec![source.text("a.bin"), source.text("b.bin")]) },
            Detail { label: "Size", value: Value::Size(Size(1_310_720)) },
            Detail { label: "Length", value: Value::Characters(Characters(1_310_720)) },
            Detail { label: "Type", value: Value::Text(source.text("PE32 executable (GUI) Intel 80386, for MS Windows")) },
            Detail { label: "MD5", value: Value::Hash(Hash::new(&digest(3)[..32])) },
            Detail { label: "SHA-1", value: Value::Hash(Hash::new(&digest(4)[..40])) },
            Detail { label: "SHA-256", value: Value::Hash(Hash::new(digest(1))) },
            Detail { label: "SHA-512", value: Value::Hash(Hash::new(format!("{}{}", digest(5), digest(6)))) },
            Detail { label: "CRC32", value: Value::Hash(Hash::new("000d06ec")) },
            Detail { label: "ssdeep", value: Value::Hash(Hash::new("24576:lyRVQabXyZ6789kjhgfds/asdfghjkl:W6qwertyuiop")) },
            Detail { label: "Latest config", value: Value::Object(related(source, Kind::Config, 8), source.text("emotet")) },
            Detail { label: "Uploaded", value: Value::Time(minutes_ago(7)) },
        ],
        content,
        favorite: true,
        tags: ["runnable:win32:exe", "emotet", "feed:honeypot", "ripped:emotet", "static:x", "yara:win_emotet"]
            .iter()
            .map(|tag| source.tag(tag))
            .collect(),
        attributes: vec![
            Attribute {
                id: 1,
                key: source.text("source"),
                label: source.text("Source"),
                value: source.block("honeypot-7"),
                href: None,
                removable: true,
            },
            Attribute {
                id: 2,
                key: source.text("report"),
                label: Text::default(),
                value: source.block("{\n  \"a\": [1, null]\n}"),
                href: Some("https://example.test/?q=\"'<>".to_owned()),
                removable: true,
            },
        ],
        attribute_keys: vec![AttributeKey { key: "source".to_owned(), label: source.text("Source") }],
        comments: vec![
            Comment {
                id: 4,
                author: Some(source.text("alice")),
                text: source.block("Looks like the same loader as last week.\nSee the config."),
                time: minutes_ago(50),
            },
            Comment { id: 5, author: None, text: source.block("C2 is down."), time: minutes_ago(2) },
        ],
        parents: vec![related(source, Kind::File, 9)],
        children: (10..14).map(|seed| related(source, [Kind::File, Kind::Config, Kind::Blob][seed % 3], seed)).collect(),
        shares: vec![
            Share {
                group: source.text("analyst"),
                reason: source.text("added"),
                user: Some(source.text("analyst")),
                through: None,
                time: minutes_ago(7),
            },
            Share {
                group: source.text("public"),
                reason: source.text("shared"),
                user: None,
                through: Some(ObjectLink { kind: Kind::File, id: digest(9) }),
                time: minutes_ago(6),
            },
        ],
        groups: vec!["public".to_owned(), "team".to_owned()],
        analyses: analyses(source, true),
        rights: all,
    }
}

fn keys(source: Source) -> KeyList {
    KeyList {
        owner: "analyst".to_owned(),
        keys: vec![
            ApiKey {
                id: "91a521d0-4696-4df1-9188-c07c525a0808".to_owned(),
                name: source.text("laptop"),
                issued: minutes_ago(3000),
                issuer: Some(source.text("analyst")),
            },
            ApiKey { id: "0f0c9a39-1f37-4e4b-b5a5-0e7d44d0b1aa".to_owned(), name: Text::default(), issued: minutes_ago(30), issuer: None },
        ],
        can_manage: true,
        created: Some(NewKey {
            name: source.text("laptop"),
            token: "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.".to_owned() + &digest(2) + &digest(3) + &digest(4),
        }),
    }
}

fn capabilities(source: Source) -> Vec<CapabilityBox> {
    ["manage_users", "share_queried_objects", "access_all_objects", "sharing_with_all", "adding_tags", "karton_assign", "karton_reanalyze"]
        .iter()
        .enumerate()
        .map(|(at, name)| CapabilityBox { name: source.text(name), granted: at % 2 == 0 })
        .collect()
}

fn list(source: Source, section: Section) -> RecentPage {
    RecentPage {
        frame: source.frame_without_notice(section),
        query: String::new(),
        saved: vec![SavedQuery { id: None, name: source.text("packed"), query: source.text("tag:packed").raw().to_owned() }],
        can_save: true,
        problem: None,
        found: Some(Found { count: 5, exact: false }),
        rows: rows(source, section),
        at: Place::Top,
        older: Some(Place::Top.next(&digest(24))),
    }
}

/// Every page, by name.
fn pages(hostile: bool) -> Vec<(&'static str, String)> {
    let source = Source { hostile };
    let text = |text| source.text(text);
    let config = Content::Config {
        entries: vec![
            ConfigEntry { key: text("c2"), value: EntryValue::Json(source.block("[\n  \"198.51.100.7:443\",\n  \"203.0.113.9:8080\"\n]")) },
            ConfigEntry { key: text("botnet"), value: EntryValue::Line(text("epoch-5")) },
            ConfigEntry { key: text("raw"), value: EntryValue::Blob(digest(12)) },
        ],
        json: source.block("{\n  \"c2\": [\n    \"198.51.100.7:443\"\n  ]\n}"),
    };
    let hex = Content::Hex {
        lines: (0..8)
            .map(|at| HexLine { offset: at * 16, bytes: (0..16).map(|byte| u8::try_from(at * 16 + byte + 40).unwrap_or(0)).collect() })
            .collect(),
        whole: false,
    };
    let render = |page: &dyn askama::DynTemplate| page.dyn_render().expect("the page renders");
    vec![
        (
            "login",
            render(&LoginPage {
                registers: true,
                recovers: true,
                frame: Frame { viewer: None, notice: None, ..source.frame(Section::None) },
                error: Some(text("Invalid login or password")),
                login: text("alice"),
                back: source.string("/file/"),
            }),
        ),
        (
            "register",
            render(&RegisterPage {
                frame: Frame { viewer: None, ..source.frame(Section::None) },
                error: Some(text("User or group with this name already exists")),
                login: text("alice"),
                email: text("alice@example.test"),
                info: text("malware analyst"),
                done: false,
            }),
        ),
        (
            "recover",
            render(&RecoverPage {
                frame: Frame { viewer: None, ..source.frame(Section::None) },
                error: Some(text("Invalid login or e-mail address")),
                login: text("alice"),
                email: text("alice@example.test"),
                done: false,
            }),
        ),
        (
            "attribute",
            render(&AttributePage {
                frame: source.frame_without_notice(Section::Settings),
                key: "source".to_owned(),
                label: text("Source"),
                description: text("where it came from"),
                url_template: text("https://example.test/$value"),
                rich_template: text("**{{value}}**"),
                example_value: text("feed"),
                hidden: true,
                rights: vec![AttributeRights { group: "public".to_owned(), can_read: true, can_set: false }],
            }),
        ),
        (
            "setpassword",
            render(&SetPasswordPage {
                frame: Frame { viewer: None, ..source.frame(Section::None) },
                error: Some(text("too short")),
                token: source.string("eyJ"),
            }),
        ),
        ("recent-files", render(&list(source, Section::Files))),
        ("recent-configs", render(&list(source, Section::Configs))),
        ("recent-blobs", render(&list(source, Section::Blobs))),
        ("recent-all", render(&list(source, Section::All))),
        (
            "recent-empty",
            render(&RecentPage {
                frame: source.frame_without_notice(Section::Files),
                query: String::new(),
                saved: vec![],
                can_save: false,
                problem: None,
                found: None,
                rows: vec![],
                at: Place::After { after: digest(5), page: 0 },
                older: None,
            }),
        ),
        (
            "search-problem",
            render(&RecentPage {
                frame: source.frame_without_notice(Section::All),
                query: text("tag:a tag:b").raw().to_owned(),
                saved: vec![],
                can_save: true,
                problem: Some(Problem {
                    message: text("Operator missing"),
                    before: text("tag:a "),
                    marked: text("tag"),
                    after: text(":b"),
                }),
                found: None,
                rows: vec![],
                at: Place::Top,
                older: None,
            }),
        ),
        (
            "search-help",
            render(&HelpPage {
                frame: source.frame_without_notice(Section::None),
                groups: vec![HelpGroup {
                    title: "Files",
                    fields: vec![HelpField {
                        name: "file.name".to_owned(),
                        alias: None,
                        about: "Name",
                        values: "text",
                        examples: &["file.name:*.exe"],
                    }],
                }],
            }),
        ),
        ("file", render(&object(source, Kind::File, hex))),
        ("config", render(&object(source, Kind::Config, config))),
        (
            "blob",
            render(&object(
                source,
                Kind::Blob,
                Content::Blob(source.block("GET /gate.php HTTP/1.1\r\nHost: example.test\r\n\r\n\u{0}\u{1}binary")),
            )),
        ),
        (
            "bare",
            render(&ObjectPage {
                rights: Rights::default(),
                parents: vec![],
                children: vec![],
                shares: vec![],
                groups: vec![],
                comments: vec![],
                attributes: vec![],
                attribute_keys: vec![],
                tags: vec![],
                analyses: AnalysisBox { analyses: vec![], more: false, ..analyses(source, false) },
                ..object(source, Kind::File, Content::None)
            }),
        ),
        ("analyses", render(&analyses(source, true))),
        ("remove", render(&RemovePage { frame: source.frame(Section::Files), kind: Kind::File, id: digest(1), title: text("a.exe") })),
        (
            "upload",
            render(&UploadPage {
                frame: source.frame_without_notice(Section::Upload),
                error: Some(text("The file is empty")),
                parent: Some(digest(1)),
                can_set_parent: true,
                groups: vec!["team".to_owned()],
                tags: text("a, b"),
                limit: Some(Size(50 << 20)),
                karton_enabled: true,
            }),
        ),
        (
            "profile",
            render(&ProfilePage {
                mails: true,
                frame: source.frame_without_notice(Section::Profile),
                login: "analyst".to_owned(),
                email: text("analyst@example.test"),
                registered: None,
                logged: Some(minutes_ago(3)),
                password_set: Some(minutes_ago(30_000)),
                capabilities: ["adding_files", "adding_tags", "karton_reanalyze"].map(text).to_vec(),
                groups: vec![
                    Group { name: text("analyst"), private: true, capabilities: vec![text("adding_tags")], removable: vec![] },
                    Group { name: text("public"), private: false, capabilities: vec![], removable: vec!["bob".to_owned()] },
                ],
                keys: keys(source),
            }),
        ),
        (
            "error",
            render(&ErrorPage {
                frame: source.frame_without_notice(Section::None),
                status: 404,
                heading: "Not found".to_owned(),
                message: text("Object not found"),
            }),
        ),
        (
            "about",
            render(&AboutPage {
                frame: source.frame_without_notice(Section::About),
                version: "0.1.0",
                api_version: "2.19.0".to_owned(),
                karton_enabled: true,
                base_url: text("http://127.0.0.1:8080"),
            }),
        ),
        (
            "settings",
            render(&SettingsPage {
                mails: true,
                frame: source.frame_without_notice(Section::Settings),
                users: vec![
                    UserRow {
                        login: "admin".to_owned(),
                        email: text("admin@mwdb.local"),
                        info: text("MWDB built-in administrator account"),
                        disabled: false,
                        pending: false,
                        groups: vec!["registered".to_owned()],
                    },
                    UserRow {
                        login: "karton".to_owned(),
                        email: text("karton@mwdb.local"),
                        info: text("karton-mwdb-reporter"),
                        disabled: true,
                        pending: true,
                        groups: vec![],
                    },
                ],
                groups: vec![
                    GroupRow { name: "registered".to_owned(), members: 2, capabilities: 3, is_default: true, workspace: false },
                    GroupRow { name: "team".to_owned(), members: 1, capabilities: 0, is_default: false, workspace: true },
                ],
                attributes: vec![AttributeRow {
                    key: "source".to_owned(),
                    label: text("Source"),
                    description: text("where it came from"),
                    hidden: true,
                }],
            }),
        ),
        (
            "settings-user",
            render(&UserPage {
                mails: true,
                frame: source.frame_without_notice(Section::Settings),
                login: "karton".to_owned(),
                email: text("karton@mwdb.local"),
                info: text("karton-mwdb-reporter"),
                feed_quality: text("high"),
                disabled: false,
                pending: false,
                own: false,
                registered: Some(minutes_ago(9000)),
                logged: None,
                password_set: None,
                capabilities: capabilities(source),
                groups: vec!["registered".to_owned(), "team".to_owned()],
                keys: keys(source),
                password_link: Some("http://127.0.0.1:8080/setpasswd/?token=eyJ".to_owned()),
            }),
        ),
        (
            "settings-group",
            render(&GroupPage {
                frame: source.frame_without_notice(Section::Settings),
                name: "team".to_owned(),
                immutable: false,
                is_default: false,
                workspace: true,
                members: vec![Member { login: "alice".to_owned(), admin: true }, Member { login: "bob".to_owned(), admin: false }],
                capabilities: capabilities(source),
            }),
        ),
    ]
}

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
        let fields = ["login", "register", "recover", "setpassword", "upload", "settings-user", "attribute", "search-problem"];
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
