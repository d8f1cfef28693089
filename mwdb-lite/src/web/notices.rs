//! What the next page says of the form that led to it.
//!
//! The one rule: the browser carries a word of the table below and no text, so a cookie puts no words
//! into a page. It is shown once: the page that shows it takes the cookie away.

use rocket::{
    Request,
    http::{Cookie, CookieJar, SameSite},
    request::{FromRequest, Outcome},
    time::Duration,
};

use super::{respond, session, view::frame::Notice};

const COOKIE: &str = "mwdb_notice";

/// The next page is loaded at once. What was not shown by then is old.
const LIFETIME: Duration = Duration::seconds(60);

macro_rules! table {
    ($($name:ident $word:literal $text:literal)*) => {
        /// What was done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Done { $($name),* }

        impl Done {
            const ALL: &[Self] = &[$(Self::$name),*];

            fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

table! {
    TagAdded "tag-added" "The tag was added."
    TagKnown "tag-known" "The object had this tag before."
    TagRemoved "tag-removed" "The tag was removed."
    CommentAdded "comment-added" "The comment was added."
    CommentRemoved "comment-removed" "The comment was removed."
    AttributeAdded "attribute-added" "The attribute was added."
    AttributeRemoved "attribute-removed" "The attribute was removed."
    RelationAdded "relation-added" "The relation was added."
    RelationRemoved "relation-removed" "The relation was removed."
    Shared "shared" "The object is shared with the group now."
    ConsentGiven "consent-given" "The object may be shared with third parties now."
    FavoriteAdded "favorite-added" "The object is one of your favourites now."
    FavoriteRemoved "favorite-removed" "The object is no longer one of your favourites."
    Reanalyzed "reanalyzed" "The object is analyzed again."
    Restarted "restarted" "The crashed tasks were started again."
    NothingToRestart "nothing-to-restart" "There was no crashed task to start again."
    AnalysisRemoved "analysis-removed" "The analysis was taken from the object."
    ObjectRemoved "object-removed" "The object was removed."
    Uploaded "uploaded" "The upload is stored."
    SearchSaved "search-saved" "The search was saved."
    SearchRemoved "search-removed" "The search was removed."
    PasswordSet "password-set" "The password was set. Log in with it."
    PasswordChanged "password-changed" "Your password was changed. Other sessions have ended."
    LinkMailed "link-mailed" "The mail with the link is on its way."
    KeyRevoked "key-revoked" "The API key was revoked."
    MemberAdded "member-added" "The account is a member of the group now."
    MemberRemoved "member-removed" "The account is no longer a member of the group."
    AccountMade "account-made" "The account was made. Give it a link to set a password."
    AccountAccepted "account-accepted" "The account was accepted."
    AccountRejected "account-rejected" "The registration was rejected."
    AccountDisabled "account-disabled" "The account is disabled now."
    AccountEnabled "account-enabled" "The account is enabled again."
    AccountRemoved "account-removed" "The account was removed."
    GroupMade "group-made" "The group was made."
    GroupRemoved "group-removed" "The group was removed."
    KeyDefined "key-defined" "The attribute key was defined."
    KeyRemoved "key-removed" "The attribute key was removed, with all its values."
    SessionEnded "session-ended" "Your session has ended. What you sent was not stored."
    Saved "saved" "The changes were saved."
}

impl Done {
    /// The line above the page.
    pub(super) fn notice(self) -> Notice {
        Notice { good: !matches!(self, Self::NothingToRestart | Self::SessionEnded), text: self.text().into() }
    }

    /// Lets the next page say it.
    pub(super) fn leave(self, request: &Request<'_>) {
        let cookie = Cookie::build((COOKIE, self.word())).path("/").http_only(true).same_site(SameSite::Strict);
        request.cookies().add(cookie.secure(session::is_encrypted(request)).max_age(LIFETIME));
    }

    /// What the last form left, for a page that shows it.
    pub(super) fn take(request: &Request<'_>) -> Option<Self> {
        // Scripts and forms leave it to the page.
        if request.method() != rocket::http::Method::Get || respond::wants_json(request) {
            return None;
        }
        let jar: &CookieJar<'_> = request.cookies();
        let word = jar.get(COOKIE)?.value().to_owned();
        jar.remove(Cookie::build(COOKIE).path("/"));
        Self::ALL.iter().copied().find(|done| done.word() == word)
    }
}

/// [`Done::take`] for pages without a session.
pub(super) struct Told(pub(super) Option<Done>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Told {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Self(Done::take(request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        let words: std::collections::BTreeSet<_> = Done::ALL.iter().map(|done| done.word()).collect();
        assert_eq!(words.len(), Done::ALL.len());
        assert!(words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
    }
}
