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
    /// What was typed into a form that was refused.
    pub(crate) typed: NewThings,
}

/// The forms for a new account, a new group and a new attribute key.
#[derive(Clone, Debug)]
pub(crate) struct NewThings {
    pub(crate) login: Text,
    pub(crate) email: Text,
    pub(crate) info: Text,
    pub(crate) reporter: bool,
    pub(crate) group: Text,
    pub(crate) key: Text,
    pub(crate) label: Text,
    pub(crate) public: bool,
}

impl Default for NewThings {
    fn default() -> Self {
        let nothing = Text::default;
        Self {
            login: nothing(),
            email: nothing(),
            info: nothing(),
            reporter: false,
            group: nothing(),
            key: nothing(),
            label: nothing(),
            public: true,
        }
    }
}

impl NewThings {
    /// Somebody has typed into the form for an account.
    fn is_account(&self) -> bool {
        [&self.login, &self.email, &self.info].iter().any(|text| !text.is_empty())
    }
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
    /// What the form holds, when that is not what is stored.
    pub(crate) typed: Option<AccountTyped>,
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

/// The form that changes an account.
#[derive(Clone, Debug)]
pub(crate) struct AccountTyped {
    pub(crate) email: Text,
    pub(crate) info: Text,
    pub(crate) feed_quality: Text,
}

impl UserPage {
    /// What the form holds.
    fn form(&self) -> AccountTyped {
        self.typed.clone().unwrap_or_else(|| AccountTyped {
            email: self.email.clone(),
            info: self.info.clone(),
            feed_quality: self.feed_quality.clone(),
        })
    }
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
    /// What the form for another name holds.
    pub(crate) new_name: Text,
    /// What the form for a new member holds.
    pub(crate) new_member: Text,
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
    /// Whether the box for that is ticked.
    pub(crate) hidden_ticked: bool,
    pub(crate) rights: Vec<AttributeRights>,
    /// What the form of rights holds.
    pub(crate) typed: AttributeRights,
}

/// What a group may do with a key.
#[derive(Clone, Debug)]
pub(crate) struct AttributeRights {
    pub(crate) group: Text,
    pub(crate) can_read: bool,
    pub(crate) can_set: bool,
}
