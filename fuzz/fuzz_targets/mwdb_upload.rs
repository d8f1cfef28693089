//! Multipart bodies: a line with the content type, then the body.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else { return };
    let Ok(content_type) = std::str::from_utf8(&input[..end]) else { return };
    mwdb_lite::fuzz_upload(content_type, &input[end + 1..]);
});
