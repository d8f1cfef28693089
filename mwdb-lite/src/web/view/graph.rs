//! The relations of an object as a drawing: where each object stands, and the lines between them.
//!
//! Generations are columns, parents left of children. Within a column objects stand near those that
//! they are related to, so that few lines cross.

use askama::Template;

use super::{
    frame::{Frame, Section},
    parts::Kind,
    text::Text,
};
use crate::web::assets;

const WIDTH: i64 = 190;
const HEIGHT: i64 = 48;
const GAP: (i64, i64) = (70, 16);
const MARGIN: i64 = 12;
/// How far over an object the line bends that leads back to it: the curve stays in the gap.
const LIFT: i64 = 28;
/// How often the columns are put in order, back and forth.
const ROUNDS: usize = 4;
/// Characters of a name that fit.
const FITTING: usize = 23;

/// The page of the drawing.
#[derive(Debug, Template)]
#[template(path = "graph.html")]
pub(crate) struct GraphPage {
    pub(crate) frame: Frame,
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) title: Text,
    pub(crate) drawing: Drawing,
    /// Some objects have relatives that are not drawn.
    pub(crate) clipped: bool,
}

/// An object to be drawn; the first one is what the drawing is about.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) name: Text,
    /// One of its tags.
    pub(crate) tag: Option<Text>,
    pub(crate) level: i64,
    pub(crate) more: bool,
}

/// The drawing. Its corner is where the leftmost and the topmost things are.
#[derive(Debug)]
pub(crate) struct Drawing {
    x: i64,
    y: i64,
    width: i64,
    height: i64,
    nodes: Vec<Node>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Node {
    x: i64,
    y: i64,
    drawn: Drawn,
    is_start: bool,
}

/// From the right side of a parent to the left side of a child: a curve by its four points, which never leaves
/// what they span.
#[derive(Debug, PartialEq, Eq)]
struct Line([(i64, i64); 4]);

impl Line {
    /// Between two objects by their corners.
    fn new(parent: (i64, i64), child: (i64, i64)) -> Self {
        let (from, to) = ((parent.0 + WIDTH, parent.1 + HEIGHT / 2), (child.0, child.1 + HEIGHT / 2));
        if parent == child {
            // An object that is its own parent: over its head.
            return Self([from, (from.0 + GAP.0, parent.1 - LIFT), (to.0 - GAP.0, parent.1 - LIFT), to]);
        }
        // Back to an earlier column, or within one: around, but not far.
        let bend = if to.0 > from.0 { (to.0 - from.0) / 2 } else { GAP.0 };
        Self([from, (from.0 + bend, from.1), (to.0 - bend, to.1), to])
    }

    fn path(&self) -> String {
        let [(x1, y1), (x2, y2), (x3, y3), (x4, y4)] = self.0;
        format!("M{x1} {y1} C{x2} {y2} {x3} {y3} {x4} {y4}")
    }
}

impl Node {
    fn href(&self) -> String {
        if self.is_start { format!("/{}/{}", self.drawn.kind.word(), self.drawn.id) } else { format!("/object/{}/graph", self.drawn.id) }
    }

    /// The name as far as it fits, or the start of the id.
    fn label(&self) -> Text {
        fitting(if self.drawn.name.is_empty() { &self.drawn.id } else { self.drawn.name.raw() })
    }

    fn second(&self) -> Text {
        self.drawn.tag.as_ref().map_or_else(|| self.drawn.id.chars().take(12).collect::<String>().into(), |tag| fitting(tag.raw()))
    }

    /// What a pointer, or a screen reader, is told.
    fn told(&self) -> String {
        let more = if self.drawn.more { ", has more relatives" } else { "" };
        format!("{} {} {}{more}", self.drawn.kind.title(), self.drawn.name.short().plain(), self.drawn.id)
    }

    fn class(&self) -> &'static str {
        if self.is_start { "node start" } else { "node" }
    }
}

/// In a drawing there is no place for marks with their own markup: they are written out.
fn fitting(text: &str) -> Text {
    let plain = Text::new(text.chars().take(FITTING + 1).collect::<String>()).plain();
    let cut: String = plain.chars().take(FITTING).collect();
    if cut.len() < plain.len() || text.chars().count() > FITTING { format!("{cut}…").into() } else { cut.into() }
}

