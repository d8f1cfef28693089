//! The part of Markdown that templates of attributes use: paragraphs, headings, lists, tables, fenced
//! code, rules; bold, italics, code, links, line breaks.
//!
//! Only characters that the template has mean anything. What is not understood is text.

use super::{
    super::view::{
        rich::{Block, Inline, Rich},
        text,
    },
    Glyph,
};

/// How far the end of a mark may be from its beginning, so that no text takes quadratic time.
const REACH: usize = 4096;
/// How deep marks may be nested.
const DEEPEST: usize = 6;

type Line<'a> = &'a [Glyph];

pub(super) fn parse(glyphs: &[Glyph]) -> Rich {
    let lines: Vec<Line<'_>> = glyphs.split(|glyph| glyph.is('\n')).collect();
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        at += block(&lines[at..], &mut blocks);
    }
    Rich(blocks)
}

/// Reads a block; gives how many lines it had.
fn block(lines: &[Line<'_>], blocks: &mut Vec<Block>) -> usize {
    let line = trimmed(lines[0]);
    if line.is_empty() {
        return 1;
    }
    if starts(line, "```") {
        let end = lines[1..].iter().position(|line| starts(trimmed(line), "```")).unwrap_or(lines.len() - 1);
        let code: Vec<String> = lines[1..=end].iter().map(|line| plain(line)).collect();
        blocks.push(Block::Code(text::Block::new(&code.join("\n"), usize::MAX)));
        return (end + 2).min(lines.len());
    }
    if let Some(level) = heading(line) {
        blocks.push(Block::Heading(level, inline(trimmed(&line[level..]), 0)));
        return 1;
    }
    if line.len() >= 3 && line.iter().all(|glyph| glyph.is('-')) {
        blocks.push(Block::Rule);
        return 1;
    }
    if lines.len() > 1 && is_row(line) && is_separator(trimmed(lines[1])) {
        let rows = lines[2..].iter().take_while(|line| is_row(trimmed(line)));
        let rows: Vec<_> = rows.map(|line| cells(trimmed(line))).collect();
        let count = rows.len();
        blocks.push(Block::Table { head: cells(line), rows });
        return count + 2;
    }
    if let Some((ordered, _)) = item(line) {
        let items = lines.iter().map_while(|line| item(trimmed(line)).filter(|(kind, _)| *kind == ordered));
        let items: Vec<_> = items.map(|(_, rest)| inline(rest, 0)).collect();
        let count = items.len();
        blocks.push(Block::List { ordered, items });
        return count;
    }
    let more = lines[1..].iter().take_while(|line| {
        let line = trimmed(line);
        !line.is_empty() && heading(line).is_none() && item(line).is_none() && !starts(line, "```") && !is_row(line)
    });
    let count = 1 + more.count();
    let mut paragraph = Vec::new();
    for (place, line) in lines[..count].iter().enumerate() {
        if place > 0 {
            paragraph.push(Inline::Break);
        }
        paragraph.extend(inline(trimmed(line), 0));
    }
    blocks.push(Block::Paragraph(paragraph));
    count
}

fn trimmed(line: Line<'_>) -> Line<'_> {
    let start = line.iter().position(|glyph| !glyph.is_blank()).unwrap_or(line.len());
    let end = line.iter().rposition(|glyph| !glyph.is_blank()).map_or(start, |end| end + 1);
    &line[start..end]
}

fn starts(line: Line<'_>, marks: &str) -> bool {
    line.len() >= marks.len() && line.iter().zip(marks.chars()).all(|(glyph, mark)| glyph.is(mark))
}

fn plain(glyphs: &[Glyph]) -> String {
    glyphs.iter().map(|glyph| glyph.character).collect()
}

fn heading(line: Line<'_>) -> Option<usize> {
    let level = line.iter().take_while(|glyph| glyph.is('#')).count();
    ((1..=6).contains(&level) && line.get(level).is_some_and(|glyph| glyph.is_blank())).then_some(level)
}

/// What stands in an item of a list, and whether the list counts.
fn item(line: Line<'_>) -> Option<(bool, Line<'_>)> {
    let digits = line.iter().take_while(|glyph| glyph.written && glyph.character.is_ascii_digit()).count();
    let (ordered, marks) = match line.first()? {
        glyph if glyph.is('-') || glyph.is('*') || glyph.is('+') => (false, 1),
        _ if digits > 0 && line.get(digits)?.is('.') => (true, digits + 1),
        _ => return None,
    };
    line.get(marks)?.is_blank().then(|| (ordered, trimmed(&line[marks..])))
}

fn is_row(line: Line<'_>) -> bool {
    line.len() > 1 && line[0].is('|')
}

fn is_separator(line: Line<'_>) -> bool {
    is_row(line) && line.iter().all(|glyph| glyph.written && matches!(glyph.character, '|' | '-' | ':' | ' '))
}

fn cells(line: Line<'_>) -> Vec<Vec<Inline>> {
    let inside = &line[1..];
    let inside = if inside.last().is_some_and(|glyph| glyph.is('|')) { &inside[..inside.len() - 1] } else { inside };
    inside.split(|glyph| glyph.is('|')).map(|cell| inline(trimmed(cell), 0)).collect()
}

/// The place of the first of these marks, in reach.
fn find(glyphs: &[Glyph], marks: &str) -> Option<usize> {
    (0..glyphs.len().min(REACH)).find(|at| starts(&glyphs[*at..], marks))
}

fn inline(glyphs: &[Glyph], depth: usize) -> Vec<Inline> {
    let mut out = Vec::new();
    let mut text = String::new();
    let mut at = 0;
    while at < glyphs.len() {
        let rest = &glyphs[at..];
        if rest[0].is('\\') && rest.get(1).is_some_and(|next| next.written && next.character.is_ascii_punctuation()) {
            text.push(rest[1].character);
            at += 2;
            continue;
        }
        // A line break in a value is one on the page.
        let found = if rest[0].character == '\n' { Some((Inline::Break, 1)) } else { mark(rest, &text, depth) };
        let Some((inline, length)) = found else {
            text.push(rest[0].character);
            at += 1;
            continue;
        };
        if !text.is_empty() {
            out.push(Inline::Text(std::mem::take(&mut text).into()));
        }
        out.push(inline);
        at += length;
    }
    if !text.is_empty() {
        out.push(Inline::Text(text.into()));
    }
    out
}

/// What begins here, if anything, and how long it is.
fn mark(rest: &[Glyph], before: &str, depth: usize) -> Option<(Inline, usize)> {
    if depth >= DEEPEST || !rest[0].written {
        return None;
    }
    let inside_word = before.chars().next_back().is_some_and(char::is_alphanumeric);
    let pair = |marks: &str| {
        let inner = rest.get(marks.len()..)?;
        let end = find(inner, marks).filter(|end| *end > 0 && !inner[0].is_blank())?;
        Some((&inner[..end], end + 2 * marks.len()))
    };
    match rest[0].character {
        '`' => {
            let (inner, length) = pair("`")?;
            Some((Inline::Code(plain(inner).into()), length))
        }
        '*' if starts(rest, "**") => pair("**").map(|(inner, length)| (Inline::Strong(inline(inner, depth + 1)), length)),
        '*' => pair("*").map(|(inner, length)| (Inline::Emphasis(inline(inner, depth + 1)), length)),
        '_' if !inside_word => pair("_").map(|(inner, length)| (Inline::Emphasis(inline(inner, depth + 1)), length)),
        '[' => {
            let middle = find(&rest[1..], "](")? + 1;
            let end = find(&rest[middle + 2..], ")")? + middle + 2;
            let label = inline(&rest[1..middle], depth + 1);
            let address = &rest[middle + 2..end];
            let inline = match href(address) {
                Some(href) => Inline::Link(href, label),
                None => Inline::NoLink(label, plain(address).into()),
            };
            Some((inline, end + 1))
        }
        _ => None,
    }
}

/// The address of a link: of this server or of the web, and the template alone says of which server.
fn href(address: &[Glyph]) -> Option<String> {
    let address = trimmed(address);
    let mut href = String::new();
    for glyph in address {
        if glyph.written {
            href.push(glyph.character);
        } else {
            href.push_str(&text::encode_field(&glyph.character.to_string()));
        }
    }
    if href.chars().any(|character| character.is_control() || character.is_whitespace() || character == '\\') {
        return None;
    }
    if starts(address, "/") {
        return (!href.starts_with("//")).then_some(href);
    }
    let scheme = ["https://", "http://"].into_iter().find(|scheme| starts(address, scheme))?;
    let server = address[scheme.len()..].iter().take_while(|glyph| !(glyph.is('/') || glyph.is('?') || glyph.is('#')));
    let (mut length, mut written) = (0, true);
    for glyph in server {
        length += 1;
        written &= glyph.written;
    }
    (length > 0 && written).then_some(href)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(markdown: &str) -> String {
        let glyphs: Vec<Glyph> = markdown.chars().map(|character| Glyph { character, written: true }).collect();
        parse(&glyphs).to_string()
    }

    #[test]
    fn blocks_are_told_apart() {
        let cases = [
            ("# One\ntext\nmore\n\nnext", "<h3>One</h3><p>text<br>more</p><p>next</p>"),
            ("- a\n- b\n1. c\n2. d", "<ul><li>a</li><li>b</li></ul><ol><li>c</li><li>d</li></ol>"),
            ("```\n<x>\n**y**\n```\nz", "<pre>&lt;x&gt;\n**y**</pre><p>z</p>"),
            ("```\nopen", "<pre>open</pre>"),
            ("a\n---\nb", "<p>a<br>---<br>b</p>"),
            ("---\nb", "<hr><p>b</p>"),
            (
                "|a|b|\n|:-|-|\n|c|d|\ne",
                "<table class=work><thead><tr><th scope=col>a</th><th scope=col>b</th></tr></thead><tbody><tr><td>c</td><td>d</td></tr></tbody></table><p>e</p>",
            ),
            ("|no table", "<p>|no table</p>"),
        ];
        for (markdown, expected) in cases {
            assert_eq!(html(markdown), expected, "{markdown}");
        }
    }

    #[test]
    fn marks_in_a_line_are_told_apart() {
        let cases = [
            ("**a *b* c** `d*e*` _f_ g_h_i", "<p><strong>a <em>b</em> c</strong> <code>d*e*</code> <em>f</em> g_h_i</p>"),
            ("2 * 3 * 4 ** 5 `", "<p>2 * 3 * 4 ** 5 `</p>"),
            (r"\*a\* \[b\](c)", "<p>*a* [b](c)</p>"),
            (
                "[**a**](https://x.test/?a=b&c)",
                "<p><a href=\"https://x.test/?a=b&#38;c\" rel=\"noopener noreferrer nofollow\"><strong>a</strong></a></p>",
            ),
            ("[a](javascript:x) [b](c", "<p>a (javascript:x) [b](c</p>"),
            ("<b>&amp;", "<p>&lt;b&gt;&amp;amp;</p>"),
        ];
        for (markdown, expected) in cases {
            assert_eq!(html(markdown), expected, "{markdown}");
        }
    }

    /// What this thread has computed, in hundredths of a second: that is the same on a busy machine.
    fn computed() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("figures of this thread");
        let (_, figures) = stat.rsplit_once(')').expect("a name");
        figures.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks")).sum()
    }

    #[test]
    fn no_text_takes_long() {
        let before = computed();
        for mark in ["[", "*", "**", "`", "_", "[]( ", "a*", "|", "- "] {
            html(&mark.repeat(20_000));
        }
        let took = computed() - before;
        assert!((1..2000).contains(&took), "{took}");
    }
}
