//! [`Job`]: a text to be made, as handlers hand it to the thread that runs the model; [`Event`]: what
//! comes back.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use slicegpt_generate::{Piece, Score};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Sender;

use crate::asked::Asked;

/// A text to be made.
pub struct Job {
    /// Which of its request's texts it is.
    pub index: usize,
    /// At least one token, and fewer than the model sees if any is to follow.
    pub prompt: Arc<[u32]>,
    pub asked: Arc<Asked>,
    /// Of its random numbers.
    pub seed: u64,
    /// Tokens that follow the prompt, at most; 0: the prompt is read only.
    pub most: usize,
    /// Where events go. Closed, nobody wants the text any more.
    pub events: Sender<Event>,
    /// Since when the reader of all the request's texts takes nothing.
    pub stalled: Arc<Mutex<Option<Instant>>>,
    /// Its place among all texts that are asked for, given back with it.
    #[expect(dead_code, reason = "it is held, and given back with the job")]
    pub place: OwnedSemaphorePermit,
}

/// Something that happened to a text.
#[derive(Debug)]
pub struct Event {
    /// Which of the request's texts.
    pub index: usize,
    pub what: What,
}

/// What happened.
#[derive(Debug)]
pub enum What {
    /// The prompt was read: how likely its tokens were, from the second one on, if that was asked.
    Read(Vec<Score>),
    /// A token was chosen.
    Token(Piece, Option<Score>),
    /// It failed, and nothing more will come.
    Failed(String),
}
