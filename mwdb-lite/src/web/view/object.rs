//! The page of one object, and the box of its analyses, which is also sent alone when it changes.

use askama::Template;

use super::{
    frame::{Frame, Section},
    parts::{Hash, Kind, ObjectRef, Tag},
    preview::{Body, Look, Preview},
    recent::results,
    rich::Rich,
    text::{Block, Characters, Size, Text},
    time::Moment,
};
use crate::web::assets;

/// Everything about one object.
#[derive(Debug, Template)]
#[template(path = "object.html")]
pub(crate) struct ObjectPage {
    pub(crate) frame: Frame,
    pub(crate) kind: Kind,
    pub(crate) id: String,
    /// Name of a file or blob, family of a config.
    pub(crate) title: Text,
    pub(crate) details: Vec<Detail>,
    pub(crate) content: Content,
    pub(crate) favorite: bool,
    pub(crate) tags: Vec<Tag>,
    pub(crate) attributes: Vec<Attribute>,
    /// Hidden attributes are among them.
    pub(crate) hidden: bool,
    /// Keys the viewer may set.
    pub(crate) attribute_keys: Vec<AttributeKey>,
    pub(crate) comments: Vec<Comment>,
    pub(crate) parents: Vec<ObjectRef>,
    pub(crate) children: Vec<ObjectRef>,
    pub(crate) shares: Vec<Share>,
    /// Groups to share with.
    pub(crate) groups: Vec<String>,
    pub(crate) analyses: AnalysisBox,
    pub(crate) rights: Rights,
    /// What was typed into a form that was refused.
    pub(crate) draft: Draft,
}

/// So many relatives of one kind an answer holds at most (MWDB API §O5.1).
const MOST_RELATIVES: usize = 100;

impl ObjectPage {
    /// The search for all parents, when not all of them may be here.
    fn all_parents(&self) -> Option<String> {
        is_full(&self.parents).then(|| results("/objects", &format!("child:(dhash:{})", self.id)))
    }

    fn all_children(&self) -> Option<String> {
        is_full(&self.children).then(|| results("/objects", &format!("parent:(dhash:{})", self.id)))
    }
}

fn is_full(relatives: &[ObjectRef]) -> bool {
    let of = |kind| relatives.iter().filter(|relative| relative.kind == kind).count();
    [Kind::File, Kind::Config, Kind::Blob].into_iter().any(|kind| of(kind) >= MOST_RELATIVES)
}

/// Fields of a refused form, to be corrected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    pub(crate) tag: Text,
    pub(crate) comment: Text,
    pub(crate) other: Text,
    pub(crate) key: Text,
    pub(crate) value: Text,
    pub(crate) json: bool,
}

/// What the viewer may do here.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rights {
    pub(crate) add_tags: bool,
    pub(crate) remove_tags: bool,
    pub(crate) add_comments: bool,
    pub(crate) remove_comments: bool,
    pub(crate) add_parents: bool,
    pub(crate) remove_parents: bool,
    pub(crate) remove_objects: bool,
    pub(crate) personalize: bool,
    pub(crate) upload_child: bool,
    /// The object is not to be shared with third parties yet, and the viewer may allow it.
    pub(crate) give_consent: bool,
    pub(crate) read_hidden: bool,
}

/// A line of the details.
#[derive(Debug)]
pub(crate) struct Detail {
    pub(crate) label: &'static str,
    pub(crate) value: Value,
}

/// What stands in a line of the details.
#[derive(Debug)]
pub(crate) enum Value {
    Text(Text),
    /// A text, and the address of what has the same.
    Same(Text, String),
    Hash(Hash),
    Size(Size),
    Characters(Characters),
    Time(Moment),
    Names(Vec<Text>),
    Object(ObjectRef, Text),
}

/// What an object holds, as far as a page shows it.
#[derive(Debug)]
pub(crate) enum Content {
    /// It cannot be shown; the text says why.
    Away(&'static str),
    Config {
        entries: Vec<ConfigEntry>,
        json: Block,
    },
    Blob(Block),
    /// A piece of a file.
    Preview(Preview),
}

/// One key at the top of a config.
#[derive(Debug)]
pub(crate) struct ConfigEntry {
    pub(crate) key: Text,
    pub(crate) value: EntryValue,
}

/// The value of a [`ConfigEntry`].
#[derive(Debug)]
pub(crate) enum EntryValue {
    Line(Text),
    Json(Block),
    /// An embedded blob, by id.
    Blob(String),
}

impl EntryValue {
    fn blob_hash(id: &str) -> Hash {
        Hash::short(id)
    }
}

/// A value of an attribute.
#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) id: i64,
    pub(crate) key: Text,
    /// Title of the key, empty when it has none.
    pub(crate) label: Text,
    /// The text of a string, JSON of anything else.
    pub(crate) value: Block,
    /// The value in the form that the key gives it.
    pub(crate) rich: Option<Rich>,
    /// Address made from the template of the key; only `http` and `https` get here.
    pub(crate) href: Option<String>,
    pub(crate) removable: bool,
}

impl Attribute {
    /// An address to link to, when it is one that a click may follow.
    pub(crate) fn safe_href(address: &str) -> Option<String> {
        let lower = address.trim_start().get(..8).unwrap_or(address.trim_start()).to_ascii_lowercase();
        let web = lower.starts_with("http://") || lower.starts_with("https://");
        (web && !address.chars().any(char::is_control)).then(|| address.trim().to_owned())
    }
}

/// A key to set.
#[derive(Debug)]
pub(crate) struct AttributeKey {
    pub(crate) key: String,
    pub(crate) label: Text,
}

