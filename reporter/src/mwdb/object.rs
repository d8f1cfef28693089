//! What MWDB says about an object, and about itself.

use karton_rs::json::Value;

/// The word for a kind of object in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectType {
    /// Any kind.
    Object,
    /// A file.
    File,
    /// A configuration.
    Config,
    /// A text.
    Blob,
}

impl ObjectType {
    /// As it stands in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::File => "file",
            Self::Config => "config",
            Self::Blob => "blob",
        }
    }
}

/// An object in MWDB, as far as we look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Object {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Ids of its parents; nothing when the answer does not tell.
    pub parents: Option<Vec<String>>,
    /// Its tags; nothing when the answer does not tell.
    pub tags: Option<Vec<String>>,
}

impl Object {
    /// Reads an answer; nothing when it is no object.
    pub(super) fn from_answer(answer: &Value) -> Option<Self> {
        let id = answer.get("id")?.as_str()?.to_owned();
        Some(Self { id, parents: texts(answer.get("parents"), "id"), tags: texts(answer.get("tags"), "tag") })
    }
}

/// The texts under `key` in a list of objects.
pub(super) fn texts(list: Option<&Value>, key: &str) -> Option<Vec<String>> {
    let items = list?.as_array()?;
    Some(items.iter().filter_map(|item| item.get(key)?.as_str().map(str::to_owned)).collect())
}

/// Version of a server, compared by its numbers; what follows them does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(Vec<u64>);

impl Version {
    /// Tags, attributes and the analysis travel in the upload itself from here on.
    pub fn has_rich_uploads(&self) -> bool {
        *self >= Self(vec![2, 6])
    }

    /// Reads `2.17.0-rc1`; nothing without a leading number.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = Vec::new();
        for part in text.trim().split('.') {
            let digits = part.len() - part.trim_start_matches(|character: char| character.is_ascii_digit()).len();
            let Ok(number) = part[..digits].parse() else { break };
            numbers.push(number);
            if digits < part.len() {
                break;
            }
        }
        (!numbers.is_empty()).then_some(Self(numbers))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let rich = |text: &str| Version::parse(text).unwrap().has_rich_uploads();
        assert!(rich("2.6.0") && rich("2.6") && rich("2.17.0-rc1+abc") && rich("10.0.0") && rich("2.6.0-beta"));
        assert!(!rich("2.5.9") && !rich("2.2.0") && !rich("1.9"));
        assert_eq!(Version::parse("master"), None);
    }
}
