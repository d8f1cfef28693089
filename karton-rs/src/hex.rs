//! Bytes as hexadecimal text, the form of all digests in tasks and in MWDB.

/// Lower-case hexadecimal digits, two a byte.
///
/// ```
/// assert_eq!(karton_rs::hex(b"\x00\xff"), "00ff");
/// ```
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xF)]).collect()
}
