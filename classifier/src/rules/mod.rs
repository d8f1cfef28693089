//! The decision list: what a sample is, by its name, its libmagic texts and its content.
//!
//! The one rule: **the first rule that holds decides**, so the order of [`table::RULES`] is part of the result.
//! A new file type is one more line there.

mod dump;
mod explain;
mod scripts;
mod shifts;
mod table;

use std::cell::{OnceCell, RefCell};

use crate::{magic::Detection, zip::Directory};

use dump::Dump;
pub use explain::Trial;
pub(crate) use explain::explain;
use scripts::Script;

/// One line of the decision list.
pub(crate) struct Rule {
    /// Its name; a `*` at the end stands for the extension of the result.
    label: &'static str,
    /// All of these must hold.
    when: &'static [Test],
    kind: &'static str,
    platform: Option<&'static str>,
    extension: Extension,
    /// A MIME type that is better than the detected one.
    mime: Option<&'static str>,
}

/// The extension of the result.
#[derive(Clone, Copy)]
enum Extension {
    None,
    Is(&'static str),
    /// That of the sample's name.
    OfName,
}

/// A condition. Lists mean "any of these"; all comparisons are case-sensitive.
#[derive(Clone, Copy)]
enum Test {
    /// The description starts with.
    Starts(&'static [&'static str]),
    /// The description contains.
    Has(&'static [&'static str]),
    /// The description ends with.
    Ends(&'static str),
    /// The description is.
    Is(&'static str),
    /// The MIME type is.
    Mime(&'static str),
    /// The extension of the sample's name is.
    Named(&'static [&'static str]),
    /// The extension of the sample's name starts with.
    NamedLike(&'static [&'static str]),
    /// The content is a zip archive with an entry of this name.
    ZipHas(&'static str),
    /// The content is a zip archive with an entry whose name starts like this.
    ZipHasPrefix(&'static str),
    /// The content is a zip archive with a macOS application.
    ZipHasMacApp,
    /// The content is a zip archive with a bundle of Android packages.
    ZipIsXapk,
    /// The content ends with the block of an Apple disk image.
    Koly,
    /// The content looks like a program cut out of memory.
    Dump(Dump),
    /// The content looks like a script.
    Script(Script),
}

/// What a rule decided.
pub(crate) struct Decision {
    pub(crate) rule: String,
    pub(crate) kind: &'static str,
    pub(crate) platform: Option<&'static str>,
    pub(crate) extension: Option<String>,
    pub(crate) mime: Option<&'static str>,
}

/// The first rule that holds, and what an operator may want to know about tests that could not be made.
pub(crate) fn decide(content: &[u8], extension: &str, detection: &Detection) -> (Option<Decision>, Vec<String>) {
    let subject = Subject::new(content, extension, detection);
    let rule = table::RULES.iter().find(|rule| rule.when.iter().all(|test| subject.passes(*test)));
    (rule.map(|rule| rule.decision(extension)), subject.warnings.into_inner())
}

impl Rule {
    fn decision(&self, name_extension: &str) -> Decision {
        let extension = match self.extension {
            Extension::None => None,
            Extension::Is(extension) => Some(extension.to_owned()),
            Extension::OfName => Some(name_extension.to_owned()),
        };
        let rule = self.name(extension.as_deref());
        Decision { rule, kind: self.kind, platform: self.platform, extension, mime: self.mime }
    }

    fn name(&self, extension: Option<&str>) -> String {
        match self.label.strip_suffix('*') {
            Some(label) => format!("{label}{}", extension.unwrap_or_default()),
            None => self.label.to_owned(),
        }
    }
}

/// The sample under test; what takes work is made when the first rule asks for it.
struct Subject<'a> {
    content: &'a [u8],
    extension: &'a str,
    magic: &'a str,
    mime: &'a str,
    zip: OnceCell<Option<Directory<'a>>>,
    sampled_part: OnceCell<Vec<u8>>,
    text: OnceCell<Option<String>>,
    warnings: RefCell<Vec<String>>,
}

impl<'a> Subject<'a> {
    fn new(content: &'a [u8], extension: &'a str, detection: &'a Detection) -> Self {
        Self {
            content,
            extension,
            magic: &detection.magic,
            mime: &detection.mime,
            zip: OnceCell::new(),
            sampled_part: OnceCell::new(),
            text: OnceCell::new(),
            warnings: RefCell::default(),
        }
    }

    fn passes(&self, test: Test) -> bool {
        match test {
            Test::Starts(texts) => texts.iter().any(|text| self.magic.starts_with(text)),
            Test::Has(texts) => texts.iter().any(|text| self.magic.contains(text)),
            Test::Ends(text) => self.magic.ends_with(text),
            Test::Is(text) => self.magic == text,
            Test::Mime(mime) => self.mime == mime,
            Test::Named(extensions) => extensions.contains(&self.extension),
            Test::NamedLike(extensions) => extensions.iter().any(|text| self.extension.starts_with(text)),
            Test::ZipHas(name) => self.zip().is_some_and(|zip| zip.has(name)),
            Test::ZipHasPrefix(prefix) => self.zip().is_some_and(|zip| zip.has_prefix(prefix)),
            Test::ZipHasMacApp => self.zip().is_some_and(Directory::has_mac_app),
            Test::ZipIsXapk => self.zip().is_some_and(Directory::is_xapk),
            Test::Koly => has_koly_block(self.content),
            Test::Dump(dump) => dump.is_in(self.sampled_part()),
            Test::Script(script) => self.text().is_some_and(|text| script.is_in(text)),
        }
    }

    fn zip(&self) -> Option<&Directory<'_>> {
        let open = || match Directory::open(self.content) {
            Ok(zip) => Some(zip),
            Err(error) => {
                self.warnings.borrow_mut().push(format!("zip archive cannot be read: {error}"));
                None
            }
        };
        self.zip.get_or_init(open).as_ref()
    }

    fn sampled_part(&self) -> &[u8] {
        self.sampled_part.get_or_init(|| dump::sampled_part(self.content))
    }

    fn text(&self) -> Option<&str> {
        let decode = || {
            let text = scripts::decode(self.sampled_part());
            if text.is_none() {
                self.warnings.borrow_mut().push("script heuristics are off: unknown encoding".to_owned());
            }
            text
        };
        self.text.get_or_init(decode).as_deref()
    }
}

/// A block of 512 bytes at the end, with its mark and the version and length in its header.
fn has_koly_block(content: &[u8]) -> bool {
    const BLOCK_LENGTH: usize = 512;
    content.len() > BLOCK_LENGTH && {
        let block = &content[content.len() - BLOCK_LENGTH..];
        block.starts_with(b"koly") && block[8..12] == [0, 0, 2, 0]
    }
}
