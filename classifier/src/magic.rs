//! What kind of file is this, in the words of libmagic.
//!
//! The one rule: the rules read libmagic's own wording, so a detector sees the **whole content as one buffer**.
//! Looking at a file instead, or at its head, gives other texts (details of ELF files, zip archives behind
//! other data, installers and JSON documents above some megabytes).

use std::cell::OnceCell;

use magic::{Cookie, cookie};

use crate::zip;

/// Names the type of a content.
pub trait Detector {
    /// The description in words, as `file` prints it.
    ///
    /// # Errors
    /// When the content cannot be looked at.
    fn description(&self, content: &[u8]) -> Result<String, DetectError>;

    /// The MIME type.
    ///
    /// # Errors
    /// When the content cannot be looked at.
    fn mime(&self, content: &[u8]) -> Result<String, DetectError>;
}

/// A detector did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DetectError(pub String);

/// Texts for a sample whose detector does not answer, from whoever sent it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fallback<'a> {
    /// The description.
    pub magic: &'a str,
    /// The MIME type.
    pub mime: &'a str,
}

/// What is said about a content. An empty text means that nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detection {
    /// The working description.
    pub magic: String,
    /// The MIME type.
    pub mime: String,
    /// The description was replaced because of a zip end record.
    pub zip_fallback: bool,
    /// Why a text comes from the fallback.
    pub failure: Option<String>,
}

/// Asks for both texts; what cannot be had is taken from the fallback.
pub fn detect(detector: &impl Detector, content: &[u8], fallback: Fallback<'_>) -> Detection {
    let mut detection = Detection { magic: fallback.magic.to_owned(), mime: fallback.mime.to_owned(), ..Detection::default() };
    let answers = detector.description(content).and_then(|magic| {
        detection.magic = magic;
        detection.mime = detector.mime(content)?;
        Ok(())
    });
    detection.failure = answers.err().map(|error| error.to_string());
    if detection.magic == "data" && zip::has_end_record(content) {
        "Zip archive data".clone_into(&mut detection.magic);
        detection.zip_fallback = true;
    }
    detection
}

/// libmagic of the system, with its default database (or those named by the variable `MAGIC`).
///
/// Not shareable between threads. It has one database for both texts, as each one loaded costs its size in memory.
pub struct LibMagic(Cookie<cookie::Load>);

impl LibMagic {
    /// Loads the database. Cheap: it is mapped, not read.
    ///
    /// # Errors
    /// When there is no usable database.
    pub fn open() -> Result<Self, DetectError> {
        let cookie = Cookie::open(cookie::Flags::default()).map_err(|error| DetectError(format!("cannot start libmagic: {error}")))?;
        let loaded = cookie.load(&cookie::DatabasePaths::default());
        loaded.map(Self).map_err(|error| DetectError(format!("cannot load the libmagic database: {}", reason(&error))))
    }

    fn answer(&self, flags: cookie::Flags, content: &[u8]) -> Result<String, String> {
        self.0.set_flags(flags).map_err(|error| reason(&error))?;
        self.0.buffer(content).map_err(|error| reason(&error))
    }
}

/// The binding's own message only names the function; the reason is its source.
fn reason(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

impl Detector for LibMagic {
    fn description(&self, content: &[u8]) -> Result<String, DetectError> {
        self.answer(cookie::Flags::default(), content).map_err(DetectError)
    }

    fn mime(&self, content: &[u8]) -> Result<String, DetectError> {
        self.answer(cookie::Flags::MIME_TYPE, content).or_else(|reason| {
            // Some texts have a description and no type; libmagic then answers nothing, without an error.
            if reason.contains("did not set last error") { Ok("application/octet-stream".to_owned()) } else { Err(DetectError(reason)) }
        })
    }
}

/// Calls `work` with the libmagic of this thread, which is loaded at first use.
///
/// # Errors
/// When there is no usable database.
pub fn with_libmagic<T>(work: impl FnOnce(&LibMagic) -> T) -> Result<T, DetectError> {
    thread_local! {
        static DETECTOR: OnceCell<LibMagic> = const { OnceCell::new() };
    }
    DETECTOR.with(|cell| {
        if cell.get().is_none() {
            // Nobody else fills the cell of this thread.
            let _ = cell.set(LibMagic::open()?);
        }
        cell.get().map(work).ok_or_else(|| DetectError("libmagic is not loaded".to_owned()))
    })
}
