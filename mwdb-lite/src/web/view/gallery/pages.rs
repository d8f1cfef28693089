//! Every page, by name, from what [`super::made_up`] holds.

use askama::Template;

use super::{
    super::{
        account::{Group as AccountGroup, LoginPage, ProfilePage, RecoverPage, RegisterPage, SetPasswordPage},
        diff::{DiffPage, Line, Outcome, Side},
        frame::{Frame, Section},
        graph::{Drawn, GraphPage, draw},
        help_api::{Group, HelpApiPage, Request},
        object::{AnalysesPage, AnalysisBox, AttributeKey, ConfigEntry, Content, Draft, EntryValue, ObjectPage, RemovePage, Rights},
        parts::Kind,
        preview::{self, Body, HexLine, Look, Preview},
        recent::{Place, Problem, RecentPage},
        search_help::{HelpField, HelpGroup, HelpPage},
        settings::{AttributePage, AttributeRights, AttributeRow, GroupPage, GroupRow, Member, NewThings, SettingsPage, UserPage, UserRow},
        simple::{AboutPage, ErrorPage},
        stats::{FamilyRow, StatsPage},
        text::Size,
        upload::{AttributeDraft, Typed, UploadPage},
    },
    made_up::{Source, analyses, capabilities, digest, keys, list, minutes_ago, object, rich},
};

