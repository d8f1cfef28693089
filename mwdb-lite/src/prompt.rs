//! Asking for a password on a terminal.
//!
//! The one rule: however the question ends, the terminal is as it was before. The prompt turns the echo off, and a signal
//! would end the process before it is on again.

use std::process::exit;

use anyhow::Context as _;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

/// What somebody types after `question`. A signal ends the process, as it does elsewhere.
pub(crate) async fn password(question: &'static str) -> anyhow::Result<String> {
    let before = tcgetattr(std::io::stdin()).context("look at the terminal")?;
    let watch = |kind| signal(kind).context("watch for signals");
    let (mut interrupt, mut terminate) = (watch(SignalKind::interrupt())?, watch(SignalKind::terminate())?);
    let typed = tokio::task::spawn_blocking(move || rpassword::prompt_password(question));
    let number = tokio::select! {
        typed = typed => match typed? {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => 2,
            typed => return typed.context("cannot read the password"),
        },
        _ = interrupt.recv() => 2,
        _ = terminate.recv() => 15,
    };
    let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
    exit(128 + number)
}
