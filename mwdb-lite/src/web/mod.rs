//! The pages.

pub(crate) mod assets;
pub(crate) mod view;
