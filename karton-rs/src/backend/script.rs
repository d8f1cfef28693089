//! Scripts that run often: Redis is asked by their digests.
//!
//! The one rule: Redis may forget a script at any time, so the text is at hand, and each is one call that does
//! everything or was never run. See [`Connection::call`](super::Connection::call).

use redis::{Cmd, Pipeline};
use sha1::{Digest, Sha1};

/// A script with its digest.
pub(crate) struct Script {
    text: String,
    digest: String,
}

impl Script {
    /// A script that consists of these parts.
    pub(crate) fn new(parts: &[&str]) -> Self {
        let text = parts.concat();
        Self { digest: crate::hex(&Sha1::digest(&text)), text }
    }

    /// Asks for a script that Redis knows; `fill` adds how many keys there are, keys, and values.
    pub(super) fn by_digest(&self, fill: impl FnOnce(&mut Cmd)) -> Pipeline {
        call("EVALSHA", &self.digest, fill)
    }

    /// The same where Redis does not know it, and does then.
    pub(super) fn by_text(&self, fill: impl FnOnce(&mut Cmd)) -> Pipeline {
        call("EVAL", &self.text, fill)
    }
}

fn call(command: &str, script: &str, fill: impl FnOnce(&mut Cmd)) -> Pipeline {
    let mut command = redis::cmd(command);
    fill(command.arg(script));
    let mut pipeline = redis::pipe();
    pipeline.add_command(command);
    pipeline
}
