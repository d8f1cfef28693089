//! Reads a piece of a file for its page.
//!
//! The one rule: whatever the file and the store are like, the page comes: a piece is bounded, and a
//! store that does not answer in time is a line on the page.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::view::{
    object::Content,
    preview::{Body, Found, HexLine, Look, Preview},
    text::Block,
};
use crate::{content::StoreError, state::App};

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// Characters in a row that make a string.
const SHORTEST_STRING: usize = 4;
/// Strings that one piece shows, and how much of each.
const MOST_STRINGS: usize = 500;
const LONGEST_STRING: usize = 512;

/// What the address of a page asks to see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) look: Look,
    pub(super) at: u64,
}

impl Wanted {
    /// Whatever is no way to look shows the first bytes.
    pub(super) fn new(view: Option<&str>, at: Option<u64>) -> Self {
        let look = Look::ALL.into_iter().find(|look| Some(look.word()) == view).unwrap_or(Look::Hex);
        Self { look, at: at.unwrap_or(0) }
    }
}

/// The piece, or why it cannot be shown.
pub(super) async fn content(app: &App, sha256: &str, wanted: Wanted) -> Content {
    let away = "The store of file content does not answer at the moment. All else on this page is as it should be.";
    match tokio::time::timeout(PATIENCE, read(app, sha256, wanted)).await {
        Ok(Ok(Some(preview))) => Content::Preview(preview),
        // `check` and downloads tell of it, too.
        Ok(Ok(None)) => Content::Away("The content of this file is missing in the store."),
        Ok(Err(error)) => {
            tracing::warn!("the content of {sha256} cannot be shown: {error:#}");
            Content::Away(away)
        }
        Err(_) => {
            tracing::warn!("the content of {sha256} cannot be shown: the store did not answer within {PATIENCE:?}");
            Content::Away(away)
        }
    }
}

async fn read(app: &App, sha256: &str, Wanted { look, at }: Wanted) -> anyhow::Result<Option<Preview>> {
    let found = match app.store.find(sha256).await {
        Err(StoreError::Missing(_)) => None,
        found => found?,
    };
    let Some(found) = found else { return Ok(None) };
    let size = found.size;
    // Beyond the end is the end.
    let at = at.min(size.saturating_sub(1));
    let at = if look == Look::Hex { at / 16 * 16 } else { at };
    let length = look.piece().min(size - at);
    let mut bytes = Vec::with_capacity(usize::try_from(length)?);
    found.read(at, length).await?.take(length).read_to_end(&mut bytes).await?;
    let end = at + bytes.len() as u64;
    let is_last = end >= size;
    let preview = |end, body| Preview { file: sha256.to_owned(), look, at, end, size, body };
    Ok(Some(match look {
        Look::Hex => {
            let lines = bytes.chunks(16).zip((at..).step_by(16)).map(|(bytes, offset)| HexLine { offset, bytes: bytes.to_vec() });
            preview(end, Body::Hex(lines.collect()))
        }
        Look::Text => {
            let whole = whole_characters(&bytes, is_last);
            let text = String::from_utf8_lossy(&bytes[..whole]);
            preview(at + whole as u64, Body::Text(Block::new(&text, usize::MAX)))
        }
        Look::Strings => {
            let (strings, read) = strings(&bytes, at, is_last);
            preview(at + read as u64, Body::Strings(strings))
        }
    }))
}

/// How many bytes there are before a character that the end of the piece would cut.
fn whole_characters(bytes: &[u8], is_last: bool) -> usize {
    let start = bytes.iter().rposition(|byte| byte & 0xc0 != 0x80);
    match start.filter(|start| !is_last && *start > 0 && bytes.len() - start < 4) {
        Some(start) if std::str::from_utf8(&bytes[start..]).is_err_and(|error| error.error_len().is_none()) => start,
        _ => bytes.len(),
    }
}

/// The strings of a piece, in ASCII or as Windows has them in two bytes a character; and how much of
/// the piece was looked at. What the end cuts is for the next piece.
fn strings(bytes: &[u8], at: u64, is_last: bool) -> (Vec<Found>, usize) {
    let readable = |byte: u8| (0x20..0x7f).contains(&byte) || byte == b'\t';
    let mut found = Vec::new();
    let mut start = 0;
    while start < bytes.len() {
        let narrow = bytes[start..].iter().take_while(|byte| readable(**byte)).count();
        let pairs = bytes[start..].chunks_exact(2);
        let wide = pairs.take_while(|pair| readable(pair[0]) && pair[1] == 0).count();
        let (length, step) = if wide > narrow { (wide, 2) } else { (narrow, 1) };
        if length < SHORTEST_STRING {
            start += length.max(1);
            continue;
        }
        let end = start + length * step;
        let is_cut = !is_last && end + 1 >= bytes.len() && start > 0;
        if is_cut || found.len() == MOST_STRINGS {
            return (found, start);
        }
        let mut text: String = bytes[start..end].iter().step_by(step).take(LONGEST_STRING).map(|byte| char::from(*byte)).collect();
        if length > LONGEST_STRING {
            text.push('…');
        }
        found.push(Found { offset: at + start as u64, text: text.into() });
        start = end;
    }
    (found, bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8], is_last: bool) -> (Vec<(u64, String)>, usize) {
        let (found, read) = strings(bytes, 100, is_last);
        (found.into_iter().map(|found| (found.offset, found.text.raw().to_owned())).collect(), read)
    }

    #[test]
    fn strings_of_both_widths_are_found_with_their_place() {
        let (found, read) = texts(b"\x00\x01abc\x00hello\xffw\x00i\x00d\x00e\x00\xff", true);
        assert_eq!(found, [(106, "hello".to_owned()), (112, "wide".to_owned())]);
        assert_eq!(read, 21);
    }

    #[test]
    fn a_string_that_the_end_of_a_piece_cuts_is_left_to_the_next() {
        assert_eq!(texts(b"one two\x00cut he", false), (vec![(100, "one two".to_owned())], 8));
        assert_eq!(texts(b"one two\x00cut he", true).0.len(), 2);
        // One that fills the piece is shown: otherwise nothing would move on.
        assert_eq!(texts(b"endless text", false).1, 12);
    }

    #[test]
    fn strings_are_bounded_and_the_next_piece_goes_on() {
        let many = b"abcd\x00".repeat(MOST_STRINGS + 10);
        let (found, read) = texts(&many, true);
        assert_eq!((found.len(), read), (MOST_STRINGS, MOST_STRINGS * 5));
        let (found, _) = texts(&b"x".repeat(10_000), true);
        assert_eq!(found[0].1.chars().count(), LONGEST_STRING + 1);
    }

    #[test]
    fn text_is_cut_between_characters() {
        let bytes = "aä€".as_bytes();
        assert_eq!(whole_characters(bytes, false), 6);
        assert_eq!(whole_characters(&bytes[..5], false), 3);
        assert_eq!(whole_characters(&bytes[..2], false), 1);
        assert_eq!(whole_characters(&bytes[..5], true), 5);
        assert_eq!(whole_characters(b"\xff\xfe\x80\x80\x80\x80", false), 6);
    }
}
