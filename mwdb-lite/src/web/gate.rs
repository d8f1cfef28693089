//! What every page and form passes before its handler: the same limits and metrics as the API.
//!
//! The one rule: a page counts as the request of the API that it stands for, so that a limit on
//! `loginresource_post` holds for whoever logs in, by form or by API. Style sheets, scripts and icons
//! are no requests in this sense: they cost nothing, and a page needs several.

use rocket::{
    Data, Request, Route,
    http::Method::{self, Get, Post},
    route::{Handler, Outcome},
};

use super::{respond::PageError, session};
use crate::admission::{self, Name};

/// A page or form, and the method and handler of the API that it stands for.
type Entry = (Method, &'static str, &'static str, &'static str);

/// In the order of the modules.
#[rustfmt::skip]
const TABLE: &[Entry] = &[
    // Lists and finding
    (Get, "/", "get", "fileresource"),
    (Get, "/configs", "get", "configresource"),
    (Get, "/blobs", "get", "textblobresource"),
    (Get, "/objects", "get", "objectresource"),
    (Get, "/configs/stats", "get", "configstatsresource"),
    (Get, "/help/api", "get", "serverdocsresource"),
    (Get, "/help/api.json", "get", "serverdocsresource"),
    (Get, "/find", "get", "objectitemresource"),
    (Get, "/suggest/tags", "get", "taglistresource"),
    (Get, "/suggest/keys", "get", "attributedefinitionlistresource"),
    (Get, "/help/search", "get", "serverdocsresource"),
    (Post, "/query", "post", "quickqueryresource"),
    (Post, "/query/<id>/remove", "delete", "quickqueryitemresource"),
    // Objects
    (Get, "/file/<hash>", "get", "fileitemresource"),
    (Get, "/config/<hash>", "get", "configitemresource"),
    (Get, "/blob/<hash>", "get", "textblobitemresource"),
    (Get, "/object/<hash>", "get", "objectitemresource"),
    (Get, "/file/<hash>/download", "get", "filedownloadresource"),
    (Get, "/file/<hash>/download/zip", "get", "filedownloadzipresource"),
    (Get, "/config/<hash>/download", "get", "configitemresource"),
    (Get, "/blob/<hash>/download", "get", "textblobitemresource"),
    (Get, "/object/<hash>/events", "get", "kartonobjectresource"),
    (Get, "/object/<hash>/graph", "get", "relationsresource"),
    (Get, "/diff", "get", "textblobitemresource"),
    (Get, "/diff/<a>/<b>", "get", "textblobitemresource"),
    (Get, "/object/<hash>/remove", "get", "objectitemresource"),
    (Post, "/object/<hash>/remove", "delete", "objectitemresource"),
    (Post, "/object/<hash>/tag", "put", "tagresource"),
    (Post, "/object/<hash>/tag/remove", "delete", "tagresource"),
    (Post, "/object/<hash>/comment", "post", "commentresource"),
    (Post, "/object/<hash>/comment/<comment>/remove", "delete", "commentdeleteresource"),
    (Post, "/object/<hash>/attribute", "post", "attributelistresource"),
    (Post, "/object/<hash>/attribute/<attribute>/remove", "delete", "attributeresource"),
    (Post, "/object/<hash>/relation", "put", "objectchildresource"),
    (Post, "/object/<hash>/parent/remove", "delete", "objectchildresource"),
    (Post, "/object/<hash>/child/remove", "delete", "objectchildresource"),
    (Post, "/object/<hash>/share", "put", "shareresource"),
    (Post, "/object/<hash>/favorite", "put", "objectfavoriteresource"),
    (Post, "/object/<hash>/favorite/remove", "delete", "objectfavoriteresource"),
    (Post, "/object/<hash>/share_3rd_party", "put", "objectshare3rdpartyresource"),
    (Get, "/object/<hash>/analyses", "get", "kartonobjectresource"),
    (Post, "/object/<hash>/reanalyze", "post", "kartonobjectresource"),
    (Post, "/object/<hash>/analysis/<analysis>/restart", "post", "kartonobjectresource"),
    (Post, "/object/<hash>/analysis/<analysis>/remove", "delete", "kartonanalysisresource"),
    // Uploads
    (Get, "/upload", "get", "attributedefinitionlistresource"),
    (Post, "/upload", "post", "fileresource"),
    (Get, "/upload/config", "get", "attributedefinitionlistresource"),
    (Post, "/upload/config", "post", "configresource"),
    (Get, "/upload/blob", "get", "attributedefinitionlistresource"),
    (Post, "/upload/blob", "post", "textblobresource"),
    // Accounts
    (Get, "/login", "get", "serverinforesource"),
    (Post, "/login", "post", "loginresource"),
    (Post, "/logout", "post", "refreshtokenresource"),
    (Get, "/register", "get", "serverinforesource"),
    (Post, "/register", "post", "registerresource"),
    (Get, "/recover_password", "get", "serverinforesource"),
    (Post, "/recover_password", "post", "recoverpasswordresource"),
    (Get, "/setpasswd", "get", "serverinforesource"),
    (Post, "/setpasswd", "post", "changepasswordresource"),
    (Get, "/about", "get", "serverinforesource"),
    (Get, "/profile", "get", "userprofileresource"),
    (Post, "/profile/password", "post", "changepasswordresource"),
    (Post, "/profile/mail_link", "post", "requestpasswordchangeresource"),
    (Post, "/profile/group/<name>/remove", "delete", "groupmemberresource"),
    (Post, "/user/<login>/api_key", "post", "apikeyissueresource"),
    (Post, "/api_key/<id>/remove", "delete", "apikeyresource"),
    // Administration
    (Get, "/settings", "get", "userlistresource"),
    (Get, "/settings/user/<login>", "get", "userresource"),
    (Post, "/settings/user", "post", "userresource"),
    (Post, "/settings/user/<login>/edit", "put", "userresource"),
    (Post, "/settings/user/<login>/disable", "put", "userresource"),
    (Post, "/settings/user/<login>/enable", "put", "userresource"),
    (Post, "/settings/user/<login>/remove", "delete", "userresource"),
    (Post, "/settings/user/<login>/password", "get", "usergetpasswordchangetokenresource"),
    (Post, "/settings/user/<login>/mail_link", "post", "userrequestpasswordchangeresource"),
    (Post, "/settings/user/<login>/accept", "post", "userpendingresource"),
    (Post, "/settings/user/<login>/reject", "delete", "userpendingresource"),
    (Get, "/settings/group/<name>", "get", "groupresource"),
    (Post, "/settings/group", "post", "groupresource"),
    (Post, "/settings/group/<name>/capabilities", "put", "groupresource"),
    (Post, "/settings/group/<name>/kind", "put", "groupresource"),
    (Post, "/settings/group/<name>/rename", "put", "groupresource"),
    (Post, "/settings/group/<name>/remove", "delete", "groupresource"),
    (Post, "/settings/group/<name>/member", "post", "groupmemberresource"),
    (Post, "/settings/group/<name>/member/admin", "put", "groupmemberresource"),
    (Post, "/settings/group/<name>/member/remove", "delete", "groupmemberresource"),
    (Post, "/settings/attribute", "post", "attributedefinitionlistresource"),
    (Get, "/settings/attribute/<key>", "get", "attributedefinitionresource"),
    (Post, "/settings/attribute/<key>", "put", "attributedefinitionresource"),
    (Post, "/settings/attribute/<key>/remove", "delete", "attributedefinitionresource"),
    (Post, "/settings/attribute/<key>/rights", "put", "attributepermissionresource"),
    (Post, "/settings/attribute/<key>/rights/remove", "delete", "attributepermissionresource"),
];

fn entry(route: &Route) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.0 == route.method && entry.1 == route.uri.path())
}

