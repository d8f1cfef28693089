//! Formatted text, as it stands after Markdown: a tree of the few elements there are.
//!
//! The one rule: it writes itself, and all text in it is [`Text`] or [`text::Block`].

use std::fmt::{self, Write as _};

use askama::{FastWritable, NO_VALUES, Values, filters::HtmlSafe};

use super::text::{self, Text};

/// A piece of formatted text.
#[derive(Debug, PartialEq)]
pub(crate) struct Rich(pub(crate) Vec<Block>);

/// What stands below another.
#[derive(Debug, PartialEq)]
pub(crate) enum Block {
    Paragraph(Vec<Inline>),
    /// With its level, from 1.
    Heading(usize, Vec<Inline>),
    List {
        ordered: bool,
        items: Vec<Vec<Inline>>,
    },
    Table {
        head: Vec<Vec<Inline>>,
        rows: Vec<Vec<Vec<Inline>>>,
    },
    Code(text::Block),
    Rule,
}

/// What stands in a line.
#[derive(Debug, PartialEq)]
pub(crate) enum Inline {
    Text(Text),
    Code(Text),
    Strong(Vec<Self>),
    Emphasis(Vec<Self>),
    /// An address that was found to be safe, and what is linked.
    Link(String, Vec<Self>),
    /// What was to be linked, and an address that nobody is led to.
    NoLink(Vec<Self>, Text),
    Break,
}

impl HtmlSafe for Rich {}

impl fmt::Display for Rich {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        FastWritable::write_into(self, f, NO_VALUES).map_err(|_| fmt::Error)
    }
}

impl FastWritable for Rich {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        let mut html = String::new();
        self.0.iter().try_for_each(|block| block.write(&mut html))?;
        Ok(dest.write_str(&html)?)
    }
}

impl Block {
    fn write(&self, out: &mut String) -> fmt::Result {
        let line = |out: &mut String, open: &str, inlines: &[Inline], close: &str| {
            out.push_str(open);
            write_all(out, inlines)?;
            out.push_str(close);
            Ok::<(), fmt::Error>(())
        };
        match self {
            Self::Paragraph(inlines) => line(out, "<p>", inlines, "</p>"),
            Self::Heading(level, inlines) => {
                // Below the heading of the box.
                let level = (level + 2).min(6);
                line(out, &format!("<h{level}>"), inlines, &format!("</h{level}>"))
            }
            Self::List { ordered, items } => {
                let name = if *ordered { "ol" } else { "ul" };
                write!(out, "<{name}>")?;
                items.iter().try_for_each(|item| line(out, "<li>", item, "</li>"))?;
                write!(out, "</{name}>")
            }
            Self::Table { head, rows } => {
                out.push_str("<table class=work><thead><tr>");
                head.iter().try_for_each(|cell| line(out, "<th scope=col>", cell, "</th>"))?;
                out.push_str("</tr></thead><tbody>");
                for row in rows {
                    out.push_str("<tr>");
                    row.iter().try_for_each(|cell| line(out, "<td>", cell, "</td>"))?;
                    out.push_str("</tr>");
                }
                out.push_str("</tbody></table>");
                Ok(())
            }
            Self::Code(code) => write!(out, "<pre>{code}</pre>"),
            Self::Rule => {
                out.push_str("<hr>");
                Ok(())
            }
        }
    }
}

fn write_all(out: &mut String, inlines: &[Inline]) -> fmt::Result {
    for inline in inlines {
        match inline {
            Inline::Text(text) => write!(out, "{text}")?,
            Inline::Code(text) => write!(out, "<code>{text}</code>")?,
            Inline::Strong(inner) => wrapped(out, "strong", inner)?,
            Inline::Emphasis(inner) => wrapped(out, "em", inner)?,
            Inline::Link(href, inner) => {
                let href = askama::filters::escape(href, askama::filters::Html).map_err(|_| fmt::Error)?;
                write!(out, "<a href=\"{href}\" rel=\"noopener noreferrer nofollow\">")?;
                write_all(out, inner)?;
                out.push_str("</a>");
            }
            Inline::NoLink(inner, address) => {
                write_all(out, inner)?;
                write!(out, " ({address})")?;
            }
            Inline::Break => out.push_str("<br>"),
        }
    }
    Ok(())
}

fn wrapped(out: &mut String, name: &str, inner: &[Inline]) -> fmt::Result {
    write!(out, "<{name}>")?;
    write_all(out, inner)?;
    write!(out, "</{name}>")
}
