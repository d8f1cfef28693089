//! The REST API below `/api`: one file per resource, each with its `routes()`.
//!
//! A handler parses, checks a capability, calls one function of the rules, and answers.
//! Ranks: routes that start with a type word are 20 and more, so that `/user/count` is a user.

pub(crate) mod attribute;
pub(crate) mod auth;
pub(crate) mod body;
mod catchers;
mod docs;
pub(crate) mod download;
mod gate;
pub(crate) mod group;
mod karton;
mod meta;
mod metadata;
mod object;
pub(crate) mod params;
mod quick_query;
mod server;
mod table;
pub(crate) mod uploads;
pub(crate) mod user;

use rocket::{Route, fairing::AdHoc};

pub(crate) use catchers::{Strict, catchers};
pub(crate) use server::SERVER_VERSION;

use crate::state::App;

/// Counts answers, for `/varz`.
pub(crate) fn metrics() -> AdHoc {
    gate::metrics()
}

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
