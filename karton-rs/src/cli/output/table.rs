//! Tables that are printed while their rows come in, and fit.
//!
//! The one rule: on a terminal no row is wider than it, as long as what must be whole leaves room: what is missed least
//! goes first.

use std::borrow::Cow;
use std::io;

use unicode_width::UnicodeWidthStr;

use super::{
    Out, Style,
    text::{cut, cut_name, cut_start, cut_uid, escape},
};

/// What columns that may be cut keep while there is something else to do without.
const USEFUL_WIDTH: usize = 16;
/// What text keeps before columns are missing that are missed.
const LEAST_WIDTH: usize = 8;
/// Signs of a uid that are enough to name it, where there is no room for more.
pub(in crate::cli) const SHORT_UID: usize = 8;
/// Rows that are looked at to choose the widths of the columns.
const ROWS_AHEAD: usize = 200;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    title: &'static str,
    /// The title on a terminal that is too narrow for the other one.
    short: &'static str,
    right: bool,
    kind: Kind,
    /// When the column is left out on a terminal that is too narrow; none: never.
    spare: Option<Spare>,
}

/// What may be done to the text of a column on a terminal that is too narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is shown whole.
    Whole,
    /// It is cut.
    Flexible,
    /// It is cut at its beginning.
    Path,
    /// It tells the rows apart: its beginning, which all share, is left out first, and it is cut last.
    Name,
    /// Its first signs are shown rather than names that tell nothing.
    Uid,
}

impl Kind {
    fn gives_way_as(self, kind: Self) -> bool {
        self == kind || (self == Self::Path && kind == Self::Flexible)
    }
}

/// How much a column is missed, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spare {
    /// It goes before anything is cut.
    First,
    /// It goes before names are cut.
    Second,
    /// It goes when names would be too short.
    Last,
}

impl Column {
    const fn new(title: &'static str, right: bool, kind: Kind) -> Self {
        Self { title, short: title, right, kind, spare: None }
    }

    /// The same, with a title for narrow terminals.
    pub(in crate::cli) const fn short(mut self, title: &'static str) -> Self {
        self.short = title;
        self
    }

    /// The same; on narrow terminals it is left out.
    #[must_use]
    pub const fn spare(mut self, spare: Spare) -> Self {
        self.spare = Some(spare);
        self
    }
}

/// Text, aligned to the left, shown whole.
pub const fn text(title: &'static str) -> Column {
    Column::new(title, false, Kind::Whole)
}

/// Text that may be cut.
pub const fn flexible(title: &'static str) -> Column {
    Column::new(title, false, Kind::Flexible)
}

/// The path of a file, of which the end tells most.
pub const fn path(title: &'static str) -> Column {
    Column::new(title, false, Kind::Path)
}

/// The identity of a service, by which rows are told apart.
pub(in crate::cli) const fn name(title: &'static str) -> Column {
    Column::new(title, false, Kind::Name)
}

/// The part of a uid that the commands take.
pub(in crate::cli) const fn uid(title: &'static str) -> Column {
    Column::new(title, false, Kind::Uid)
}

/// Numbers, aligned to the right.
pub(in crate::cli) const fn number(title: &'static str) -> Column {
    Column::new(title, true, Kind::Whole)
}

/// What stands in a table; escaped.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell with this text.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self::styled(text, Style::Plain)
    }

    pub(in crate::cli) fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: escape(text.as_ref()).into_owned(), style }
    }

    /// A number; nothing stands out less than a zero.
    pub(in crate::cli) fn count(count: u64, style: Style) -> Self {
        Self { text: count.to_string(), style: if count == 0 { Style::Dim } else { style } }
    }
}

/// A table that is printed while its rows come in: the first rows decide about the widths.
pub(in crate::cli) struct Table<'a> {
    out: &'a mut Out,
    columns: Vec<Column>,
    waiting: Vec<Vec<Cell>>,
    layout: Option<Layout>,
}

impl<'a> Table<'a> {
    pub(in crate::cli) fn new(out: &'a mut Out, columns: &[Column]) -> Self {
        Self { out, columns: columns.to_vec(), waiting: Vec::new(), layout: None }
    }

    pub(in crate::cli) fn row(&mut self, row: Vec<Cell>) -> io::Result<()> {
        self.waiting.push(row);
        if self.waiting.len() >= ROWS_AHEAD { self.print() } else { Ok(()) }
    }

    /// Prints what is left; a table without rows prints nothing.
    pub(in crate::cli) fn finish(mut self) -> io::Result<()> {
        self.print()
    }

    fn print(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let (limit, colour) = (self.out.width, self.out.colour);
        let layout = if let Some(layout) = self.layout.take() {
            layout
        } else {
            let layout = Layout::of(&self.columns, &self.waiting, limit);
            self.out.line(layout.row(&layout.titles(), colour))?;
            layout
        };
        for row in std::mem::take(&mut self.waiting) {
            self.out.line(layout.row(&row, colour))?;
        }
        self.layout = Some(layout);
        Ok(())
    }
}

