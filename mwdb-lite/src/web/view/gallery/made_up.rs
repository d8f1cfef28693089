//! Data for pages, made up: each text is either what it says or something evil.

use super::super::{
    account::{ApiKey, KeyList, NewKey},
    frame::{Frame, Notice, Section, Viewer},
    object::{
        Analysis, AnalysisBox, Attribute, AttributeKey, Comment, Content, Crash, Crashes, Detail, Draft, ObjectLink, ObjectPage, Rights,
        ServiceWork, Share, State, Value,
    },
    parts::{Hash, Kind, ObjectRef, Tag},
    recent::{Found, Place, RecentPage, Row, SavedQuery},
    rich::Rich,
    settings::CapabilityBox,
    text::{Block, Characters, Size, Text},
    time::Moment,
};

const SCRIPT: &str = "\"><script>alert(1)</script><img src=x onerror=alert(2)>' onfocus=alert(3) autofocus='</pre></textarea><!--";

/// Makes the texts of a page: each is either what it says or something evil.
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub(super) hostile: bool,
}

impl Source {
    pub(super) fn text(self, text: &str) -> Text {
        Text::new(self.string(text))
    }

    pub(super) fn string(self, text: &str) -> String {
        if self.hostile { format!("{text}{SCRIPT}\u{202e}gpj.exe\u{200b}\0\u{1b}[31m\r\n{}", "A".repeat(10_000)) } else { text.to_owned() }
    }

    pub(super) fn block(self, text: &str) -> Block {
        Block::new(&self.string(text), 64 * 1024)
    }

    pub(super) fn tag(self, tag: &str) -> Tag {
        Tag::new(self.string(tag), "/objects")
    }

    pub(super) fn frame(self, section: Section) -> Frame {
        Frame {
            instance: "mwdb".to_owned(),
            section,
            viewer: Some(Viewer { login: "analyst".to_owned(), upload: Some("/upload"), manages_users: true, waiting: 3 }),
            notice: self
                .hostile
                .then(|| Notice { good: true, text: self.text("done") })
                .or(Some(Notice { good: true, text: "Done.".into() })),
            // In a field stands what was typed, as it was.
            sought: Text::default(),
        }
    }

    pub(super) fn frame_without_notice(self, section: Section) -> Frame {
        Frame { notice: None, ..self.frame(section) }
    }
}

/// Formatted text with everything that there is.
pub(super) fn rich(source: Source) -> Rich {
    use super::super::rich::{Block, Inline};
    let text = |text| Inline::Text(source.text(text));
    Rich(vec![
        Block::Heading(1, vec![text("Calls home")]),
        Block::Paragraph(vec![
            Inline::Strong(vec![text("198.51.100.7")]),
            Inline::Break,
            Inline::Link("https://example.test/".to_owned(), vec![text("look it up")]),
            Inline::NoLink(vec![text("or not")], source.text("http://evil.test/")),
            Inline::Code(source.text("443")),
        ]),
        Block::List { ordered: false, items: vec![vec![text("one")], vec![Inline::Emphasis(vec![text("two")])]] },
        Block::Table { head: vec![vec![text("Host")]], rows: vec![vec![vec![text("a")]]] },
        Block::Code(source.block("code")),
        Block::Rule,
    ])
}

pub(super) fn digest(seed: usize) -> String {
    (0..64)
        .map(|at| char::from_digit(u32::try_from((seed * 31 + at * at * 7 + at * 13 + seed * at) % 16).unwrap_or(0), 16).unwrap_or('0'))
        .collect()
}

pub(super) fn minutes_ago(minutes: i64) -> Moment {
    Moment::new(i64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000).unwrap_or(0) - minutes * 60_000_000)
}

pub(super) fn rows(source: Source, section: Section) -> Vec<Row> {
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
                more_tags: if at % 6 == 1 { 9900 } else { 0 },
                uploaded: minutes_ago(i64::try_from(at * at * 37).unwrap_or(0)),
                last_seen: (section == Section::Blobs).then(|| minutes_ago(3)),
                query: "".into(),
            }
        })
        .collect()
}

pub(super) fn related(source: Source, kind: Kind, seed: usize) -> ObjectRef {
    ObjectRef {
        kind,
        id: digest(seed),
        tags: vec![source.tag("dump:win32:exe"), source.tag("emotet")],
        more_tags: 0,
        uploaded: minutes_ago(90),
    }
}

pub(super) fn analyses(source: Source, enabled: bool) -> AnalysisBox {
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
        crashes: Crashes::default(),
    };
    let crash = |service: Option<&str>, error, count| Crash {
        service: service.map(|service| source.text(service)),
        error: source.text(error),
        whole: (count > 1).then(|| source.block(&format!("Traceback (most recent call last):\n  File \"x.py\", line 1\n{error}"))),
        count,
    };
    let crashes = Crashes {
        count: 7,
        restartable: 4,
        told: vec![
            crash(Some("karton.config-extractor"), "ValueError: not a PE file", 4),
            crash(Some("karton.unpacker"), "Error: the emulator gave up after 30 s at 0x00401000", 1),
            crash(None, "No service takes this.", 1),
        ],
    };
    AnalysisBox {
        object: digest(1),
        karton_enabled: enabled,
        can_reanalyze: true,
        can_unassign: true,
        older: Some("c197bf85-e86e-421a-857b-eaafdff0b0d9".to_owned()),
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
            Analysis { updated: None, crashes, ..analysis("c197bf85-e86e-421a-857b-eaafdff0b0d9", State::Finished, vec![], vec![]) },
        ],
    }
}

pub(super) fn object(source: Source, kind: Kind, content: Content) -> ObjectPage {
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
        give_consent: true,
        read_hidden: true,
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
            Detail {
                label: "Type",
                value: Value::Same(source.text("PE32 executable (GUI) Intel 80386, for MS Windows"), "/?query=x".to_owned()),
            },
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
                rich: None,
                href: None,
                removable: true,
            },
            Attribute {
                id: 2,
                key: source.text("report"),
                label: Text::default(),
                value: source.block("{\n  \"a\": [1, null]\n}"),
                rich: None,
                href: Some("https://example.test/?q=\"'<>".to_owned()),
                removable: true,
            },
            Attribute {
                id: 3,
                key: source.text("c2"),
                label: Text::default(),
                value: source.block("198.51.100.7"),
                rich: Some(rich(source)),
                href: None,
                removable: true,
            },
        ],
        hidden: false,
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
                uploads: Some("/objects?query=x".to_owned()),
                through: None,
                time: minutes_ago(7),
            },
            Share {
                group: source.text("public"),
                reason: source.text("shared"),
                user: None,
                uploads: None,
                through: Some(ObjectLink { kind: Kind::File, id: digest(9) }),
                time: minutes_ago(6),
            },
        ],
        groups: vec!["public".to_owned(), "team".to_owned()],
        analyses: analyses(source, true),
        rights: all,
        draft: Draft::default(),
    }
}

pub(super) fn keys(source: Source) -> KeyList {
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
        name: Text::default(),
    }
}

pub(super) fn capabilities(source: Source) -> Vec<CapabilityBox> {
    ["manage_users", "share_queried_objects", "access_all_objects", "sharing_with_all", "adding_tags", "karton_assign", "karton_reanalyze"]
        .iter()
        .enumerate()
        .map(|(at, name)| CapabilityBox { name: source.text(name), granted: at % 2 == 0 })
        .collect()
}

pub(super) fn list(source: Source, section: Section) -> RecentPage {
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
