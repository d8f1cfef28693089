//! The entry service of a Karton pipeline: says what a raw sample is.
//!
//! Takes tasks with `type: sample, kind: raw` and answers with `stage: recognized` and what the sample is, or
//! `stage: unrecognized`. The parts, in the order in which a sample passes them: [`content`], [`yara`], [`magic`],
//! [`classify`](mod@classify), [`task`]; only [`Classifier::run`] knows Redis.

pub mod classify;
pub mod content;
pub mod magic;
mod rules;
mod service;
pub mod task;
mod workers;
pub mod yara;
pub mod zip;

pub use service::{Classifier, IDENTITY, INFO, VERSION, run};

/// Does everything with a content that is done with a sample, whatever it is described as. For fuzzing.
#[doc(hidden)]
pub fn probe(content: &[u8]) {
    use magic::{Detection, Fallback, detect, with_libmagic};

    // The name is part of what is tried; the first bytes serve as one.
    let name = String::from_utf8_lossy(&content[..content.len().min(12)]);
    // Without a database there is nothing to try.
    let _ = with_libmagic(|libmagic| {
        let detection = detect(libmagic, content, Fallback::default());
        let _ = classify::classify(&name, content, &detection);
        let _ = classify::explain(&name, content, &detection);
    });
    // Descriptions that send any content through every reader.
    for magic in ["Zip archive data", "Microsoft OOXML", "data", "x"] {
        let detection = Detection { magic: magic.to_owned(), ..Detection::default() };
        let _ = classify::classify("x", content, &detection);
    }
    let _ = zip::has_end_record(content);
    let _ = zip::Directory::open(content).map(|zip| zip.names().count());
}