/// Whether a page is at this path.
pub(super) fn is_page(path: &str) -> bool {
    let fits = |pattern: &str| {
        let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
        wanted.by_ref().all(|part| given.next().is_some_and(|word| word == part || part.starts_with('<') && !word.is_empty()))
            && given.next().is_none()
    };
    TABLE.iter().any(|(method, pattern, ..)| *method == Get && fits(pattern))
}

/// Puts the gate before a page or form.
pub(super) fn guard(mut route: Route) -> Route {
    if let Some((_, _, method, resource)) = entry(&route) {
        let name = Name { resource: (*resource).to_owned(), method: (*method).to_owned() };
        route.handler = Box::new(Gate { name, inner: route.handler });
    }
    route
}

#[derive(Clone)]
struct Gate {
    name: Name,
    inner: Box<dyn Handler>,
}

#[rocket::async_trait]
impl Handler for Gate {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r> {
        // Who is refused may still see the login: whether anybody must be logged in is for the handler.
        let asked = session::admitted(request).await;
        match admission::admit(request, &self.name, Ok(asked)) {
            Ok(_) => self.inner.handle(request, data).await,
            Err(error) => Outcome::from(request, Err::<(), _>(PageError(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_known_by_their_paths() {
        for path in ["/", "/configs", "/file/ab", "/object/ab/graph", "/settings/user/x"] {
            assert!(is_page(path), "{path}");
        }
        for path in ["", "/x", "/object/ab/tag", "/file/", "/settings/user", "/configs/"] {
            assert!(!is_page(path), "{path}");
        }
    }

    #[test]
    fn every_page_and_form_stands_for_a_request_of_the_api() {
        let pages = crate::web::pages();
        let missing: Vec<_> = pages.iter().filter(|route| entry(route).is_none()).map(|route| route.uri.to_string()).collect();
        assert!(missing.is_empty(), "{missing:?}");
        for (method, path, api_method, resource) in TABLE {
            assert!(pages.iter().any(|route| route.method == *method && route.uri.path() == *path), "no page is at {path}");
            assert!(crate::api::is_a_request(api_method, resource), "{path}: {resource}_{api_method}");
        }
    }
}
