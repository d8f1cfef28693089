//! Two blobs side by side.

use askama::Template;

use super::{
    frame::{Frame, Section},
    parts::Hash,
    text::Text,
};
use crate::web::assets;

/// What one blob has and the other has not.
#[derive(Debug, Template)]
#[template(path = "diff.html")]
pub(crate) struct DiffPage {
    pub(crate) frame: Frame,
    pub(crate) left: Side,
    pub(crate) right: Side,
    pub(crate) outcome: Outcome,
}

/// One of the two.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) id: String,
    pub(crate) name: Text,
}

impl Side {
    fn hash(&self) -> Hash {
        Hash::short(&self.id)
    }
}

/// How the two compare.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Same,
    TooLarge,
    Lines { lines: Vec<Line>, clipped: bool },
}

/// A line of the comparison.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Where the next lines stand in both.
    Place(usize, usize),
    Kept(Text),
    Gone(Text),
    New(Text),
    /// The line before has no line break after it.
    NoBreak,
}
