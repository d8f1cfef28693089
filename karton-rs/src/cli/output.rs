//! Printing: lines, JSON, tables that fit, and text that cannot act on a terminal.
//!
//! The one rule: what comes from Redis is printed through [`escape`], because headers and errors are
//! made by anyone who can send a task. Colours and cutting to the width are for terminals alone.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::{json::Value, service};

/// Columns of a terminal that does not tell.
const USUAL_WIDTH: usize = 80;
/// What a column that may be cut keeps at least.
const LEAST_WIDTH: usize = 8;
/// Rows that are looked at to choose the widths of the columns.
const ROWS_AHEAD: usize = 200;

/// How a piece of text stands out on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Cyan,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
        }
    }

    /// The text in this style, when there are colours.
    pub(super) fn paint(self, colour: bool, text: &str) -> String {
        if colour && self != Self::Plain { format!("\x1b[{}m{text}\x1b[0m", self.code()) } else { text.to_owned() }
    }
}

/// Standard output.
pub(super) struct Out {
    out: BufWriter<Stdout>,
    /// Columns, when it is a terminal.
    width: Option<usize>,
    colour: bool,
}

impl Out {
    pub(super) fn new() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let width = terminal.then(terminal_width);
        Self { out: BufWriter::new(stdout), width, colour: terminal && service::colours_wanted() }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.width.is_some()
    }

    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        style.paint(self.colour, text)
    }

    pub(super) fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.out, "{}", text.as_ref())
    }

    /// Text as it is, without a newline.
    pub(super) fn raw(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    pub(super) fn json(&mut self, value: &Value) -> io::Result<()> {
        self.line(value.to_json())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Columns of the terminal now: it may have been resized.
pub(super) fn terminal_width() -> usize {
    terminal_size::terminal_size().map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0))
}

/// Text without anything that moves a cursor, changes a colour, hides or reorders what is read.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if acts(c) && u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if acts(c) => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// As [`escape`], for text of several lines.
pub(super) fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

/// As [`escape`], for bytes that may be no text.
pub(super) fn escape_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&escape(chunk.valid()));
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out
}

fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The beginning of a text that fits into `width` columns, with a sign that something is missing.
pub(super) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut used = 0;
    let mut kept = String::new();
    for character in text.chars() {
        let columns = character.width().unwrap_or(0);
        if used + columns + 1 > width {
            break;
        }
        used += columns;
        kept.push(character);
    }
    kept.push('…');
    Cow::Owned(kept)
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    title: &'static str,
    right: bool,
    /// May be cut on a terminal that is too narrow.
    flexible: bool,
}

/// Text, aligned to the left, shown whole.
pub(super) const fn text(title: &'static str) -> Column {
    Column { title, right: false, flexible: false }
}

/// Text that may be cut.
pub(super) const fn flexible(title: &'static str) -> Column {
    Column { title, right: false, flexible: true }
}

/// Numbers, aligned to the right.
pub(super) const fn number(title: &'static str) -> Column {
    Column { title, right: true, flexible: false }
}

/// What stands in a table; escaped.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Self::styled(text, Style::Plain)
    }

    pub(super) fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: escape(text.as_ref()).into_owned(), style }
    }

    /// A number; nothing stands out less than a zero.
    pub(super) fn count(count: u64, style: Style) -> Self {
        Self { text: count.to_string(), style: if count == 0 { Style::Dim } else { style } }
    }
}

/// A table that is printed while its rows come in: the first rows decide about the widths.
pub(super) struct Table<'a> {
    out: &'a mut Out,
    columns: Vec<Column>,
    waiting: Vec<Vec<Cell>>,
    widths: Option<Vec<usize>>,
}

impl<'a> Table<'a> {
    pub(super) fn new(out: &'a mut Out, columns: &[Column]) -> Self {
        Self { out, columns: columns.to_vec(), waiting: Vec::new(), widths: None }
    }

    pub(super) fn row(&mut self, row: Vec<Cell>) -> io::Result<()> {
        self.waiting.push(row);
        if self.waiting.len() >= ROWS_AHEAD { self.print() } else { Ok(()) }
    }

