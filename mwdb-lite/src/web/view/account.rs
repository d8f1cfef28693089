//! Login, and the page of one's own account.

use askama::Template;

use super::{
    frame::{Frame, Section},
    text::Text,
    time::Moment,
};
use crate::web::assets;

/// The login form.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub(crate) struct LoginPage {
    pub(crate) frame: Frame,
    pub(crate) error: Option<Text>,
    pub(crate) login: Text,
    /// Where to go after: a path of this server.
    pub(crate) back: String,
    /// Visitors may ask for an account.
    pub(crate) registers: bool,
    /// Visitors may have a link mailed.
    pub(crate) recovers: bool,
}

/// The form that asks for an account.
#[derive(Debug, Template)]
#[template(path = "register.html")]
pub(crate) struct RegisterPage {
    pub(crate) frame: Frame,
    pub(crate) error: Option<Text>,
    pub(crate) login: Text,
    pub(crate) email: Text,
    pub(crate) info: Text,
    /// The request has arrived.
    pub(crate) done: bool,
}

/// The form that has a link mailed.
#[derive(Debug, Template)]
#[template(path = "recover.html")]
pub(crate) struct RecoverPage {
    pub(crate) frame: Frame,
    pub(crate) error: Option<Text>,
    pub(crate) login: Text,
    pub(crate) email: Text,
    /// The mail is on its way.
    pub(crate) done: bool,
}

/// The form behind a set-password link.
#[derive(Debug, Template)]
#[template(path = "setpassword.html")]
pub(crate) struct SetPasswordPage {
    pub(crate) frame: Frame,
    pub(crate) error: Option<Text>,
    pub(crate) token: String,
}

/// One's own account.
#[derive(Debug, Template)]
#[template(path = "profile.html")]
pub(crate) struct ProfilePage {
    pub(crate) frame: Frame,
    /// The viewer may set the password by the current one.
    pub(crate) sets_password: bool,
    /// A link to set the password can be mailed.
    pub(crate) mails: bool,
    pub(crate) login: String,
    pub(crate) email: Text,
    pub(crate) registered: Option<Moment>,
    pub(crate) logged: Option<Moment>,
    pub(crate) password_set: Option<Moment>,
    pub(crate) capabilities: Vec<Text>,
    pub(crate) groups: Vec<Group>,
    pub(crate) keys: KeyList,
}

/// API keys of somebody, with what the viewer may do to them.
#[derive(Debug)]
pub(crate) struct KeyList {
    pub(crate) owner: String,
    pub(crate) keys: Vec<ApiKey>,
    pub(crate) can_manage: bool,
    /// A key that was just made. It is shown this once.
    pub(crate) created: Option<NewKey>,
    /// The name of a key that was refused.
    pub(crate) name: Text,
}

/// A key that exists.
#[derive(Debug)]
pub(crate) struct ApiKey {
    pub(crate) id: String,
    pub(crate) name: Text,
    pub(crate) issued: Moment,
    pub(crate) issuer: Option<Text>,
}

/// A key with its secret.
#[derive(Debug)]
pub(crate) struct NewKey {
    pub(crate) name: Text,
    pub(crate) token: String,
}

/// A group with what it gives.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: Text,
    pub(crate) private: bool,
    pub(crate) capabilities: Vec<Text>,
    /// Others in it that the viewer may remove.
    pub(crate) removable: Vec<String>,
}
