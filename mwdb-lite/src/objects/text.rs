//! Texts inside JSON that is stored as it came. See MWDB API §O3 and §O9.2.

use karton_rs::json::Value;

use crate::error::{ApiError, ApiResult};

/// Whether texts may hold the character NUL. Keys never may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nul {
    Allowed,
    Refused,
}

/// Refuses what MWDB cannot store: halves of surrogate pairs, which clients cannot encode when they
/// read them back, and NUL.
pub(crate) fn check_json(field: &str, value: &Value, nul: Nul) -> ApiResult<()> {
    let refuse = |reason| Err(ApiError::invalid(field, reason));
    match value {
        Value::Unpaired(_) => refuse("Not a valid string."),
        Value::String(text) if nul == Nul::Refused && text.contains('\0') => refuse(HAS_NUL),
        Value::Array(items) => items.iter().try_for_each(|item| check_json(field, item, nul)),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| match key.as_str() {
            None => refuse("Not a valid string."),
            Some(key) if key.contains('\0') => refuse(HAS_NUL),
            Some(_) => check_json(field, value, nul),
        }),
        _ => Ok(()),
    }
}

/// Refuses texts of more than `most` characters.
pub(crate) fn check_longest(field: &str, text: &str, most: usize) -> ApiResult<()> {
    // No character is less than a byte.
    if text.len() > most && text.chars().nth(most).is_some() {
        return Err(ApiError::invalid(field, &format!("Longer than maximum length {most}.")));
    }
    Ok(())
}

/// The text without the blanks around it: those of Unicode, and the separators that Python takes for such.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(|sign: char| sign.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&sign))
}

/// Why a text with NUL is refused.
pub(crate) const HAS_NUL: &str = "Null characters are not allowed.";
