//! Printing: lines and JSON on standard output, in colours where somebody looks; [`table`]s that fit, of [`text`] that
//! cannot act on a terminal.
//!
//! The one rule: what comes from Redis is printed through [`escape`], because headers and errors are
//! made by anyone who can send a task. Colours and cutting to the width are for terminals alone.

mod table;
mod text;

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

pub use table::{Cell, Column, Spare, flexible, lines, path, text};
pub(super) use table::{SHORT_UID, Table, name, number, uid};
pub(super) use text::{cut, cut_name, cut_uid, escape, escape_bytes, escape_lines};

use crate::{json::Value, service};

/// Columns of a terminal that does not tell.
const USUAL_WIDTH: usize = 80;

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
    /// Nobody has to read it.
    goes_on: bool,
}

impl Out {
    /// Of a command that only looks: it ends when nobody reads any more.
    pub(super) fn new() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let width = terminal.then(terminal_width);
        Self { out: BufWriter::new(stdout), width, colour: terminal && service::colours_wanted(), goes_on: false }
    }

    /// Of a command that does something, or whose exit code says something: it goes on to its end when
    /// nobody reads any more, as after `| head`.
    pub(super) fn of_deeds() -> Self {
        Self { goes_on: true, ..Self::new() }
    }

    fn heed(&self, outcome: io::Result<()>) -> io::Result<()> {
        match outcome {
            Err(error) if self.goes_on && error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            outcome => outcome,
        }
    }

    /// Columns that a line may have.
    pub(super) fn width(&self) -> usize {
        self.width.unwrap_or(usize::MAX)
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.width.is_some()
    }

    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        style.paint(self.colour, text)
    }

    pub(super) fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        let outcome = writeln!(self.out, "{}", text.as_ref());
        self.heed(outcome)
    }

    /// Text as it is, without a newline.
    pub(super) fn raw(&mut self, text: &str) -> io::Result<()> {
        let outcome = self.out.write_all(text.as_bytes());
        self.heed(outcome)
    }

    pub(super) fn json(&mut self, value: &Value) -> io::Result<()> {
        self.line(value.to_json())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        let outcome = self.out.flush();
        self.heed(outcome)
    }
}

/// Columns of the terminal now: it may have been resized.
pub fn terminal_width() -> usize {
    terminal_size::terminal_size().map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0))
}
