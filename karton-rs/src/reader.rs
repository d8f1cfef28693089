//! The content of a resource while it is read.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, ReadBuf};

/// The bytes of a resource, from [`Karton::open`](crate::Karton::open); read it as any [`AsyncRead`].
///
/// ```no_run
/// use tokio::io::AsyncReadExt;
///
/// # async fn example(karton: karton_rs::Karton, sample: karton_rs::Resource) -> anyhow::Result<()> {
/// let mut reader = karton.open(&sample).await?;
/// println!("{:?} bytes", reader.size());
/// let mut head = [0; 2];
/// reader.read_exact(&mut head).await?;
/// # Ok(()) }
/// ```
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
