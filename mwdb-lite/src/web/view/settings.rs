//! Administration: accounts, groups, capabilities, attribute keys.

use askama::Template;

use super::{
    account::KeyList,
    frame::{Frame, Section},
    rich::Rich,
    text::Text,
    time::Moment,
};
use crate::web::assets;

/// All accounts and groups.
#[derive(Debug, Template)]
#[template(path = "settings/overview.html")]
pub(crate) struct SettingsPage {
    pub(crate) frame: Frame,
    /// The server can send mails.
    pub(crate) mails: bool,
    pub(crate) users: Vec<UserRow>,
    pub(crate) groups: Vec<GroupRow>,
    pub(crate) attributes: Vec<AttributeRow>,
}

impl SettingsPage {
    /// How many accounts wait for acceptance.
    fn waiting(&self) -> usize {
        self.users.iter().filter(|user| user.pending).count()
    }
}

/// An account in the list.
#[derive(Debug)]
pub(crate) struct UserRow {
    pub(crate) login: String,
    pub(crate) email: Text,
    pub(crate) info: Text,
    pub(crate) disabled: bool,
    pub(crate) pending: bool,
    pub(crate) groups: Vec<String>,
}

/// A group in the list; private groups are shown with their accounts.
#[derive(Debug)]
pub(crate) struct GroupRow {
    pub(crate) name: String,
    pub(crate) members: usize,
    pub(crate) capabilities: usize,
    pub(crate) is_default: bool,
    pub(crate) workspace: bool,
}

/// A key of attributes.
#[derive(Debug)]
pub(crate) struct AttributeRow {
    pub(crate) key: String,
    pub(crate) label: Text,
    pub(crate) description: Text,
    pub(crate) hidden: bool,
}

/// A capability to grant or take.
#[derive(Debug)]
pub(crate) struct CapabilityBox {
    pub(crate) name: Text,
    pub(crate) granted: bool,
}

/// One account.
#[derive(Debug, Template)]
#[template(path = "settings/user.html")]
pub(crate) struct UserPage {
    pub(crate) frame: Frame,
    /// The server can send mails.
    pub(crate) mails: bool,
    pub(crate) login: String,
    pub(crate) email: Text,
    pub(crate) info: Text,
    pub(crate) feed_quality: Text,
    pub(crate) disabled: bool,
    pub(crate) pending: bool,
    /// It is the viewer: no removing, no disabling.
    pub(crate) own: bool,
    pub(crate) registered: Option<Moment>,
    pub(crate) logged: Option<Moment>,
    pub(crate) password_set: Option<Moment>,
    /// Of the private group.
    pub(crate) capabilities: Vec<CapabilityBox>,
    pub(crate) groups: Vec<String>,
    pub(crate) keys: KeyList,
    /// A link that was just made for setting a password.
    pub(crate) password_link: Option<String>,
}

/// One group.
#[derive(Debug, Template)]
#[template(path = "settings/group.html")]
pub(crate) struct GroupPage {
    pub(crate) frame: Frame,
    pub(crate) name: String,
    pub(crate) immutable: bool,
    pub(crate) is_default: bool,
    pub(crate) workspace: bool,
    pub(crate) members: Vec<Member>,
    pub(crate) capabilities: Vec<CapabilityBox>,
}

/// A member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) login: String,
    pub(crate) admin: bool,
}

/// One key of attributes.
#[derive(Debug, Template)]
#[template(path = "settings/attribute.html")]
pub(crate) struct AttributePage {
    pub(crate) frame: Frame,
    pub(crate) key: String,
    pub(crate) label: Text,
    pub(crate) description: Text,
    pub(crate) url_template: Text,
    pub(crate) rich_template: Text,
    pub(crate) example_value: Text,
    /// What the rich template makes of the example, or what is wrong with it.
    pub(crate) example: Option<Result<Rich, Text>>,
    pub(crate) hidden: bool,
    pub(crate) rights: Vec<AttributeRights>,
}

/// What a group may do with a key.
#[derive(Debug)]
pub(crate) struct AttributeRights {
    pub(crate) group: String,
    pub(crate) can_read: bool,
    pub(crate) can_set: bool,
}
