//! Many arguments of one command in one buffer.
//!
//! The one rule: what is built for a batch is written straight into its buffer, so that a batch of
//! thousands of arguments costs a few allocations instead of one for each.

use redis::{RedisWrite, ToRedisArgs};

/// Texts, one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Args {
    text: String,
    ends: Vec<usize>,
}

impl Args {
    /// Without any, with room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), ends: Vec::new() }
    }

    /// Bytes of all together.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn push(&mut self, arg: &str) {
        self.write(|out| out.push_str(arg));
    }

    /// Adds one argument that `write` appends to what is there.
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.text);
        self.ends.push(self.text.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end])
    }
}

impl ToRedisArgs for Args {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        self.iter().for_each(|arg| out.write_arg(arg.as_bytes()));
    }

    fn num_of_args(&self) -> usize {
        self.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_an_argument_of_its_own() {
        let mut args = Args::default();
        ["a", "", "bcd"].iter().for_each(|text| args.push(text));
        args.write(|out| {
            out.push('x');
            out.push('y');
        });
        assert_eq!(args.iter().collect::<Vec<_>>(), ["a", "", "bcd", "xy"]);
        assert_eq!(args.to_redis_args(), [b"a".to_vec(), Vec::new(), b"bcd".to_vec(), b"xy".to_vec()]);
    }
}
