//! The fields of the language. See MWDB search §S2.
//!
//! The one rule: this table is all there is. Queries are compiled by it and the help page shows it, so
//! that neither can know a field that the other does not.

use crate::{db::relations::Side, objects::Kind};

/// A field.
#[derive(Debug)]
pub(crate) struct Field {
    /// The type whose field it is; nothing for the fields of all objects.
    pub(crate) of: Option<Kind>,
    pub(crate) name: &'static str,
    pub(crate) alias: Option<&'static str>,
    pub(crate) form: Form,
    /// What it says of an object.
    pub(crate) about: &'static str,
    /// Whole queries, as one types them on the list of all objects.
    pub(crate) examples: &'static [&'static str],
}

/// What values a field takes, and what they are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text(Text),
    Size(Size),
    Date(Date),
    UploadCount,
    Attribute,
    Cfg,
    Shared,
    Sharer,
    Uploader,
    Favorites,
    CommentAuthor,
    Karton,
    Related(Side),
    Multi(Kind),
}

/// Texts of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    Dhash,
    Tag,
    Comment,
    FileName,
    FileType,
    Md5,
    Sha1,
    Sha256,
    Sha512,
    Crc32,
    Ssdeep,
    Family,
    ConfigType,
    BlobName,
    BlobType,
    Content,
}

/// Sizes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    File,
    Blob,
}

/// Dates of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Date {
    UploadTime,
    LastSeen,
}

impl Form {
    /// What a value looks like, for people.
    pub(crate) fn values(self) -> &'static str {
        match self {
            Self::Text(_) => "text; * and ? are wildcards",
            Self::Size(_) => "bytes, or a number with B, KB, MB, GB or TB; ranges",
            Self::Date(_) => "YYYY-MM-DD [HH:MM[:SS]] in UTC; in ranges also spans before now like 2h or 1m5d",
            Self::UploadCount => "a positive number; ranges",
            Self::Attribute | Self::Cfg => "text, numbers, true, false, null; wildcards; ranges",
            Self::Shared => "the name of one of your groups",
            Self::Sharer | Self::Uploader => "a login, or the name of a group",
            Self::Favorites | Self::CommentAuthor => "a login",
            Self::Karton => "the id of an analysis, or * for any",
            Self::Related(_) => "a query in parentheses",
            Self::Multi(Kind::File) => "digests of any sort, separated by blanks",
            Self::Multi(_) => "ids or parts of the content, separated by blanks",
        }
    }
}

const fn common(name: &'static str, form: Form, about: &'static str, examples: &'static [&'static str]) -> Field {
    Field { of: None, name, alias: None, form, about, examples }
}

const fn of(kind: Kind, name: &'static str, form: Form, about: &'static str, examples: &'static [&'static str]) -> Field {
    Field { of: Some(kind), name, alias: None, form, about, examples }
}

