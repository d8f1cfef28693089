//! Prints findings: as a table, as columns for other programs, as text with explanations, or as JSON.
//!
//! The one rule: text from a sample is **escaped** wherever it is not JSON, as a terminal would obey its control
//! characters and a script would see lines and columns that are none.

use std::io::{Result, Write};

use karton_rs::cli::table::{Cell, Spare, flexible, lines, path, terminal_width, text};

use super::finding::{Answer, Finding};

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Aligned, with a heading, and fitted to the terminal; printed when all files were looked at.
    Table,
    /// Separated by tabs.
    Columns,
    /// Several lines a file.
    Text,
    /// One object a line.
    Json,
}

/// Prints one finding after the other.
pub(crate) struct Printer<'a, W> {
    format: Format,
    out: &'a mut W,
    /// Of the table.
    rows: Vec<[String; 6]>,
}

impl Format {
    /// A printer of this format.
    pub(crate) fn printer<W: Write>(self, out: &mut W) -> Printer<'_, W> {
        Printer { format: self, out, rows: Vec::new() }
    }
}

impl<W: Write> Printer<'_, W> {
    /// Prints a finding, or keeps it for the table.
    pub(crate) fn print(&mut self, finding: &Finding) -> Result<()> {
        match self.format {
            Format::Table => self.rows.extend(finding.answers.iter().map(|answer| row(finding, answer))),
            Format::Columns => {
                for answer in &finding.answers {
                    writeln!(self.out, "{}", row(finding, answer).join("\t"))?;
                }
            }
            Format::Text => explained(finding, self.out)?,
            Format::Json => writeln!(self.out, "{}", finding.to_json())?,
        }
        Ok(())
    }

    /// Prints the table.
    pub(crate) fn finish(self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let columns = [
            path("FILE"),
            text("TAG"),
            text("MIME").spare(Spare::Second),
            text("RULE").spare(Spare::Second),
            flexible("WHY").spare(Spare::First),
            flexible("DESCRIPTION").spare(Spare::Last),
        ];
        let rows: Vec<Vec<Cell>> = self.rows.iter().map(|row| row.iter().map(Cell::new).collect()).collect();
        lines(&columns, &rows, terminal_width()).iter().try_for_each(|line| writeln!(self.out, "{line}"))
    }
}

fn row(finding: &Finding, answer: &Answer) -> [String; 6] {
    let tag = answer.tag.as_deref().unwrap_or("-");
    [&finding.file, tag, &finding.mime, &answer.rule, &answer.why, &finding.magic]
        .map(|cell| escape(if cell.is_empty() { "-" } else { cell }))
}

fn explained(finding: &Finding, out: &mut impl Write) -> Result<()> {
    writeln!(out, "{}", escape(&finding.file))?;
    writeln!(out, "  description  {}", escape(&finding.magic))?;
    writeln!(out, "  MIME type    {}", escape(&finding.mime))?;
    for trial in finding.tried.iter().flatten() {
        let mark = if trial.holds { "yes" } else { "no" };
        writeln!(out, "  rule {:18} {mark:3}  {}", escape(&trial.rule), escape(&trial.reasons.join("; ")))?;
    }
    for answer in &finding.answers {
        let headers: Vec<String> = answer
            .headers
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), escape)))
            .collect();
        writeln!(out, "  headers      {}", headers.join(" "))?;
        if let Some(tag) = &answer.tag {
            writeln!(out, "  tag          {}", escape(tag))?;
        }
    }
    Ok(())
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        // Also marks that turn the direction of the text around.
        if c.is_control() || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}') {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}
