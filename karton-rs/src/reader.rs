//! The content of a resource while it is read.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, ReadBuf};

/// The bytes of a resource, from [`Karton::open`](crate::Karton::open); read it as any [`AsyncRead`].
pub struct ResourceReader {
    content: Box<dyn AsyncRead + Send + Unpin>,
    size: Option<u64>,
}

impl ResourceReader {
    pub(crate) fn new(content: impl AsyncRead + Send + Unpin + 'static, size: Option<u64>) -> Self {
        Self { content: Box::new(content), size }
    }

    /// How many bytes there are, as the object store says; nothing when it does not. What the task says
    /// ([`Resource::size`](crate::Resource::size)) may be wrong.
    pub fn size(&self) -> Option<u64> {
        self.size
    }
}

impl AsyncRead for ResourceReader {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.content).poll_read(context, buffer)
    }
}