/// All fields, in the order of the help page.
pub(crate) static FIELDS: &[Field] = &[
    common(
        "dhash",
        Form::Text(Text::Dhash),
        "Id of the object",
        &["dhash:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945", "dhash:4f53*"],
    ),
    common("tag", Form::Text(Text::Tag), "One of the tags", &["tag:emotet", "tag:\"feed:*\"", "NOT tag:ripped*"]),
    common("comment", Form::Text(Text::Comment), "Text of one of the comments", &["comment:*packed*"]),
    Field {
        of: None,
        name: "attribute",
        alias: Some("meta"),
        form: Form::Attribute,
        about: "Value of an attribute that you may read; below the key, the members of the value",
        examples: &["attribute.source:*mail*", "attribute.report.score:>=5", "attribute.urls*.port:443"],
    },
    common("uploader", Form::Uploader, "Who uploaded the object, as far as you may know", &["uploader:admin"]),
    common("sharer", Form::Sharer, "Who shared the object with your groups", &["sharer:admin"]),
    common("shared", Form::Shared, "Group that has access", &["shared:public"]),
    common("favorites", Form::Favorites, "Whose favourite it is: your own", &["favorites:admin"]),
    common("comment_author", Form::CommentAuthor, "Who wrote a comment", &["comment_author:admin"]),
    common(
        "upload_time",
        Form::Date(Date::UploadTime),
        "When it was uploaded first",
        &["upload_time:2026-01-31", "upload_time:>=2h", "upload_time:[2026-01-01 TO \"2026-01-31 12:00\"]"],
    ),
    common("upload_count", Form::UploadCount, "How many accounts uploaded it", &["upload_count:>1", "upload_count:[2 TO 5]"]),
    common("karton", Form::Karton, "Analysis by Karton", &["karton:*", "karton:91a521d0-4696-4df1-9188-c07c525a0808"]),
    common("parent", Form::Related(Side::Parents), "One of the parents satisfies a query", &["parent:(file.name:dropper* AND tag:emotet)"]),
    common("child", Form::Related(Side::Children), "One of the children satisfies a query", &["child:(config.family:emotet)"]),
    of(
        Kind::File,
        "name",
        Form::Text(Text::FileName),
        "Name it was uploaded under, any of them",
        &["file.name:*.exe", "file.name:invoice?.doc"],
    ),
    of(Kind::File, "size", Form::Size(Size::File), "Size", &["file.size:1024", "file.size:[10kB TO 1.5MB]", "file.size:>=\"1 GB\""]),
    of(Kind::File, "type", Form::Text(Text::FileType), "Type in words, as libmagic gives it", &["file.type:PE32*", "file.type:*Zip*"]),
    of(Kind::File, "md5", Form::Text(Text::Md5), "MD5", &["file.md5:900150983cd24fb0d6963f7d28e17f72"]),
    of(Kind::File, "sha1", Form::Text(Text::Sha1), "SHA-1", &["file.sha1:a9993e36*"]),
    of(Kind::File, "sha256", Form::Text(Text::Sha256), "SHA-256, which is the id", &["file.sha256:ba7816bf*"]),
    of(Kind::File, "sha512", Form::Text(Text::Sha512), "SHA-512", &["file.sha512:ddaf35a1*"]),
    of(Kind::File, "crc32", Form::Text(Text::Crc32), "CRC-32, eight digits", &["file.crc32:352441c2"]),
    of(Kind::File, "ssdeep", Form::Text(Text::Ssdeep), "Fuzzy hash, as text", &["file.ssdeep:3\\:lyRVQ\\:*"]),
    of(Kind::File, "multi", Form::Multi(Kind::File), "Any of these digests", &["file.multi:\"900150983cd24fb0d6963f7d28e17f72 352441c2\""]),
    of(Kind::Config, "family", Form::Text(Text::Family), "Malware family", &["config.family:emotet", "config.family:*loader"]),
    of(Kind::Config, "type", Form::Text(Text::ConfigType), "Type of the configuration", &["config.type:static"]),
    of(
        Kind::Config,
        "cfg",
        Form::Cfg,
        "The configuration; below it, its members. A star after a member means the elements of the list in it",
        &["config.cfg.port:443", "config.cfg.urls*:\"http*\"", "config.cfg:\"*evil.example*\"", "config.cfg.c2.delay:[1 TO 60]"],
    ),
    of(
        Kind::Config,
        "multi",
        Form::Multi(Kind::Config),
        "Any of these ids or parts of the JSON text",
        &["config.multi:\"evil.example 10.0.0.1\""],
    ),
    of(Kind::Blob, "name", Form::Text(Text::BlobName), "Name", &["blob.name:strings*"]),
    of(Kind::Blob, "size", Form::Size(Size::Blob), "Size in characters", &["blob.size:<10kB"]),
    of(Kind::Blob, "type", Form::Text(Text::BlobType), "Type", &["blob.type:raw_cfg"]),
    of(
        Kind::Blob,
        "content",
        Form::Text(Text::Content),
        "The content; \\n, \\x00 and the like stand for characters",
        &["blob.content:\"*evil.example*\"", "blob.content:*\\x00*"],
    ),
    // Of objects of all types, though only the lists of blobs know it without its type.
    of(
        Kind::Blob,
        "first_seen",
        Form::Date(Date::UploadTime),
        "When any object was uploaded first: upload_time",
        &["blob.first_seen:<=1y"],
    ),
    of(Kind::Blob, "last_seen", Form::Date(Date::LastSeen), "When it was uploaded last", &["blob.last_seen:>=1w"]),
    of(Kind::Blob, "multi", Form::Multi(Kind::Blob), "Any of these ids or parts of the content", &["blob.multi:\"evil.example 10.0.0.1\""]),
];

