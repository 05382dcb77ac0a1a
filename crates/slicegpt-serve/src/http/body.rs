//! [`Bodies`]: the bodies of requests, with bounds on their size, on the memory of all together,
//! and on the time each takes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::ApiError;

/// How long an unwanted body is still read. Many clients do not read the response before they have
/// written the whole request.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Maximum number of bytes of an unwanted body that are read.
const DRAIN_BYTES: usize = 64 << 20;

/// Bytes at the beginning of each body that are not part of the common memory: short requests are
/// read however many long ones are held.
const SHORT: usize = 16 << 10;

/// The unit of the common memory, in bytes.
const UNIT: usize = 64 << 10;

/// The least average rate of a body in bytes per second, after a grace period.
const RATE: usize = 16 << 10;

/// The memory of all bodies.
pub struct Bodies {
    /// Maximum size of one body, in bytes.
    max: usize,
    /// How long no byte may arrive, and how long a body may be slower than the least rate.
    patience: Duration,
    free: Arc<Semaphore>,
}

/// A body, and its share of the memory, which is free once this is dropped.
pub struct HeldBody {
    pub bytes: Vec<u8>,
    memory: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    /// Bodies of at most `max` bytes each and `all` bytes together, of clients that are given
    /// `patience`.
    pub fn new(max: usize, all: u64, patience: Duration) -> Self {
        let units = usize::try_from(all / UNIT as u64).unwrap_or(usize::MAX);
        let free = Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS)));
        Self { max, patience, free }
    }

    /// The body of `request`.
    ///
    /// # Errors
    ///
    /// If it is too large, breaks off, is too slow or not complete at `deadline`, or if there is no
    /// memory for it now.
    pub async fn read(&self, request: Request, deadline: Instant) -> Result<HeldBody, ApiError> {
        let length = request.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let mut body = request.into_body().into_data_stream();
        let mut held = HeldBody { bytes: Vec::new(), memory: None };
        let mut refused = length.is_some_and(|length| length > self.max).then(|| self.too_large());
        let start = Instant::now();
        while refused.is_none() {
            let seconds = (held.bytes.len() / RATE) as u64;
            let slowest = start + self.patience + Duration::from_secs(seconds);
            let next = (Instant::now() + self.patience).min(slowest).min(deadline);
            match timeout_at(next, body.next()).await {
                Err(_) => return Err(ApiError::body_timeout()),
                Ok(None) => return Ok(held),
                Ok(Some(Err(error))) => {
                    return Err(ApiError::malformed_body(format!("the body broke off: {error}")));
                }
                Ok(Some(Ok(more))) => refused = self.take(&mut held, &more, length).err(),
            }
        }
        drop(held);
        drain(body).await;
        Err(refused.unwrap_or_else(|| self.too_large()))
    }

    /// Adds `more` to a body, whose length may be known.
    fn take(
        &self,
        held: &mut HeldBody,
        more: &[u8],
        length: Option<usize>,
    ) -> Result<(), ApiError> {
        let size = held.bytes.len() + more.len();
        if size > self.max {
            return Err(self.too_large());
        }
        if size > held.bytes.capacity() {
            // Only what is written takes memory, so that the announced length costs nothing.
            let wanted = if size <= SHORT { SHORT } else { 2 * size };
            let wanted = length.unwrap_or(wanted).max(size);
            held.bytes.reserve_exact(wanted.min(self.max) - held.bytes.len());
        }
        // A body of unknown length may be in memory twice while it grows.
        let copies = if length.is_some() { 1 } else { 2 };
        let units = (copies * size.saturating_sub(SHORT)).div_ceil(UNIT);
        let missing = units - held.memory.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if missing > 0 {
            let count = u32::try_from(missing).unwrap_or(u32::MAX);
            let memory = self.free.clone().try_acquire_many_owned(count);
            let memory = memory.map_err(|_| ApiError::bodies_full())?;
            match &mut held.memory {
                Some(all) => all.merge(memory),
                none => *none = Some(memory),
            }
        }
        held.bytes.extend_from_slice(more);
        Ok(())
    }

    fn too_large(&self) -> ApiError {
        ApiError::body_too_large(self.max)
    }
}

/// Reads and drops the body of a request that is refused before its body is needed.
pub async fn discard(request: Request) {
    drain(request.into_body().into_data_stream()).await;
}

async fn drain(mut body: BodyDataStream) {
    let mut left = DRAIN_BYTES;
    // The rest of a larger body is not read: the connection is closed after the response.
    let drain = async {
        while let Some(Ok(more)) = body.next().await {
            left = left.saturating_sub(more.len());
            if left == 0 {
                break;
            }
        }
    };
    let _ = timeout(DRAIN_TIME, drain).await;
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use futures_util::stream;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn read(bodies: &Bodies, size: usize, chunks: bool) -> Result<HeldBody, ApiError> {
        let bytes = vec![b'a'; size];
        let request = Request::builder();
        let request = match chunks {
            false => request.header(CONTENT_LENGTH, size).body(Body::from(bytes)),
            true => {
                let chunks: Vec<_> = bytes.chunks(1000).map(<[u8]>::to_vec).collect();
                request.body(Body::from_stream(stream::iter(
                    chunks.into_iter().map(Ok::<_, Infallible>),
                )))
            }
        };
        bodies.read(request.unwrap(), Instant::now() + SECOND).await
    }

    #[tokio::test]
    async fn all_bodies_together_have_a_bound() {
        let bodies = Bodies::new(1 << 20, 1 << 20, SECOND);
        for chunks in [false, true] {
            let size = if chunks { 600 << 10 } else { 1 << 20 };
            let first = read(&bodies, size / 2, chunks).await.unwrap();
            assert_eq!(first.bytes.len(), size / 2);
            let second = read(&bodies, size, chunks).await.err().unwrap();
            assert_eq!((second.status.as_u16(), second.code), (429, Some("queue_full")));
            // Short ones are always read.
            assert_eq!(read(&bodies, SHORT, chunks).await.unwrap().bytes.len(), SHORT);
            drop(first);
            assert_eq!(read(&bodies, size / 2, chunks).await.unwrap().bytes.len(), size / 2);
            assert_eq!(bodies.free.available_permits(), 16);
        }
        let ample = Bodies::new(1 << 20, 4 << 20, SECOND);
        for chunks in [false, true] {
            let error = read(&ample, (1 << 20) + 1, chunks).await.err().unwrap();
            assert_eq!(error.status.as_u16(), 413);
        }
    }

    #[tokio::test]
    async fn a_body_that_is_too_slow_ends() {
        let bodies = Bodies::new(1 << 20, 1 << 20, Duration::from_millis(100));
        let start = Instant::now();
        // A byte in 20 ms: it never pauses for long, but is slower than it may be.
        let slow = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok::<_, Infallible>(vec![b'a']), ()))
        });
        let request = Request::builder().body(Body::from_stream(slow)).unwrap();
        let error = bodies.read(request, start + 60 * SECOND).await.err().unwrap();
        assert_eq!(error.status.as_u16(), 408);
        assert!(start.elapsed() < 10 * SECOND, "{:?}", start.elapsed());
    }
}
