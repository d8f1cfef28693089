//! Queries of the search language, and the values in them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| mwdb_lite::fuzz_query(query));
