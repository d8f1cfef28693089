//! The REST API below `/api`: one file per resource, each with its `routes()`.
//!
//! A handler parses, checks a capability, calls one function of the rules, and answers.
//! Ranks: routes that start with a type word are 20 and more, so that `/user/count` is a user.

pub(crate) mod attribute;
pub(crate) mod auth;
pub(crate) mod body;
mod catchers;
pub(crate) mod docs;
pub(crate) mod download;
mod gate;
pub(crate) mod group;
mod karton;
mod meta;
mod metadata;
mod object;
pub(crate) mod params;
pub(crate) mod quick_query;
mod server;
mod table;
mod together;
pub(crate) mod uploads;
pub(crate) mod user;

use rocket::Route;

pub(crate) use catchers::{Strict, catchers};
pub(crate) use server::SERVER_VERSION;

use self::table::TABLE;
use crate::state::App;

/// All routes of the API.
pub(crate) fn routes(app: &App) -> Vec<Route> {
    let routes = [
        server::routes(app),
        docs::routes(),
        auth::routes(),
        user::routes(),
        group::routes(),
        object::routes(app),
        uploads::routes(),
        download::routes(),
        metadata::routes(),
        attribute::routes(),
        meta::routes(),
        karton::routes(),
        quick_query::routes(),
    ]
    .concat();
    routes.into_iter().map(gate::guard).collect()
}

/// Whether limits and metrics know a request by this method and name.
pub(crate) fn is_a_request(method: &str, resource: &str) -> bool {
    TABLE.iter().any(|entry| entry.method.as_str().eq_ignore_ascii_case(method) && entry.is_called(resource))
}

/// Whether a key of limits stands for requests that there are. Groups may have any name.
pub(crate) fn is_limit(key: &str) -> bool {
    const METHODS: [&str; 4] = ["get", "post", "put", "delete"];
    let any = |resource: &str| METHODS.iter().any(|method| is_a_request(method, resource));
    let key = match key.strip_prefix("unauthenticated") {
        Some("") => return true,
        rest => rest.and_then(|rest| rest.strip_prefix('_')).unwrap_or(key),
    };
    key.starts_with("group_")
        || METHODS.contains(&key)
        || any(key)
        || key.rsplit_once('_').is_some_and(|(resource, method)| is_a_request(method, resource))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn keys_of_limits_stand_for_requests_that_there_are() {
        for key in [
            "get",
            "loginresource",
            "loginresource_post",
            "textblobresource_get",
            "unauthenticated",
            "unauthenticated_post",
            "unauthenticated_loginresource_post",
            "group_a_b_get",
            "group_everything",
        ] {
            assert!(is_limit(key), "{key}");
        }
        for key in ["x", "patch", "loginresource_delete", "loginresorce_post", "unauthenticated_x", "unauthenticatedget", "*resource", ""] {
            assert!(!is_limit(key), "{key}");
        }
    }

    /// The other way round, `/docs` shows that each mounted route has an entry.
    #[tokio::test]
    async fn every_entry_of_the_table_is_mounted_when_all_is_switched_on() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let config = Config {
            sqlite_path: folder.path().join("mwdb.sqlite"),
            uploads_folder: folder.path().join("uploads"),
            admin_password: Some("the password of the test".to_owned()),
            enable_3rd_party_sharing_consent: true,
            enable_prometheus_metrics: true,
            ..Config::default()
        };
        let mounted: Vec<_> = routes(&App::open(config).await?).iter().filter_map(table::Entry::of).collect();
        let missing = table::TABLE.iter().filter(|entry| !mounted.iter().any(|other| std::ptr::eq(*other, *entry)));
        // The route of searching comes with the query language.
        let missing: Vec<&str> = missing.map(|entry| entry.path).filter(|path| *path != "/search").collect();
        assert!(missing.is_empty(), "{missing:?}");
        Ok(())
    }
}
