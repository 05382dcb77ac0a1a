//! [`stream`]: an answer told as it comes, as server-sent events.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde::Serialize;

use crate::answer::{Answer, Delta, Shape};
use crate::error::ApiError;

/// What is still to be told.
enum Left<S> {
    /// What came first, and all behind it.
    First(Answer, S, Delta),
    /// More texts.
    Texts(Answer, S),
    Nothing,
}

/// Tells the parts of `answer` as they come; `usage` counts tokens at the end. What goes wrong before
/// anything has come is an error like others; later it is a part of the stream.
pub async fn stream<S: Shape>(
    mut answer: Answer,
    shape: S,
    usage: bool,
) -> Result<Response, ApiError> {
    let left = match answer.next().await {
        Some(first) => Left::First(answer, shape, first?),
        None => Left::Texts(answer, shape),
    };
    // Nothing is asked of the model's thread before the connection takes more.
    let events = unfold(left, move |left| async move {
        let (text, left) = match left {
            Left::Nothing => return None,
            Left::First(answer, shape, first) => {
                let mut text = String::new();
                for index in 0..answer.texts.len() {
                    if let Some(choice) = shape.opening(index) {
                        text.push_str(&part::<S, _>(&answer, choice, usage));
                    }
                }
                if says_something(&first) {
                    text.push_str(&part::<S, _>(&answer, shape.part(&first), usage));
                }
                (text, Left::Texts(answer, shape))
            }
            Left::Texts(answer, shape) => rest(answer, shape, usage).await,
        };
        Some((Ok::<_, Infallible>(text), left))
    });
    let headers = [(CONTENT_TYPE, "text/event-stream; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    Ok((headers, Body::from_stream(events)).into_response())
}

/// The next part that says something.
async fn rest<S: Shape>(mut answer: Answer, shape: S, usage: bool) -> (String, Left<S>) {
    loop {
        match answer.next().await {
            Some(Ok(delta)) if says_something(&delta) => {
                let text = part::<S, _>(&answer, shape.part(&delta), usage);
                return (text, Left::Texts(answer, shape));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return (event(&error.json()) + DONE, Left::Nothing),
            None => {
                let mut text = String::new();
                if usage {
                    let usage = Some(Some(answer.usage()));
                    text = event(&answer.object::<S, ()>(S::PART, Vec::new(), usage));
                }
                return (text + DONE, Left::Nothing);
            }
        }
    }
}

const DONE: &str = "data: [DONE]\n\n";

/// Text that is held back until it is certain makes a part of nothing.
fn says_something(delta: &Delta) -> bool {
    let tokens = delta.tokens.as_ref().is_some_and(|tokens| !tokens.is_empty());
    !delta.text.is_empty() || tokens || delta.finish.is_some()
}

fn part<S: Shape, C: Serialize>(answer: &Answer, choice: C, usage: bool) -> String {
    event(&answer.object::<S, _>(S::PART, vec![choice], usage.then_some(None)))
}

fn event(value: &impl Serialize) -> String {
    // A string takes everything, and keys are strings.
    let json = serde_json::to_string(value).unwrap_or_default();
    format!("data: {json}\n\n")
}