    /// Prints what is left; a table without rows prints nothing.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.print()
    }

    fn print(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let (limit, colour) = (self.out.width, self.out.colour);
        let widths = if let Some(widths) = self.widths.take() {
            widths
        } else {
            let widths = widths(&self.columns, &self.waiting, limit);
            let titles: Vec<Cell> = self.columns.iter().map(|column| Cell::styled(column.title, Style::Bold)).collect();
            let head = format_row(&self.columns, &titles, &widths, limit.is_some(), colour);
            self.out.line(head)?;
            widths
        };
        for row in std::mem::take(&mut self.waiting) {
            let line = format_row(&self.columns, &row, &widths, limit.is_some(), colour);
            self.out.line(line)?;
        }
        self.widths = Some(widths);
        Ok(())
    }
}

/// Widths of the columns: what the rows need, less on a terminal that has less.
fn widths(columns: &[Column], rows: &[Vec<Cell>], limit: Option<usize>) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|column| column.title.width()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.width());
        }
    }
    let Some(limit) = limit else { return widths };
    let gaps = 2 * columns.len().saturating_sub(1);
    loop {
        let used = widths.iter().sum::<usize>() + gaps;
        let widest = (0..columns.len()).filter(|index| columns[*index].flexible).max_by_key(|index| widths[*index]);
        match widest.filter(|index| used > limit && widths[*index] > LEAST_WIDTH) {
            Some(index) => widths[index] -= 1,
            None => return widths,
        }
    }
}

fn format_row(columns: &[Column], row: &[Cell], widths: &[usize], cutting: bool, colour: bool) -> String {
    let mut line = String::new();
    for (index, ((column, cell), width)) in columns.iter().zip(row).zip(widths).enumerate() {
        let text = if cutting && column.flexible { cut(&cell.text, *width) } else { Cow::Borrowed(cell.text.as_str()) };
        let padding = " ".repeat(width.saturating_sub(text.width()));
        let text = cell.style.paint(colour && !text.is_empty(), &text);
        if index > 0 {
            line.push_str("  ");
        }
        match (column.right, index + 1 == columns.len()) {
            (true, _) => line.push_str(&(padding + &text)),
            (false, true) => line.push_str(&text),
            (false, false) => line.push_str(&(text + &padding)),
        }
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(texts: &[&str]) -> Vec<Cell> {
        texts.iter().map(Cell::new).collect()
    }

    #[test]
    fn nothing_that_acts_on_a_terminal_passes() {
        assert_eq!(escape("plain ünïcödé 漢"), "plain ünïcödé 漢");
        assert_eq!(escape("\x1b[2Jgone\x07\r\n\t"), "\\x1b[2Jgone\\x07\\r\\n\\t");
        assert_eq!(escape("exe.\u{202e}txt\u{9b}31m"), "exe.\\u{202e}txt\\x9b31m");
        assert_eq!(escape_bytes(b"a\xff\x1b"), "a\\xff\\x1b");
    }

    #[test]
    fn a_table_fits_the_terminal_by_cutting_what_may_be_cut() {
        let columns = [text("uid"), number("n"), flexible("headers")];
        let rows = [cells(&["0123456789", "7", &"x".repeat(300)]), cells(&["a", "12", "漢字漢字漢字漢字漢字漢字漢字漢字漢字"])];
        let widths = widths(&columns, &rows, Some(40));
        for row in &rows {
            let line = format_row(&columns, row, &widths, true, false);
            assert!(line.width() <= 40, "{line}");
            assert!(line.ends_with('…'), "{line}");
        }
        assert!(format_row(&columns, &rows[0], &widths, true, false).starts_with("0123456789   7  x"));
    }

    #[test]
    fn a_pipe_gets_everything_and_no_colours() {
        let columns = [flexible("a"), text("b")];
        let rows = [cells(&[&"x".repeat(300), "y"])];
        let widths = widths(&columns, &rows, None);
        assert_eq!(format_row(&columns, &rows[0], &widths, false, false), "x".repeat(300) + "  y");
    }
}
