//! How far a command is, for somebody who watches it on a terminal. Elsewhere nothing is printed.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A line with a bar, gone when the value is.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Something of known size.
    pub(crate) fn of(what: &'static str, total: u64) -> Self {
        Self::new(ProgressBar::new(total), "{msg} {wide_bar} {human_pos}/{human_len} {eta}", what)
    }

    /// Something whose size turns out at its end.
    pub(crate) fn open(what: &'static str) -> Self {
        Self::new(ProgressBar::new_spinner(), "{spinner} {msg} {human_pos}", what)
    }

    fn new(bar: ProgressBar, template: &str, what: &'static str) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    pub(crate) fn step(&self) {
        self.0.inc(1);
    }

    pub(crate) fn set(&self, position: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(position);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
