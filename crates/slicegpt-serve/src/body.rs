//! [`read`]: the body of a request, of bounded size, in bounded time.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::ApiError;

/// How long a body that is too large, or that is for nothing, is read on. Many clients read no answer
/// before they have written everything.
const DRAIN: Duration = Duration::from_secs(2);

/// Bytes that are read on then, at most.
const DRAINED: usize = 64 << 20;

/// The body of `request`, of `most` bytes at most.
pub async fn read(request: Request, most: usize, deadline: Instant) -> Result<Vec<u8>, ApiError> {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut body = request.into_body().into_data_stream();
    let mut bytes = Vec::with_capacity(length.unwrap_or(0).min(most).min(1 << 16));
    let mut large = length.is_some_and(|length| length > most);
    while !large {
        match timeout_at(deadline, body.next()).await {
            Err(_) => return Err(ApiError::too_slow()),
            Ok(None) => return Ok(bytes),
            Ok(Some(Err(error))) => {
                return Err(ApiError::no_request(format!("the body broke off: {error}")));
            }
            Ok(Some(Ok(more))) => {
                large = bytes.len() + more.len() > most;
                bytes.extend(more);
            }
        }
    }
    drop(bytes);
    drain(body).await;
    Err(ApiError::too_large(most))
}

/// Reads the body of a request that is answered without it.
pub async fn discard(request: Request) {
    drain(request.into_body().into_data_stream()).await;
}

async fn drain(mut body: BodyDataStream) {
    let mut left = DRAINED;
    // What is more than that is not read: the connection ends with the answer.
    let drain = async {
        while let Some(Ok(more)) = body.next().await {
            left = left.saturating_sub(more.len());
            if left == 0 {
                break;
            }
        }
    };
    let _ = timeout(DRAIN, drain).await;
}
