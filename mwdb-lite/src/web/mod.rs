//! The pages, made on the server. They call the same rules as the API and have none of their own.
//!
//! The one rule: a page that shows data takes a [`session::Session`], a form that changes data takes a
//! [`session::Actor`], which also refuses requests that another site made. A handler cannot forget either.

mod account;
mod actions;
mod assets;
mod attribute_keys;
mod diff;
mod events;
mod folder;
mod form;
mod gate;
mod graph;
mod groups;
mod help_api;
mod new_keys;
mod notices;
mod object;
mod pasted;
mod preview;
mod quick_queries;
mod recent;
mod register;
mod respond;
mod rich;
mod session;
mod settings;
mod shown;
mod stats;
mod suggest;
mod upload;
mod view;

use rocket::{Build, Response, Rocket, Route, fairing::AdHoc, http::Header};

use crate::state::App;

/// Adds the pages to a server, or the web interface that the configuration names instead.
pub(crate) fn mount(rocket: Rocket<Build>, app: &App) -> Rocket<Build> {
    if !app.config.serve_web {
        return rocket.register("/", crate::api::catchers());
    }
    if let Some(folder) = &app.config.web_folder {
        return rocket.mount("/", folder::routes(folder.clone())).register("/", crate::api::catchers()).attach(headers(protect_others));
    }
    let routes = [pages().into_iter().map(gate::guard).collect(), assets::routes()];
    rocket
        .mount("/", routes.concat())
        .register("/", respond::catchers())
        .manage(events::Streams::default())
        .manage(new_keys::NewKeys::default())
        .attach(headers(protect))
}

/// Sets headers of all that is no answer of the API.
fn headers(set: fn(&mut Response<'_>)) -> AdHoc {
    AdHoc::on_response("headers of pages", move |request, response| {
        Box::pin(async move {
            if !request.uri().path().starts_with("/api/") {
                set(response);
            }
        })
    })
}

/// All pages and forms.
fn pages() -> Vec<Route> {
    [
        account::routes(),
        actions::routes(),
        attribute_keys::routes(),
        diff::routes(),
        events::routes(),
        graph::routes(),
        groups::routes(),
        help_api::routes(),
        object::routes(),
        quick_queries::routes(),
        recent::routes(),
        register::routes(),
        settings::routes(),
        stats::routes(),
        suggest::routes(),
        upload::routes(),
    ]
    .concat()
}

/// Pages run no script and use no style but ours, load nothing from elsewhere and are in nobody's frame.
fn protect(response: &mut Response<'_>) {
    const HEADERS: [(&str, &str); 5] = [
        (
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'",
        ),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        // Not `no-referrer`: with it browsers send no usable `Origin` with our own forms.
        ("Referrer-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ];
    for (name, value) in HEADERS {
        response.set_header(Header::new(name, value));
    }
    if !response.headers().contains("Cache-Control") {
        response.set_header(Header::new("Cache-Control", "no-store"));
    }
}

/// Another web interface is in nobody's frame either, and tells no other site which object somebody looks at. What it
/// may load and run is for its author to say.
fn protect_others(response: &mut Response<'_>) {
    response.set_header(Header::new("Content-Security-Policy", "frame-ancestors 'none'"));
    response.set_header(Header::new("Referrer-Policy", "same-origin"));
}
