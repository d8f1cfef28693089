//! The reader: one recursive pass with a depth limit, and a scanner that only finds where values end.
//!
//! The scanner ([`skip_value`], [`RawObject`]) is what the broker uses: it checks the syntax of a
//! whole record while building nothing, so a payload of megabytes costs one walk over its bytes.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{
    Key, Map, Number, Value,
    escapes::{Unescaped, unescape},
};

/// Nesting beyond this is refused: Python's own parser fails near a thousand levels, and no Karton
/// service produces more than a few.
const MAX_DEPTH: u32 = 200;
/// Room for the fields of a task record.
const FIELDS: usize = 16;

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct ParseError {
    message: &'static str,
    offset: usize,
}

impl ParseError {
    /// Where in the text, counted in bytes from zero.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

/// Reads one document of at most `most` values.
pub(super) fn parse(text: &str, most: usize) -> Result<Value, ParseError> {
    let mut reader = Reader { left: most, ..Reader::at(text, 0) };
    let value = reader.value(0)?;
    reader.end()?;
    Ok(value)
}

/// Where the value that starts at `start` (blanks before it allowed) ends.
///
/// # Errors
/// When there is no valid JSON value at that place.
pub fn skip_value(text: &str, start: usize) -> Result<usize, ParseError> {
    let mut reader = Reader::at(text, start);
    reader.skip(0)?;
    Ok(reader.position)
}

/// The members of an object as raw JSON text, the last of equal keys winning.
///
/// ```
/// use karton_rs::json::RawObject;
///
/// let record = RawObject::parse(r#"{"uid": "a", "payload": {"x": [1, 2]}}"#)?;
/// assert_eq!(record.get("payload"), Some(r#"{"x": [1, 2]}"#));
/// # Ok::<(), karton_rs::json::ParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RawObject<'a> {
    members: HashMap<Cow<'a, str>, &'a str>,
}

impl<'a> RawObject<'a> {
    /// Splits an object into its members without building them.
    ///
    /// # Errors
    /// When the text is not one valid JSON object.
    pub fn parse(text: &'a str) -> Result<Self, ParseError> {
        let mut members = HashMap::with_capacity(FIELDS);
        Self::each(text, |name, value| {
            let name = if name.contains('\\') {
                // By no other name it could be asked for.
                let Unescaped::Text(name) = unescape(name) else { return };
                Cow::Owned(name)
            } else {
                Cow::Borrowed(name)
            };
            members.insert(name, value);
        })?;
        Ok(Self { members })
    }

    /// Calls `each` with the name, as it is spelled between its quotes, and the JSON text of every member, in order.
    ///
    /// # Errors
    /// When the text is not one valid JSON object; some members may have been told of even then.
    pub fn each(text: &'a str, mut each: impl FnMut(&'a str, &'a str)) -> Result<(), ParseError> {
        let mut reader = Reader::at(text, 0);
        reader.blanks();
        if reader.peek() != Some(b'{') {
            return Err(reader.error("expected an object"));
        }
        reader.members(|reader, name| {
            reader.blanks();
            let start = reader.position;
            reader.skip(1)?;
            each(name, &text[start..reader.position]);
            Ok(())
        })?;
        reader.end()
    }

    /// The JSON text of a member.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.members.get(key).copied()
    }
}

/// The text that a JSON string stands for; none for anything else, and for a string that is not Unicode.
pub(crate) fn string_text(json: &str) -> Option<Cow<'_, str>> {
    let body = json.strip_prefix('"')?.strip_suffix('"')?;
    if !body.contains('\\') {
        return Some(Cow::Borrowed(body));
    }
    match parse(json, 1).ok()? {
        Value::String(text) => Some(Cow::Owned(text)),
        _ => None,
    }
}

/// The key that is spelled like this between its quotes.
pub(super) fn key(body: &str) -> Key {
    match unescape(body) {
        Unescaped::Text(text) => Key::Text(text),
        Unescaped::Unpaired(json) => Key::Unpaired(json),
    }
}

struct Reader<'a> {
    text: &'a str,
    position: usize,
    /// Values that may still be built.
    left: usize,
}

impl<'a> Reader<'a> {
    fn at(text: &'a str, position: usize) -> Self {
        Self { text, position, left: usize::MAX }
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes().get(self.position).copied()
    }

