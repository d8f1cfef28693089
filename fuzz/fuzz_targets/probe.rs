//! Samples: everything the classifier does with a content, libmagic included.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| classifier::probe(content));
