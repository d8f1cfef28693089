//! Bodies that are read into memory as a whole.
//!
//! The one rule: all of them together take no more than [`ROOM`], and nobody keeps a place for longer than a slow
//! connection needs to send what it holds.

use std::time::Duration;

use rocket::data::{Data, ToByteUnit};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use crate::error::{ApiError, ApiResult};

/// Longest body of somebody who is not logged in. Logins and registrations are short.
pub(crate) const LARGEST_ANONYMOUS: u64 = 64 << 10;
/// What a body may hold before it needs a part of the room.
const SHORT: usize = 64 << 10;
/// The room is given away in such parts.
const PART: usize = 1 << 20;
/// Parts in all: 256 MiB.
static ROOM: Semaphore = Semaphore::const_new(256);
/// How long a body waits for room.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a body may take besides what it needs at the slowest rate.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes a second that are expected of everybody.
const SLOWEST: u64 = 16 << 10;

/// A body, and the room that it takes as long as this lives.
pub(crate) struct Intake {
    pub(crate) bytes: Vec<u8>,
    _room: Option<SemaphorePermit<'static>>,
}

/// Reads a body of at most so many bytes.
pub(crate) async fn read(data: Data<'_>, most: u64) -> ApiResult<Intake> {
    read_within(data.open(most.saturating_add(1).bytes()), most, &ROOM, PATIENCE).await
}

async fn read_within(mut stream: impl AsyncRead + Unpin, most: u64, room: &'static Semaphore, patience: Duration) -> ApiResult<Intake> {
    let broken = || ApiError::BadRequest("The request body could not be read".to_owned());
    let slow = || ApiError::BadRequest(format!("The request body comes at less than {SLOWEST} bytes a second"));
    let began = Instant::now();
    let (mut bytes, mut taken) = (Vec::new(), None);
    loop {
        let until = began + patience + Duration::from_secs(bytes.len() as u64 / SLOWEST);
        let read = tokio::time::timeout_at(until, stream.read_buf(&mut bytes)).await.map_err(|_| slow())?;
        if read.map_err(|_| broken())? == 0 {
            return Ok(Intake { bytes, _room: taken });
        }
        if bytes.len() as u64 > most {
            return Err(ApiError::TooLarge);
        }
        let parts = bytes.len().saturating_sub(SHORT).div_ceil(PART);
        let had = taken.as_ref().map_or(0, SemaphorePermit::num_permits);
        if parts > had {
            let more = u32::try_from(parts - had).unwrap_or(u32::MAX);
            let full = || ApiError::Unavailable("Too many large requests are under way".to_owned());
            let more =
                tokio::time::timeout(LONGEST_WAIT.min(patience), room.acquire_many(more)).await.map_err(|_| full())?.map_err(|_| full())?;
            match &mut taken {
                Some(taken) => SemaphorePermit::merge(taken, more),
                taken @ None => *taken = Some(more),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    static TWO: Semaphore = Semaphore::const_new(2);
    const SOON: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_body_that_comes_too_slowly_ends_and_one_that_is_too_long_is_refused() {
        static ROOM: Semaphore = Semaphore::const_new(1);
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"begun").await.expect("room in the pipe");
        let slow = read_within(server, 100, &ROOM, SOON).await.map(|intake| intake.bytes);
        assert!(matches!(slow, Err(ApiError::BadRequest(reason)) if reason.contains("bytes a second")));
        let whole = read_within(&[1_u8; 100][..], 100, &ROOM, SOON).await.map(|intake| intake.bytes.len());
        assert!(matches!(whole, Ok(100)));
        let long = read_within(&[1_u8; 101][..], 100, &ROOM, SOON).await.map(|intake| intake.bytes.len());
        assert!(matches!(long, Err(ApiError::TooLarge)));
    }

    #[tokio::test]
    async fn bodies_take_no_more_than_there_is_room_for() {
        let body = vec![1_u8; 2 * PART];
        let most = body.len() as u64;
        let first = read_within(&body[..], most, &TWO, SOON).await;
        assert!(first.is_ok());
        let second = read_within(&body[..], most, &TWO, SOON).await.map(|intake| intake.bytes.len());
        assert!(matches!(second, Err(ApiError::Unavailable(_))));
        // Short ones need none.
        assert!(read_within(&body[..SHORT], most, &TWO, SOON).await.is_ok());
        drop(first);
        assert!(read_within(&body[..], most, &TWO, SOON).await.is_ok());
    }
}
