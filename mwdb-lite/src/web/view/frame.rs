//! What surrounds every page: title bar, navigation, the search field, who is logged in.

use super::text::Text;

/// The frame of a page.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// `instance_name` of the configuration.
    pub(crate) instance: String,
    /// Which entry of the navigation the page belongs to.
    pub(crate) section: Section,
    /// Nobody before login.
    pub(crate) viewer: Option<Viewer>,
    /// The result of what the user just did.
    pub(crate) notice: Option<Notice>,
    /// What stands in the search field: what was looked for in vain.
    pub(crate) sought: Text,
}

/// The logged-in user, as far as the frame cares.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    pub(crate) login: String,
    /// The first form that the user may upload by.
    pub(crate) upload: Option<&'static str>,
    pub(crate) manages_users: bool,
    /// How many registrations wait for this user.
    pub(crate) waiting: u64,
}

/// Entries of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Files,
    Configs,
    Blobs,
    All,
    Upload,
    Profile,
    Settings,
    About,
    None,
}

/// A line above the page.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) good: bool,
    pub(crate) text: Text,
}

impl Frame {
    /// `aria-current` of a navigation entry.
    pub(crate) fn current(&self, section: Section) -> &'static str {
        if self.section == section { "page" } else { "false" }
    }
}