/// Gives each object its place.
pub(crate) fn draw(objects: Vec<Drawn>, edges: &[(usize, usize)]) -> Drawing {
    let oldest = objects.iter().map(|object| object.level).min().unwrap_or(0);
    let column_of = |object: &Drawn| usize::try_from(object.level - oldest).unwrap_or(0);
    let count = objects.iter().map(column_of).max().unwrap_or(0) + 1;
    let mut columns = vec![Vec::new(); count];
    for (place, object) in objects.iter().enumerate() {
        columns[column_of(object)].push(place);
    }
    order(&mut columns, edges, objects.len());
    let tallest = columns.iter().map(Vec::len).max().unwrap_or(1);
    let tall = |rows: usize| i64::try_from(rows).unwrap_or(0) * (HEIGHT + GAP.1) - GAP.1;
    let mut at = vec![(0, 0); objects.len()];
    for (x, column) in (0..).map(|column| column * (WIDTH + GAP.0)).zip(&columns) {
        let top = (tall(tallest) - tall(column.len())) / 2;
        for (y, place) in (0..).map(|row| top + row * (HEIGHT + GAP.1)).zip(column) {
            at[*place] = (x, y);
        }
    }
    let lines: Vec<Line> = edges.iter().map(|(parent, child)| Line::new(at[*parent], at[*child])).collect();
    let corners = at.iter().flat_map(|(x, y)| [(*x, *y), (x + WIDTH, y + HEIGHT)]);
    let (mut first, mut last) = ((i64::MAX, i64::MAX), (i64::MIN, i64::MIN));
    for (x, y) in corners.chain(lines.iter().flat_map(|line| line.0)) {
        first = (first.0.min(x), first.1.min(y));
        last = (last.0.max(x), last.1.max(y));
    }
    let nodes = objects.into_iter().enumerate().map(|(place, drawn)| Node { x: at[place].0, y: at[place].1, drawn, is_start: place == 0 });
    Drawing {
        x: first.0 - MARGIN,
        y: first.1 - MARGIN,
        width: last.0 - first.0 + 2 * MARGIN,
        height: last.1 - first.1 + 2 * MARGIN,
        nodes: nodes.collect(),
        lines,
    }
}

/// Sorts each column by where its relatives stand, left to right and back.
fn order(columns: &mut [Vec<usize>], edges: &[(usize, usize)], objects: usize) {
    let mut relatives = vec![Vec::new(); objects];
    for (parent, child) in edges {
        relatives[*parent].push(*child);
        relatives[*child].push(*parent);
    }
    // Of a thousand, so that columns of different length compare.
    let mut standing = vec![0_usize; objects];
    let note = |column: &[usize], standing: &mut Vec<usize>| {
        for (row, place) in column.iter().enumerate() {
            standing[*place] = (2 * row + 1) * 500 / column.len().max(1);
        }
    };
    columns.iter().for_each(|column| note(column, &mut standing));
    for round in 0..ROUNDS {
        let turn: Vec<usize> = if round % 2 == 0 { (0..columns.len()).collect() } else { (0..columns.len()).rev().collect() };
        for column in turn {
            let middle = |place: &usize| {
                let near = &relatives[*place];
                if near.is_empty() { standing[*place] } else { near.iter().map(|other| standing[*other]).sum::<usize>() / near.len() }
            };
            columns[column].sort_by_cached_key(middle);
            note(&columns[column], &mut standing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(id: &str, level: i64) -> Drawn {
        Drawn { kind: Kind::File, id: id.to_owned(), name: id.into(), tag: None, level, more: false }
    }

    fn shows(drawing: &Drawing, (x, y): (i64, i64)) -> bool {
        (drawing.x..=drawing.x + drawing.width).contains(&x) && (drawing.y..=drawing.y + drawing.height).contains(&y)
    }

    #[test]
    fn lines_that_lead_back_are_in_the_picture() {
        let itself = draw(vec![object("itself", 0)], &[(0, 0)]);
        let loops = draw(vec![object("a", 0), object("b", 1), object("c", 2), object("d", 2)], &[(0, 1), (1, 2), (2, 0), (2, 3), (3, 3)]);
        for drawing in [itself, loops] {
            for line in &drawing.lines {
                assert!(line.0.iter().all(|point| shows(&drawing, *point)), "{line:?} in {drawing:?}");
                // The curve of an object that is its own parent is not under the object.
                assert!(line.0[0].1 != line.0[3].1 || line.0[1].1 < line.0[0].1 || line.0[0].0 < line.0[3].0, "{line:?}");
            }
        }
    }

    #[test]
    fn generations_are_columns_and_nothing_overlaps() {
        let objects = vec![object("start", 0), object("parent", -1), object("one", 1), object("two", 1), object("grandchild", 2)];
        let drawing = draw(objects, &[(1, 0), (0, 2), (0, 3), (3, 4)]);
        let x: Vec<i64> = drawing.nodes.iter().map(|node| node.x).collect();
        assert!(x[1] < x[0] && x[0] < x[2] && x[2] == x[3] && x[3] < x[4], "{x:?}");
        for (place, node) in drawing.nodes.iter().enumerate() {
            assert!(shows(&drawing, (node.x, node.y)) && shows(&drawing, (node.x + WIDTH, node.y + HEIGHT)));
            for other in &drawing.nodes[place + 1..] {
                assert!(node.x != other.x || (node.y - other.y).abs() >= HEIGHT, "{node:?} {other:?}");
            }
        }
        assert_eq!(drawing.lines.len(), 4);
    }

    #[test]
    fn relatives_stand_side_by_side() {
        let objects = vec![object("start", 0), object("a", 1), object("b", 1), object("of b", 2), object("of a", 2)];
        let drawing = draw(objects, &[(0, 1), (0, 2), (2, 3), (1, 4)]);
        let y: Vec<i64> = drawing.nodes.iter().map(|node| node.y).collect();
        assert_eq!(y[1] < y[2], y[4] < y[3], "{y:?}");
    }

    #[test]
    fn a_name_fits_whatever_it_holds() {
        assert_eq!(fitting("short").raw(), "short");
        for long in ["ä".repeat(100), "\u{202e}".repeat(100), "<script>alert(1)</script>".to_owned()] {
            let text = fitting(&long);
            assert!(text.raw().chars().count() <= FITTING + 1, "{text:?}");
            assert!(!text.raw().contains('\u{202e}'));
        }
    }
}
