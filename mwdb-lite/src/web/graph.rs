//! The relations of an object as a drawing.
//!
//! The one rule: the drawing is made here, of shapes and links; no script is needed to see it or to
//! follow it. What it leaves out is one click away: each object leads to its own drawing.

use karton_rs::json::Value;
use rocket::{Route, State, get};

use super::{
    object::section,
    respond::{Page, PageResult},
    session::Session,
    shown,
    view::graph::{Drawn, GraphPage, draw},
};
use crate::{api::params::Hash, objects::relations, state::App};

/// How far the drawing reaches, and how many objects it holds.
const STEPS: usize = 3;
const MOST: usize = 80;

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![graph]
}

#[get("/object/<hash>/graph")]
async fn graph(hash: Hash, session: Session, app: &State<App>) -> PageResult {
    let around = app
        .look(&session.0, move |c, caller| {
            let around = relations::neighbourhood(c, caller, &hash.0, STEPS, MOST)?;
            let nodes = around.nodes.iter().map(|node| Ok((shown::answer(&node.object)?, node.level, node.more)));
            Ok((nodes.collect::<Result<Vec<(Value, i64, bool)>, crate::error::ApiError>>()?, around.edges))
        })
        .await?;
    let (nodes, edges) = around;
    let start = nodes.first().map(|node| node.0.clone()).unwrap_or_default();
    let clipped = nodes.iter().any(|node| node.2);
    let drawn = nodes.into_iter().map(|(object, level, more)| Drawn {
        kind: shown::kind(&object),
        id: shown::text(&object, "id"),
        name: shown::title(&object),
        tag: shown::list(&object, "tags").first().map(|tag| shown::text(tag, "tag").into()),
        level,
        more,
    });
    let kind = shown::kind(&start);
    Page::new(&GraphPage {
        frame: session.frame(app, section(kind)),
        kind,
        id: shown::text(&start, "id"),
        title: shown::title(&start),
        drawing: draw(drawn.collect(), &edges),
        clipped,
    })
}
