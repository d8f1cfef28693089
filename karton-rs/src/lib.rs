//! Karton in Rust.
pub mod json;

mod dhash;

pub use dhash::config_dhash;
