//! [`stream`]: a response as server-sent events, sent while it is generated.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde::Serialize;

use crate::error::ApiError;
use crate::response::output::{Delta, RequestOutput, ResponseFormat};

/// The part of a stream that is still to be sent.
enum Remaining<F> {
    /// The opening, the first output, and everything after it.
    Opening(RequestOutput, F, Delta),
    /// Further output.
    Output(RequestOutput, F),
    Nothing,
}

/// Streams `output` as it is generated; `usage` adds a last chunk with token counts. An error
/// before the first output is returned with its status, a later one is an event of the stream.
pub async fn stream<F: ResponseFormat>(
    mut output: RequestOutput,
    format: F,
    usage: bool,
) -> Result<Response, ApiError> {
    let remaining = match output.next().await {
        Some(first) => Remaining::Opening(output, format, first?),
        None => Remaining::Output(output, format),
    };
    // Events are received only as the connection takes them: this is the backpressure on
    // generation.
    let events = unfold(remaining, move |remaining| async move {
        let (text, remaining) = match remaining {
            Remaining::Nothing => return None,
            Remaining::Opening(output, format, first) => {
                let mut text = String::new();
                for index in 0..output.count() {
                    if let Some(choice) = format.opening_choice(index) {
                        text.push_str(&chunk::<F, _>(&output, choice, usage));
                    }
                }
                if !is_empty(&first) {
                    let choice = format.chunk_choice(&first);
                    text.push_str(&chunk::<F, _>(&output, choice, usage));
                }
                (text, Remaining::Output(output, format))
            }
            Remaining::Output(output, format) => next_chunk(output, format, usage).await,
        };
        Some((Ok::<_, Infallible>(text), remaining))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    Ok((headers, Body::from_stream(events)).into_response())
}

/// The next chunk that is not empty.
async fn next_chunk<F: ResponseFormat>(
    mut output: RequestOutput,
    format: F,
    usage: bool,
) -> (String, Remaining<F>) {
    loop {
        match output.next().await {
            Some(Ok(delta)) if !is_empty(&delta) => {
                let text = chunk::<F, _>(&output, format.chunk_choice(&delta), usage);
                return (text, Remaining::Output(output, format));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return (event(&error.json()) + DONE, Remaining::Nothing),
            None => {
                let mut text = String::new();
                if usage {
                    let usage = Some(Some(output.usage()));
                    text = event(&output.envelope::<F, ()>(F::CHUNK_OBJECT, Vec::new(), usage));
                }
                return (text + DONE, Remaining::Nothing);
            }
        }
    }
}

const DONE: &str = "data: [DONE]\n\n";

/// Whether there is nothing to send, because all text is held back until it is certain.
fn is_empty(delta: &Delta) -> bool {
    let has_logprobs = delta.logprobs.as_ref().is_some_and(|logprobs| !logprobs.is_empty());
    delta.text.is_empty() && delta.reasoning.is_empty() && !has_logprobs && delta.finish.is_none()
}

fn chunk<F: ResponseFormat, C: Serialize>(
    output: &RequestOutput,
    choice: C,
    usage: bool,
) -> String {
    event(&output.envelope::<F, _>(F::CHUNK_OBJECT, vec![choice], usage.then_some(None)))
}

fn event(value: &impl Serialize) -> String {
    // Writing to a string cannot fail, and all keys are strings.
    let json = serde_json::to_string(value).unwrap_or_default();
    format!("data: {json}\n\n")
}