type Named = (&'static str, String);

/// All pages.
pub(super) fn pages(hostile: bool) -> Vec<Named> {
    let source = Source { hostile };
    [visitors(source), lists(source), objects(source), accounts(source)].concat()
}

fn render(page: &impl Template) -> String {
    page.render().expect("the page renders")
}

fn typed(source: Source) -> Typed {
    let text = |text| source.text(text);
    Typed {
        tags: text("a, b"),
        upload_as: "team".to_owned(),
        parent: digest(1),
        consent: true,
        attributes: vec![AttributeDraft { key: "source".into(), value: text("honeypot"), json: true }, AttributeDraft::default()],
        family: text("emotet"),
        config_type: text("static"),
        cfg: text("{}"),
        blob_name: text("strings"),
        blob_type: text("raw"),
        content: text("content"),
    }
}

fn diff(source: Source, outcome: Outcome) -> String {
    render(&DiffPage {
        frame: source.frame_without_notice(Section::Blobs),
        left: Side { id: digest(1), name: source.text("one") },
        right: Side { id: digest(2), name: source.text("two") },
        outcome,
    })
}

fn upload(source: Source, kind: Kind) -> String {
    render(&UploadPage {
        frame: source.frame_without_notice(Section::Upload),
        kind,
        kinds: vec![kind],
        error: None,
        can_set_parent: false,
        groups: vec![],
        attribute_keys: vec![],
        asks_consent: false,
        limit: None,
        karton_enabled: false,
        typed: typed(source),
    })
}

/// What is shown to who is not logged in, and pages with little to say.
fn visitors(source: Source) -> Vec<Named> {
    let text = |text| source.text(text);
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
            "setpassword",
            render(&SetPasswordPage {
                frame: Frame { viewer: None, ..source.frame(Section::None) },
                error: Some(text("too short")),
                token: source.string("eyJ"),
            }),
        ),
        (
            "error",
            render(&ErrorPage {
                frame: source.frame_without_notice(Section::None),
                status: 404,
                heading: "Not found".to_owned(),
                message: text("Object not found"),
                back: Some("/settings".to_owned()),
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
    ]
}

/// The lists, and searching.
fn lists(source: Source) -> Vec<Named> {
    let text = |text| source.text(text);
    vec![
        (
            "stats",
            render(&StatsPage {
                frame: source.frame_without_notice(Section::Configs),
                range: "7d",
                rows: vec![
                    FamilyRow { family: text("emotet"), count: 1200, share: 100, last: minutes_ago(5) },
                    FamilyRow { family: text("agenttesla"), count: 31, share: 2, last: minutes_ago(5000) },
                ],
            }),
        ),
        (
            "help-api",
            render(&HelpApiPage {
                frame: source.frame_without_notice(Section::About),
                version: "2.19.0",
                groups: vec![Group {
                    title: text("Objects"),
                    requests: vec![Request {
                        method: "GET".to_owned(),
                        path: "/api/file/{hash}".to_owned(),
                        summary: text("One object"),
                        description: text("Needs a login."),
                    }],
                }],
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
    ]
}

/// Objects, and uploading them.
fn objects(source: Source) -> Vec<Named> {
    let text = |text| source.text(text);
    let config = Content::Config {
        entries: vec![
            ConfigEntry { key: text("c2"), value: EntryValue::Json(source.block("[\n  \"198.51.100.7:443\",\n  \"203.0.113.9:8080\"\n]")) },
            ConfigEntry { key: text("botnet"), value: EntryValue::Line(text("epoch-5")) },
            ConfigEntry { key: text("raw"), value: EntryValue::Blob(digest(12)) },
        ],
        json: source.block("{\n  \"c2\": [\n    \"198.51.100.7:443\"\n  ]\n}"),
    };
    let preview = |look, body| Content::Preview(Preview { file: digest(1), look, at: 4096, end: 6144, size: 1_310_720, body });
    let lines =
        (0..8).map(|at| HexLine { offset: at * 16, bytes: (0..16).map(|byte| u8::try_from(at * 16 + byte + 40).unwrap_or(0)).collect() });
    let hex = preview(Look::Hex, Body::Hex(lines.collect()));
    let found = |offset, string| preview::Found { offset, text: text(string) };
    let strings = preview(
        Look::Strings,
        Body::Strings(vec![found(78, "!This program cannot be run in DOS mode."), found(9000, "http://example.test/gate.php")]),
    );
    vec![
        ("file", render(&object(source, Kind::File, hex))),
        ("file-strings", render(&object(source, Kind::File, strings))),
        ("file-text", render(&object(source, Kind::File, preview(Look::Text, Body::Text(source.block("one\ntwo")))))),
        (
            "object-refused",
            render(&ObjectPage {
                draft: Draft { tag: text("a"), comment: text("b"), other: text("c"), key: "source".into(), value: text("{"), json: true },
                ..object(source, Kind::Blob, Content::Blob(source.block("content")))
            }),
        ),
        (
            "graph",
            render(&GraphPage {
                frame: source.frame_without_notice(Section::Files),
                kind: Kind::File,
                id: digest(1),
                title: text("a.exe"),
                drawing: draw(
                    (0..9)
                        .map(|at| Drawn {
                            kind: [Kind::File, Kind::Config, Kind::Blob][at % 3],
                            id: digest(at + 1),
                            name: text("invoice.exe"),
                            tag: Some(text("emotet")),
                            level: [0, -1, 1, 1, 1, 2, 2, 2, -2][at],
                            more: at % 4 == 3,
                        })
                        .collect(),
                    &[(1, 0), (0, 2), (0, 3), (0, 4), (2, 5), (3, 6), (4, 7), (8, 1), (8, 0)],
                ),
                clipped: true,
            }),
        ),
        (
            "diff",
            diff(
                source,
                Outcome::Lines {
                    lines: vec![Line::Place(4, 5), Line::Kept(text("same")), Line::Gone(text("old")), Line::New(text("new"))],
                    clipped: true,
                },
            ),
        ),
        ("diff-same", diff(source, Outcome::Same)),
        ("diff-large", diff(source, Outcome::TooLarge)),
        (
            "older-analyses",
            render(&AnalysesPage {
                frame: source.frame_without_notice(Section::Files),
                kind: Kind::File,
                id: digest(1),
                title: text("a.exe"),
                analyses: analyses(source, true),
            }),
        ),
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
                analyses: AnalysisBox { analyses: vec![], older: None, ..analyses(source, false) },
                ..object(source, Kind::File, Content::Away("The store of file content does not answer at the moment."))
            }),
        ),
        ("analyses", render(&analyses(source, true))),
        ("remove", render(&RemovePage { frame: source.frame(Section::Files), kind: Kind::File, id: digest(1), title: text("a.exe") })),
        (
            "upload",
            render(&UploadPage {
                frame: source.frame_without_notice(Section::Upload),
                kind: Kind::File,
                kinds: vec![Kind::File, Kind::Config, Kind::Blob],
                error: Some(text("The file is empty")),
                can_set_parent: true,
                groups: vec!["team".to_owned()],
                attribute_keys: vec![AttributeKey { key: "source".to_owned(), label: text("Source") }],
                asks_consent: true,
                limit: Some(Size(50 << 20)),
                karton_enabled: true,
                typed: typed(source),
            }),
        ),
        ("upload-config", upload(source, Kind::Config)),
        ("upload-blob", upload(source, Kind::Blob)),
    ]
}

/// One's own account, and administration.
fn accounts(source: Source) -> Vec<Named> {
    let text = |text| source.text(text);
    vec![
        (
            "profile",
            render(&ProfilePage {
                sets_password: true,
                mails: true,
                frame: source.frame_without_notice(Section::Profile),
                login: "analyst".to_owned(),
                email: text("analyst@example.test"),
                registered: None,
                logged: Some(minutes_ago(3)),
                password_set: Some(minutes_ago(30_000)),
                capabilities: ["adding_files", "adding_tags", "karton_reanalyze"].map(text).to_vec(),
                groups: vec![
                    AccountGroup { name: text("analyst"), private: true, capabilities: vec![text("adding_tags")], removable: vec![] },
                    AccountGroup { name: text("public"), private: false, capabilities: vec![], removable: vec!["bob".to_owned()] },
                ],
                keys: keys(source),
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
                typed: NewThings::default(),
            }),
        ),
        (
            "settings-refused",
            render(&SettingsPage {
                mails: false,
                frame: source.frame(Section::Settings),
                users: vec![],
                groups: vec![],
                attributes: vec![],
                typed: NewThings {
                    login: text("alice"),
                    email: text("alice@example.test"),
                    info: text("an analyst"),
                    reporter: true,
                    group: text("team"),
                    key: text("source"),
                    label: text("Source"),
                    public: false,
                },
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
                typed: None,
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
                new_name: "team".into(),
                new_member: "".into(),
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
                example: Some(Ok(rich(source))),
                hidden: true,
                hidden_ticked: true,
                rights: vec![AttributeRights { group: text("public"), can_read: true, can_set: false }],
                typed: AttributeRights { group: text("team"), can_read: true, can_set: false },
            }),
        ),
    ]
}