/// The lines of a table, its heading first, for a terminal of so many columns.
pub fn lines(columns: &[Column], rows: &[Vec<Cell>], width: usize) -> Vec<String> {
    let layout = Layout::of(columns, rows, Some(width));
    std::iter::once(&layout.titles()).chain(rows).map(|row| layout.row(row, false)).collect()
}

/// How wide each column is, and which ones there is room for.
struct Layout {
    columns: Vec<Column>,
    /// What the rows need.
    needed: Vec<usize>,
    /// What there is room for; none: the column is left out.
    widths: Vec<Option<usize>>,
    short_titles: bool,
    cutting: bool,
}

impl Layout {
    /// What the rows need; on a terminal that has less, what is missed least goes first, and names last.
    fn of(columns: &[Column], rows: &[Vec<Cell>], limit: Option<usize>) -> Self {
        let mut needed = vec![0; columns.len()];
        for row in rows {
            for (width, cell) in needed.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let widths = columns.iter().zip(&needed).map(|(column, width)| Some(column.title.width().max(*width))).collect();
        let mut layout = Self { columns: columns.to_vec(), needed, widths, short_titles: false, cutting: limit.is_some() };
        if let Some(limit) = limit {
            layout.fit(limit);
        }
        layout
    }

    fn fit(&mut self, limit: usize) {
        let whole = self.widths.clone();
        self.take_away(limit);
        if self.cuts_names_short() && self.columns.iter().any(|column| column.kind == Kind::Uid) {
            self.widths = whole;
            for (index, column) in self.columns.iter().enumerate().filter(|(_, column)| column.kind == Kind::Uid) {
                self.needed[index] = self.needed[index].min(SHORT_UID);
                self.widths[index] = Some(self.needed[index].max(column.short.width()));
            }
            self.take_away(limit);
        }
        self.give_back(Kind::Name, limit);
        self.give_back(Kind::Flexible, limit);
    }

    fn take_away(&mut self, limit: usize) {
        self.leave_out(Spare::First, limit);
        if self.used() > limit {
            self.shorten_titles();
        }
        self.shrink(Kind::Flexible, USEFUL_WIDTH, limit);
        self.leave_out(Spare::Second, limit);
        self.shrink(Kind::Name, USEFUL_WIDTH, limit);
        self.shrink(Kind::Flexible, LEAST_WIDTH, limit);
        self.leave_out(Spare::Last, limit);
        self.shrink(Kind::Name, 1, limit);
        self.shrink(Kind::Flexible, 1, limit);
    }

    fn cuts_names_short(&self) -> bool {
        let mut names = self.columns.iter().zip(self.needed.iter().zip(&self.widths)).filter(|(column, _)| column.kind == Kind::Name);
        names.any(|(_, (needed, width))| width.is_some_and(|width| width < USEFUL_WIDTH.min(*needed)))
    }

    /// Columns that were left out may have made more room than was needed.
    fn give_back(&mut self, kind: Kind, limit: usize) {
        for (index, column) in self.columns.iter().enumerate() {
            let room = limit.saturating_sub(self.used());
            if let Some(width) = self.widths[index].as_mut().filter(|_| column.kind.gives_way_as(kind)) {
                *width += room.min(self.needed[index].saturating_sub(*width));
            }
        }
    }

    fn used(&self) -> usize {
        let shown = self.widths.iter().flatten();
        shown.clone().sum::<usize>() + 2 * shown.count().saturating_sub(1)
    }

    /// Leaves out columns until the rest fits, from the right.
    fn leave_out(&mut self, spare: Spare, limit: usize) {
        for index in (0..self.columns.len()).rev() {
            if self.used() > limit && self.columns[index].spare == Some(spare) {
                self.widths[index] = None;
            }
        }
    }

    fn shorten_titles(&mut self) {
        self.short_titles = true;
        for ((column, needed), width) in self.columns.iter().zip(&self.needed).zip(&mut self.widths) {
            *width = width.map(|_| column.short.width().max(*needed));
        }
    }

    /// Takes from the widest of these columns until the row fits or each has no more than `least`.
    fn shrink(&mut self, kind: Kind, least: usize, limit: usize) {
        while self.used() > limit {
            let columns = self.columns.iter().zip(&mut self.widths).filter(|(column, _)| column.kind.gives_way_as(kind));
            match columns.filter_map(|(_, width)| width.as_mut()).max_by_key(|width| **width).filter(|width| **width > least) {
                Some(width) => *width -= 1,
                None => return,
            }
        }
    }

    fn titles(&self) -> Vec<Cell> {
        let title = |column: &Column| if self.short_titles { column.short } else { column.title };
        self.columns.iter().map(|column| Cell::styled(title(column), Style::Bold)).collect()
    }

    fn row(&self, row: &[Cell], colour: bool) -> String {
        let last = self.widths.iter().rposition(Option::is_some);
        let mut line = String::new();
        for (index, (column, cell)) in self.columns.iter().zip(row).enumerate() {
            let Some(width) = self.widths[index] else { continue };
            let text = match column.kind {
                Kind::Flexible if self.cutting => cut(&cell.text, width),
                Kind::Path if self.cutting => cut_start(&cell.text, width),
                Kind::Name if self.cutting => cut_name(&cell.text, width),
                Kind::Uid if self.cutting => cut_uid(&cell.text, width),
                _ => Cow::Borrowed(cell.text.as_str()),
            };
            let padding = " ".repeat(width.saturating_sub(text.width()));
            let text = cell.style.paint(colour && !text.is_empty(), &text);
            if !line.is_empty() {
                line.push_str("  ");
            }
            match (column.right, Some(index) == last) {
                (true, _) => line.push_str(&(padding + &text)),
                (false, true) => line.push_str(&text),
                (false, false) => line.push_str(&(text + &padding)),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(texts: &[&str]) -> Vec<Cell> {
        texts.iter().map(Cell::new).collect()
    }

    #[test]
    fn a_table_fits_the_terminal_by_cutting_what_may_be_cut() {
        let columns = [text("uid"), number("n"), flexible("headers")];
        let rows = [cells(&["0123456789", "7", &"x".repeat(300)]), cells(&["a", "12", "漢字漢字漢字漢字漢字漢字漢字漢字漢字"])];
        let layout = Layout::of(&columns, &rows, Some(40));
        for row in &rows {
            let line = layout.row(row, false);
            assert!(line.width() <= 40, "{line}");
            assert!(line.ends_with('…'), "{line}");
        }
        assert!(layout.row(&rows[0], false).starts_with("0123456789   7  x"));
    }

    #[test]
    fn the_end_of_a_path_is_kept() {
        let columns = [path("file"), text("tag"), flexible("why").spare(Spare::First), flexible("description").spare(Spare::Last)];
        let rows = [cells(&["/usr/share/samples/漢字/setup.exe", "runnable:win32:exe", "because", "PE32 executable"])];
        let shown = |width: usize| lines(&columns, &rows, width).pop().unwrap_or_default();
        assert_eq!(shown(70), "/usr/share/samples/漢字/setup.exe  runnable:win32:exe  PE32 executable");
        assert_eq!(shown(53), "…/漢字/setup.exe  runnable:win32:exe  PE32 executable");
        assert_eq!(shown(34), "…字/setup.exe   runnable:win32:exe");
        for width in 22..80 {
            assert!(shown(width).width() <= width, "{width}: {}", shown(width));
        }
    }

    #[test]
    fn names_are_told_apart_at_any_width() {
        let columns = [
            name("service"),
            number("started").short("run").spare(Spare::Last),
            text("version").spare(Spare::First),
            flexible("note").spare(Spare::Second),
        ];
        let rows = [cells(&["karton.config-extractor", "1", "5.9.0", "no consumers"]), cells(&["karton.archive-extractor", "22", "-", ""])];
        let shown = |width: usize| {
            let layout = Layout::of(&columns, &rows, Some(width));
            let mut lines = vec![layout.row(&layout.titles(), false)];
            lines.extend(rows.iter().map(|row| layout.row(row, false)));
            assert!(lines.iter().all(|line| line.width() <= width), "{width}: {lines:?}");
            lines
        };
        assert_eq!(shown(56)[0].split_whitespace().collect::<Vec<_>>(), ["service", "started", "version", "note"]);
        assert_eq!(shown(50)[0].split_whitespace().collect::<Vec<_>>(), ["service", "started", "note"]);
        assert_eq!(shown(43)[1], "karton.config-extractor     1  no consumers");
        assert_eq!(shown(42)[1], "karton.config-extractor     1");
        assert_eq!(shown(24)[1..], ["…config-extractor      1", "…archive-extractor    22"]);
        assert_eq!(shown(12)[1..], ["…config-ext…", "…archive-ex…"]);
        for width in 1..12 {
            shown(width);
        }
    }

    #[test]
    fn uids_become_short_before_names_tell_nothing() {
        let columns =
            [text("status"), text("age").spare(Spare::Second), name("service"), flexible("headers").spare(Spare::Last), uid("task")];
        let rows = [cells(&["Finished", "2m10s", "karton.classifier", "type=sample kind=raw", "01234567-89ab-cdef-0123-456789abcdef"])];
        let shown = |width: usize| Layout::of(&columns, &rows, Some(width)).row(&rows[0], false);
        assert_eq!(shown(64), "Finished  …classifier       01234567-89ab-cdef-0123-456789abcdef");
        assert_eq!(shown(60), "Finished  karton.classifier  type=sample kind=raw  01234567");
        assert_eq!(shown(40), "Finished  karton.classifier  01234567");
        assert_eq!(shown(36), "Finished  …classifier       01234567");
        for width in 12..100 {
            assert!(shown(width).width() <= width.max(22), "{width}: {}", shown(width));
        }
    }

    #[test]
    fn a_pipe_gets_everything_and_no_colours() {
        let columns = [name("a").spare(Spare::First), text("b")];
        let rows = [cells(&[&"x".repeat(300), "y"])];
        assert_eq!(Layout::of(&columns, &rows, None).row(&rows[0], false), "x".repeat(300) + "  y");
    }
}
