//! Content in a zip that scanners on the way leave alone: one entry, encrypted with a known password.
//!
//! It is made while it is sent, by a thread of its own, from a source that is read while it is packed. The one rule: a
//! thread waits for nobody without end, see [`Pace`].

use std::io::{self, Write};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::io::StreamReader;
use zip::{AesMode, CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::Reader;
use crate::{
    error::{ApiError, ApiResult},
    per_account::Place,
};

/// From this size on the entry needs the long form of its sizes.
const LARGE: u64 = u32::MAX as u64;
/// How much goes out at once.
const PIECE: usize = 64 * 1024;
/// Pieces that wait for the client.
const AHEAD: usize = 4;
/// Threads that pack at once: more would take those away that the database needs.
static PACKING: Semaphore = Semaphore::const_new(64);
/// How long a request waits for one of them.
const PATIENCE: Duration = Duration::from_secs(5);
/// A client that takes nothing for so long gets no more.
const STALLED: Duration = Duration::from_mins(1);
/// Bytes a second that a client takes at least, all in all: one that takes a piece now and then holds a thread as well.
const LOWEST_RATE: u64 = 16 * 1024;

/// Packs `size` bytes of content. An error in the middle is an error of the reader, never a short zip. The account has
/// its place back when the thread has ended.
pub(crate) async fn pack(content: Reader, size: u64, name: String, password: String, place: Place) -> ApiResult<impl AsyncRead + Send> {
    let busy = |_| ApiError::Unavailable("Too many zips are being made".to_owned());
    let permit = tokio::time::timeout(PATIENCE, PACKING.acquire()).await.map_err(busy)?.map_err(anyhow::Error::from)?;
    let (pieces, inbox) = mpsc::channel(AHEAD);
    let handle = Handle::current();
    tokio::task::spawn_blocking(move || {
        let _permits = (permit, place);
        let mut sink = Sink { pieces, buffer: Vec::with_capacity(PIECE), handle: handle.clone(), pace: Pace::default() };
        let mut source = Source { content, handle };
        if let Err(error) = write(&mut source, size, &name, &password, &mut sink).and_then(|()| sink.flush()) {
            // Nobody listens when the client is gone.
            let _ = sink.send(Err(error));
        }
    });
    Ok(StreamReader::new(Box::pin(stream::unfold(inbox, |mut inbox| async { inbox.recv().await.map(|piece| (piece, inbox)) }))))
}

fn write(source: &mut impl io::Read, size: u64, name: &str, password: &str, sink: &mut Sink) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .large_file(size >= LARGE)
        .with_aes_encryption(AesMode::Aes256, password);
    let mut archive = ZipWriter::new_stream(sink);
    archive.start_file(name, options)?;
    let packed = io::copy(source, &mut archive)?;
    if packed != size {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the content ends after {packed} of {size} bytes")));
    }
    archive.finish()?;
    Ok(())
}

/// Content, read by a thread that may wait.
struct Source {
    content: Reader,
    handle: Handle,
}

impl io::Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.handle.block_on(self.content.read(buffer))
    }
}

/// How a client takes what is made for it. Only the time that it lets us wait counts.
#[derive(Default)]
struct Pace {
    waited: Duration,
    taken: u64,
}

impl Pace {
    /// How long it may take over the next piece: a minute, and all in all a minute more than at the lowest rate.
    fn patience(&self) -> Duration {
        let allowed = STALLED + Duration::from_secs(self.taken / LOWEST_RATE);
        allowed.saturating_sub(self.waited).min(STALLED)
    }

    fn took(&mut self, bytes: usize, waited: Duration) {
        self.taken += bytes as u64;
        self.waited += waited;
    }
}

/// Hands pieces over to the response.
struct Sink {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
    handle: Handle,
    pace: Pace,
}

impl Sink {
    fn send(&mut self, piece: io::Result<Bytes>) -> io::Result<()> {
        let bytes = piece.as_ref().map_or(0, Bytes::len);
        let start = Instant::now();
        // Tokio's timer needs its runtime before it is made.
        let sent = self.handle.block_on(async { tokio::time::timeout(self.pace.patience(), self.pieces.send(piece)).await });
        match sent {
            Ok(Ok(())) => {
                self.pace.took(bytes, start.elapsed());
                Ok(())
            }
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        self.send(Ok(piece.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _};

    use super::*;
    use crate::per_account::PerAccount;

    #[test]
    fn who_takes_a_piece_now_and_then_is_given_up() {
        // A second for each piece is less than the lowest rate allows; fifty are far too many.
        let pieces_of = |seconds: u64, most: usize| {
            let mut pace = Pace::default();
            (0..most)
                .take_while(|_| {
                    let patient = pace.patience() > Duration::from_secs(seconds);
                    pace.took(PIECE, Duration::from_secs(seconds));
                    patient
                })
                .count()
        };
        assert_eq!(pieces_of(1, 10_000), 10_000);
        assert_eq!(pieces_of(50, 10_000), 1);
        assert_eq!(pieces_of(6, 10_000), 27);
        // What was taken fast before is no leave to stop for long.
        let mut pace = Pace::default();
        pace.took(1 << 30, Duration::ZERO);
        assert_eq!(pace.patience(), STALLED);
    }

    async fn packed(content: Vec<u8>, size: u64) -> io::Result<Vec<u8>> {
        let place = PerAccount::new(1).take(1, "").expect("a place");
        let reader =
            pack(Box::new(Cursor::new(content)), size, "sample.bin".to_owned(), "infected".to_owned(), place).await.expect("a thread");
        let mut zip = Vec::new();
        Box::pin(reader).read_to_end(&mut zip).await?;
        Ok(zip)
    }

    #[tokio::test]
    async fn the_zip_opens_with_its_password_and_holds_the_content() -> anyhow::Result<()> {
        let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut archive = zip::ZipArchive::new(Cursor::new(packed(bytes.clone(), bytes.len() as u64).await?))?;
        let mut read = Vec::new();
        let mut entry = archive.by_name_decrypt("sample.bin", b"infected")?;
        assert_eq!(entry.compression(), CompressionMethod::Deflated);
        entry.read_to_end(&mut read)?;
        drop(entry);
        assert!(read == bytes);
        assert!(archive.by_name_decrypt("sample.bin", b"wrong").is_err());
        Ok(())
    }

    #[tokio::test]
    async fn content_that_ends_early_is_an_error_and_no_short_zip() {
        let error = packed(vec![7; 1000], 2000).await.expect_err("1000 bytes are missing");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