    fn error(&self, message: &'static str) -> ParseError {
        ParseError { message, offset: self.position }
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.position += 1;
        }
    }

    fn end(&mut self) -> Result<(), ParseError> {
        self.blanks();
        if self.peek().is_some() { Err(self.error("unexpected text after the value")) } else { Ok(()) }
    }

    fn literal(&mut self, word: &str) -> bool {
        let found = self.bytes()[self.position..].starts_with(word.as_bytes());
        if found {
            self.position += word.len();
        }
        found
    }

    fn value(&mut self, depth: u32) -> Result<Value, ParseError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| self.error("too many values"))?;
        self.blanks();
        match self.peek() {
            Some(b'{') => {
                let mut map = Map::new();
                self.members(|reader, key| {
                    let value = reader.value(depth + 1)?;
                    map.insert(self::key(key), value);
                    Ok(())
                })?;
                Ok(Value::Object(map))
            }
            Some(b'[') => {
                let mut items = Vec::new();
                self.items(|reader| {
                    items.push(reader.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Value::Array(items))
            }
            Some(b'"') => self.string(),
            _ => self.scalar(),
        }
    }

    /// Like [`Self::value`], building nothing.
    fn skip(&mut self, depth: u32) -> Result<(), ParseError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => {
                self.position += 1;
                self.separated(b'}', |reader| {
                    reader.skip_string()?;
                    reader.colon()?;
                    reader.skip(depth + 1)
                })
            }
            Some(b'[') => {
                self.position += 1;
                self.separated(b']', |reader| reader.skip(depth + 1))
            }
            Some(b'"') => self.skip_string(),
            _ => self.skip_scalar(),
        }
    }

    /// Members of an object, from its opening brace to its closing one. Names come as they are spelled.
    fn members(&mut self, mut member: impl FnMut(&mut Self, &'a str) -> Result<(), ParseError>) -> Result<(), ParseError> {
        self.position += 1;
        self.separated(b'}', |reader| {
            let name = reader.body()?;
            reader.colon()?;
            member(reader, name)
        })
    }

    fn items(&mut self, item: impl FnMut(&mut Self) -> Result<(), ParseError>) -> Result<(), ParseError> {
        self.position += 1;
        self.separated(b']', item)
    }

    fn separated(&mut self, close: u8, mut each: impl FnMut(&mut Self) -> Result<(), ParseError>) -> Result<(), ParseError> {
        self.blanks();
        if self.peek() == Some(close) {
            self.position += 1;
            return Ok(());
        }
        loop {
            self.blanks();
            each(self)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(byte) if byte == close => {
                    self.position += 1;
                    return Ok(());
                }
                _ => return Err(self.error("expected a comma or the end of the list")),
            }
        }
    }

    fn colon(&mut self) -> Result<(), ParseError> {
        self.blanks();
        if self.peek() != Some(b':') {
            return Err(self.error("expected a colon"));
        }
        self.position += 1;
        Ok(())
    }

    fn skip_string(&mut self) -> Result<(), ParseError> {
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a string"));
        }
        self.position += 1;
        loop {
            let rest = &self.bytes()[self.position..];
            self.position += rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len());
            match self.peek() {
                None => return Err(self.error("unterminated string")),
                Some(b'"') => {
                    self.position += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.position += 1;
                    match self.peek() {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.position += 1,
                        Some(b'u') => {
                            self.unicode_escape()?;
                        }
                        _ => return Err(self.error("unknown escape")),
                    }
                }
                Some(_) => return Err(self.error("control character in a string")),
            }
        }
    }

    /// At the `u` of `\uXXXX`: its UTF-16 unit.
    fn unicode_escape(&mut self) -> Result<u16, ParseError> {
        let digits = self.bytes().get(self.position + 1..self.position + 5);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits.and_then(|digits| std::str::from_utf8(digits).ok()) else {
            return Err(self.error("expected four hexadecimal digits"));
        };
        let unit = u16::from_str_radix(digits, 16).map_err(|_| self.error("expected four hexadecimal digits"))?;
        self.position += 5;
        Ok(unit)
    }

    /// A string between its quotes, its escapes as they stand.
    fn body(&mut self) -> Result<&'a str, ParseError> {
        let start = self.position;
        self.skip_string()?;
        Ok(&self.text[start + 1..self.position - 1])
    }

    fn string(&mut self) -> Result<Value, ParseError> {
        Ok(match unescape(self.body()?) {
            Unescaped::Text(text) => Value::String(text),
            Unescaped::Unpaired(json) => Value::Unpaired(json),
        })
    }

    fn skip_scalar(&mut self) -> Result<(), ParseError> {
        for word in ["null", "true", "false", "NaN", "Infinity", "-Infinity"] {
            if self.literal(word) {
                return Ok(());
            }
        }
        let start = self.position;
        if self.peek() == Some(b'-') {
            self.position += 1;
        }
        let digits = self.digits();
        if digits == 0 || (digits > 1 && self.bytes()[self.position - digits] == b'0') {
            self.position = start;
            return Err(self.error("expected a value"));
        }
        if self.peek() == Some(b'.') {
            self.position += 1;
            if self.digits() == 0 {
                return Err(self.error("expected digits after the point"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.position += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.position += 1;
            }
            if self.digits() == 0 {
                return Err(self.error("expected digits in the exponent"));
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.position;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.position += 1;
        }
        self.position - start
    }

    fn scalar(&mut self) -> Result<Value, ParseError> {
        let start = self.position;
        self.skip_scalar()?;
        Ok(match &self.text[start..self.position] {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            literal => Value::Number(Number::from_literal(literal)),
        })
    }
}
