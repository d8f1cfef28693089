//! The families of configs.

use askama::Template;

use super::{
    frame::{Frame, Section},
    links,
    text::Text,
    time::Moment,
};
use crate::web::assets;

/// The ranges of time to choose from, as the API knows them; the first one is all time.
pub(crate) const RANGES: [(&str, &str); 6] =
    [("*", "All time"), ("24h", "24 hours"), ("72h", "72 hours"), ("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days")];

/// All families that have configs in a range of time.
#[derive(Debug, Template)]
#[template(path = "stats.html")]
pub(crate) struct StatsPage {
    pub(crate) frame: Frame,
    pub(crate) range: &'static str,
    pub(crate) rows: Vec<FamilyRow>,
}

/// One family.
#[derive(Debug)]
pub(crate) struct FamilyRow {
    pub(crate) family: Text,
    pub(crate) count: u64,
    /// How much of the largest family's count that is, of a hundred.
    pub(crate) share: u64,
    pub(crate) last: Moment,
}

impl FamilyRow {
    /// The configs of the family.
    fn href(&self) -> String {
        links::search("/configs", "family", self.family.raw())
    }
}

impl StatsPage {
    fn address(range: &str) -> String {
        if range == RANGES[0].0 { "/configs/stats".to_owned() } else { format!("/configs/stats?range={range}") }
    }

    /// `aria-current` of a range.
    fn current(&self, range: &str) -> &'static str {
        if self.range == range { "page" } else { "false" }
    }
}