/// How conditions begin on the list of a type, or of all objects, where fields of a type need its name:
/// up to the place where a value, a key or a query follows.
pub(crate) fn beginnings(kind: Option<Kind>) -> impl Iterator<Item = String> {
    FIELDS.iter().filter(move |field| field.of.is_none() || kind.is_none() || field.of == kind).map(move |field| {
        let of = field.of.filter(|_| kind.is_none()).map(|of| format!("{}.", word_of(Some(of)))).unwrap_or_default();
        let end = match field.form {
            Form::Attribute | Form::Cfg => ".",
            Form::Related(_) => ":(",
            _ => ":",
        };
        format!("{of}{}{end}", field.name)
    })
}

/// The type that the first element of a path selects: none is any.
#[expect(clippy::option_option, reason = "any type is a choice too")]
pub(crate) fn type_word(word: &str) -> Option<Option<Kind>> {
    match word {
        "object" => Some(None),
        "file" => Some(Some(Kind::File)),
        "config" | "static" => Some(Some(Kind::Config)),
        "blob" => Some(Some(Kind::Blob)),
        _ => None,
    }
}

/// The word of a type.
pub(crate) fn word_of(kind: Option<Kind>) -> &'static str {
    match kind {
        None => "object",
        Some(Kind::File) => "file",
        Some(Kind::Config) => "config",
        Some(Kind::Blob) => "blob",
    }
}

/// The field of a type, or the one of all objects.
pub(crate) fn find(kind: Option<Kind>, name: &str) -> Option<&'static Field> {
    let named = |of: Option<Kind>| FIELDS.iter().find(move |field| field.of == of && (field.name == name || field.alias == Some(name)));
    kind.and_then(|_| named(kind)).or_else(|| named(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::parser;

    #[test]
    fn names_are_unique_within_a_type() {
        for field in FIELDS {
            assert!(std::ptr::eq(find(field.of, field.name).expect("it is there"), field), "{}", field.name);
            assert!(type_word(field.name).is_none(), "{} is a type", field.name);
        }
    }

    #[test]
    fn conditions_begin_as_the_list_asks_for() {
        let of = |kind| beginnings(kind).collect::<Vec<_>>();
        let (files, all) = (of(Some(Kind::File)), of(None));
        for name in ["tag:", "name:", "attribute.", "parent:(", "multi:"] {
            assert!(files.iter().any(|known| known == name), "{name}");
        }
        assert!(!files.iter().any(|known| known == "cfg." || known == "family:"));
        for name in ["tag:", "file.name:", "config.cfg.", "child:(", "blob.multi:"] {
            assert!(all.iter().any(|known| known == name), "{name}");
        }
        assert_eq!(all.len(), FIELDS.len());
        assert!(!all.iter().any(|known| known == "name:"));
    }

    #[test]
    fn examples_are_queries() {
        for field in FIELDS {
            assert!(!field.examples.is_empty(), "{}", field.name);
            for example in field.examples {
                parser::parse(example).unwrap_or_else(|error| panic!("{example}: {error}"));
            }
        }
    }
}
