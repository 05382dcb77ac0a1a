//! [`Job`]: a text to be made, as handlers hand it to the thread that runs the model; [`Event`]: what
//! comes back.

use slicegpt_generate::{Ending, Piece, Sampling, Score};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Sender;

/// A text to be made.
pub struct Job {
    /// Which of its request's texts it is.
    pub index: usize,
    /// At least one token, and fewer than the model sees if any is to follow.
    pub prompt: Vec<u32>,
    pub sampling: Sampling,
    /// Its `most` may be 0: the prompt is read only.
    pub ending: Ending,
    /// Whether it is told how likely the tokens of the prompt were.
    pub score_prompt: bool,
    /// How likely tokens were is told, with so many alternatives.
    pub alternatives: Option<usize>,
    /// Where events go. Closed, nobody wants the text any more.
    pub events: Sender<Event>,
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