/// What somebody said.
#[derive(Debug)]
pub(crate) struct Comment {
    pub(crate) id: i64,
    /// Nobody when the account is gone.
    pub(crate) author: Option<Text>,
    pub(crate) text: Block,
    pub(crate) time: Moment,
}

/// Why a group sees the object.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) group: Text,
    pub(crate) reason: Text,
    pub(crate) user: Option<Text>,
    /// What else the user has uploaded, when that is the reason.
    pub(crate) uploads: Option<String>,
    /// The object through which access came, when it is another one.
    pub(crate) through: Option<ObjectLink>,
    pub(crate) time: Moment,
}

/// Link to an object of which only the id matters.
#[derive(Debug)]
pub(crate) struct ObjectLink {
    pub(crate) kind: Kind,
    pub(crate) id: String,
}

impl ObjectLink {
    fn href(&self) -> String {
        format!("/{}/{}", self.kind.word(), self.id)
    }

    fn hash(&self) -> Hash {
        Hash::short(&self.id)
    }
}

/// The Karton analyses of an object: the fragment that live updates replace. Boxes are equal when there
/// is nothing to update.
#[derive(Debug, PartialEq, Template)]
#[template(path = "object/analyses.html")]
pub(crate) struct AnalysisBox {
    pub(crate) object: String,
    pub(crate) karton_enabled: bool,
    pub(crate) can_reanalyze: bool,
    pub(crate) can_unassign: bool,
    pub(crate) analyses: Vec<Analysis>,
    /// There are more than these: they come after this one.
    pub(crate) older: Option<String>,
    /// Karton did not answer: states are the last known or missing.
    pub(crate) unreachable: bool,
}

impl AnalysisBox {
    /// What is said aloud when it changes.
    fn summary(&self) -> String {
        let mut parts = Vec::new();
        for state in [State::Queued, State::Running, State::Finished, State::Unknown] {
            let count = self.analyses.iter().filter(|analysis| analysis.state == state).count();
            if count > 0 {
                parts.push(format!("{count} {}", state.word()));
            }
        }
        let crashed: usize = self.analyses.iter().map(|analysis| analysis.crashes.count).sum();
        if crashed > 0 {
            parts.push(tasks_crashed(crashed));
        }
        if self.unreachable {
            parts.push("Karton does not answer".to_owned());
        }
        parts.join(", ")
    }
}

fn tasks_crashed(count: usize) -> String {
    format!("{count} task{} crashed", if count == 1 { "" } else { "s" })
}

/// All analyses of an object, a page at a time.
#[derive(Debug, Template)]
#[template(path = "analyses.html")]
pub(crate) struct AnalysesPage {
    pub(crate) frame: Frame,
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) title: Text,
    pub(crate) analyses: AnalysisBox,
}

/// One run through the pipeline.
#[derive(Debug, PartialEq)]
pub(crate) struct Analysis {
    pub(crate) id: String,
    pub(crate) state: State,
    pub(crate) started: Moment,
    /// While it is running.
    pub(crate) updated: Option<Moment>,
    pub(crate) arguments: Vec<(Text, Text)>,
    pub(crate) services: Vec<ServiceWork>,
    pub(crate) crashes: Crashes,
}

impl Analysis {
    fn hash(&self) -> Hash {
        Hash::new(&self.id)
    }

    /// A finished analysis is a good one when nothing has crashed.
    fn class(&self) -> &'static str {
        if self.state == State::Finished && self.crashes.count > 0 { "crashed" } else { self.state.class() }
    }
}

/// The tasks of an analysis that have crashed.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Crashes {
    pub(crate) count: usize,
    /// Those that can be started again.
    pub(crate) restartable: usize,
    /// Some of them, alike ones once.
    pub(crate) told: Vec<Crash>,
}

impl Crashes {
    fn summary(&self) -> String {
        tasks_crashed(self.count)
    }

    /// How many are not told of.
    fn untold(&self) -> usize {
        self.count.saturating_sub(self.told.iter().map(|crash| crash.count).sum())
    }
}

/// Tasks of one service that ended alike.
#[derive(Debug, PartialEq)]
pub(crate) struct Crash {
    /// Nothing for a task that no service had.
    pub(crate) service: Option<Text>,
    /// The last line of the error.
    pub(crate) error: Text,
    /// All of it, when it has several lines.
    pub(crate) whole: Option<Block>,
    pub(crate) count: usize,
}

/// Where an analysis stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not yet announced: Karton is not reachable, or the announcement is on its way.
    Queued,
    Running,
    Finished,
    /// Karton cannot be asked.
    Unknown,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued for Karton",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Unknown => "unknown",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Unknown => "unknown",
        }
    }
}

/// What a service has to do for an analysis.
#[derive(Debug, PartialEq)]
pub(crate) struct ServiceWork {
    pub(crate) service: Text,
    pub(crate) statuses: Vec<Text>,
    pub(crate) received_from: Vec<Text>,
}

/// Asks before an object is removed.
#[derive(Debug, Template)]
#[template(path = "remove.html")]
pub(crate) struct RemovePage {
    pub(crate) frame: Frame,
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) title: Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_become_links() {
        assert_eq!(Attribute::safe_href("https://x.test/a?b=\"c").as_deref(), Some("https://x.test/a?b=\"c"));
        for address in ["javascript:alert(1)", " JaVaScript:x", "data:text/html,x", "//x.test", "http:/x", "ä", "https://x\n.test"] {
            assert_eq!(Attribute::safe_href(address), None, "{address}");
        }
    }
}
