//! A piece of a file, as bytes, as text, or as the strings in it.
//!
//! The one rule: a piece is bounded and knows its place in the file, so that pages lead from piece to
//! piece through a file of any size.

use super::text::{Block, Size, Text, group_digits};

/// How a piece is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Hex,
    Text,
    Strings,
}

impl Look {
    pub(crate) const ALL: [Self; 3] = [Self::Hex, Self::Text, Self::Strings];

    /// As it stands in addresses.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Text => "text",
            Self::Strings => "strings",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Hex => "Bytes",
            Self::Text => "Text",
            Self::Strings => "Strings",
        }
    }

    /// How many bytes one piece is made of. Characters that show nothing take many times their size.
    pub(crate) fn piece(self) -> u64 {
        match self {
            Self::Hex => 2 << 10,
            Self::Text => 16 << 10,
            Self::Strings => 256 << 10,
        }
    }
}

/// A piece of a file.
#[derive(Debug)]
pub(crate) struct Preview {
    /// Id of the file.
    pub(crate) file: String,
    pub(crate) look: Look,
    /// Where the piece begins, and where it ends.
    pub(crate) at: u64,
    pub(crate) end: u64,
    pub(crate) size: u64,
    pub(crate) body: Body,
}

/// What is shown of a piece.
#[derive(Debug)]
pub(crate) enum Body {
    Hex(Vec<HexLine>),
    Text(Block),
    Strings(Vec<Found>),
}

/// Characters in a row that can be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) offset: u64,
    pub(crate) text: Text,
}

impl Found {
    pub(super) fn position(&self) -> String {
        format!("{:08x}", self.offset)
    }
}

/// Sixteen bytes of a file.
#[derive(Debug)]
pub(crate) struct HexLine {
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

impl HexLine {
    pub(super) fn position(&self) -> String {
        format!("{:08x}", self.offset)
    }

    pub(super) fn hex(&self) -> String {
        let mut out = String::with_capacity(50);
        for at in 0..16 {
            if at == 8 {
                out.push(' ');
            }
            match self.bytes.get(at) {
                Some(byte) => out.push_str(&format!("{byte:02x} ")),
                None => out.push_str("   "),
            }
        }
        out
    }

    pub(super) fn text(&self) -> String {
        self.bytes.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '·' }).collect()
    }
}

impl Preview {
    /// `aria-current` of a way to look.
    pub(super) fn current(&self, look: Look) -> &'static str {
        if self.look == look { "true" } else { "false" }
    }

    pub(super) fn address(&self, look: Look, at: u64) -> String {
        let at = if at == 0 { String::new() } else { format!("&at={at}") };
        format!("/file/{}?view={}{at}#content", self.file, look.word())
    }

    pub(super) fn other(&self, look: Look) -> String {
        self.address(look, self.at)
    }

    pub(super) fn start(&self) -> String {
        self.address(self.look, 0)
    }

    pub(super) fn is_start(&self) -> bool {
        self.at == 0
    }

    pub(super) fn before(&self) -> String {
        self.address(self.look, self.at.saturating_sub(self.look.piece()))
    }

    pub(super) fn is_end(&self) -> bool {
        self.end >= self.size
    }

    pub(super) fn after(&self) -> String {
        self.address(self.look, self.end)
    }

    /// The last piece, at a place where pieces of the whole file begin.
    pub(super) fn last(&self) -> String {
        self.address(self.look, self.size.saturating_sub(1) / self.look.piece() * self.look.piece())
    }

    pub(super) fn place(&self) -> String {
        format!("Bytes {} to {} of {}", group_digits(self.at), group_digits(self.end), Size(self.size).exact())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_hex_line_keeps_its_columns() {
        let line = HexLine { offset: 16, bytes: vec![0x4d, 0x5a, 0x00] };
        assert_eq!(line.position(), "00000010");
        assert_eq!(line.hex().len(), 49);
        assert!(line.hex().starts_with("4d 5a 00 "));
        assert_eq!(line.text(), "MZ·");
    }

    #[test]
    fn pieces_lead_through_the_file() {
        let middle = Preview { file: "ab".to_owned(), look: Look::Hex, at: 4096, end: 6144, size: 10_000, body: Body::Hex(vec![]) };
        assert_eq!(
            (middle.before(), middle.after()),
            ("/file/ab?view=hex&at=2048#content".to_owned(), "/file/ab?view=hex&at=6144#content".to_owned())
        );
        assert_eq!(
            (middle.start(), middle.last()),
            ("/file/ab?view=hex#content".to_owned(), "/file/ab?view=hex&at=8192#content".to_owned())
        );
        assert_eq!(middle.other(Look::Text), "/file/ab?view=text&at=4096#content");
        assert!(!middle.is_start() && !middle.is_end());
        assert_eq!(middle.place(), "Bytes 4,096 to 6,144 of 10,000 bytes");
    }
}
