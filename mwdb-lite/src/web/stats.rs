//! The families of configs: how many each has, and when the last one came. See MWDB API §O3.4.

use rocket::{Route, State, get};

use super::{
    respond::{Page, PageResult},
    session::Session,
    view::{
        frame::Section,
        stats::{FamilyRow, RANGES, StatsPage},
        time::Moment,
    },
};
use crate::{api::quick_query::families, state::App};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![stats]
}

#[get("/configs/stats?<range>")]
async fn stats(range: Option<&str>, session: Session, app: &State<App>) -> PageResult {
    // Whatever is no range of the page shows all.
    let (range, _) = RANGES.into_iter().find(|(word, _)| Some(*word) == range).unwrap_or(RANGES[0]);
    let mut rows = families(app, range).await?;
    rows.sort_by(|one, other| other.2.cmp(&one.2).then_with(|| one.0.cmp(&other.0)));
    let most = rows.first().map_or(1, |row| row.2.max(1));
    let rows = rows.into_iter().map(|(family, last, count)| FamilyRow {
        family: family.into(),
        count,
        // Of a hundred.
        share: count.saturating_mul(100) / most,
        last: Moment::new(last.micros()),
    });
    Page::new(&StatsPage { frame: session.frame(app, Section::Configs), range, rows: rows.collect() })
}
