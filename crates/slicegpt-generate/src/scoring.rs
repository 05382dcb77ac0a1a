//! [`Engine::score`]: the likelihoods of given tokens at given positions.

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Int, Tensor, TensorData};
use rayon::prelude::*;
use slicegpt_core::TensorSource;
use slicegpt_core::precise::has_own_memory;
use slicegpt_kernels as kernels;
use slicegpt_models::{Cache, Positions, Scaling};

use crate::engine::{CHUNK, Engine, EngineError};
use crate::logprobs::LogSoftmax;

/// Maximum number of tokens per forward pass on an accelerator.
const ACCELERATOR_CHUNK: usize = 8192;

/// Rows of logits that are computed at a time: on the CPU, and on an accelerator.
const LOGIT_ROWS: [usize; 2] = [64, 256];

/// The next tokens of a sequence, and the candidates to be scored after some of them.
#[derive(Clone, Copy, Debug)]
pub struct ScoringInput<'a> {
    /// Tokens that the cache does not hold; at least one.
    pub ids: &'a [u32],
    /// The KV cache of the tokens before; afterwards it holds all of them.
    pub cache: &'a Cache,
    /// The candidates, in ascending order of `after`.
    pub candidates: &'a [Candidate],
}

/// A token whose likelihood is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Index in `ids` of the token that it follows.
    pub after: usize,
    /// The token.
    pub token: u32,
}

/// The likelihood of a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenLikelihood {
    /// The natural logarithm of its probability, in float32.
    pub logprob: f32,
    /// Whether greedy decoding would choose it.
    pub is_greedy: bool,
}

impl<S: TensorSource> Engine<S>
where
    S::Error: std::error::Error + 'static,
{
    /// Whether chunked and one-shot evaluation of a sequence agree. They do not under dynamic and
    /// longrope scaling, where rotary frequencies depend on the length of the sequence.
    pub fn is_chunkable(&self) -> bool {
        match &self.spec().positions {
            Positions::Rotary(rope) => {
                !matches!(rope.scaling, Scaling::Dynamic { .. } | Scaling::LongRope { .. })
            }
            Positions::Learned { .. } => true,
        }
    }

    /// The likelihood of each candidate of each sequence, in their order. From an accelerator, only
    /// two numbers per candidate are copied to the host.
    ///
    /// # Errors
    ///
    /// If the embedding cannot be read, or a likelihood is not finite.
    ///
    /// # Panics
    ///
    /// If a sequence has no tokens.
    pub fn score(
        &self,
        sequences: &[ScoringInput<'_>],
    ) -> Result<Vec<Vec<TokenLikelihood>>, EngineError<S::Error>> {
        let on_host = !has_own_memory(self.device());
        let chunk_size = match (self.is_chunkable(), on_host) {
            (false, _) => usize::MAX,
            (true, true) => CHUNK,
            (true, false) => ACCELERATOR_CHUNK,
        };
        let mut found: Vec<Vec<TokenLikelihood>> = vec![Vec::new(); sequences.len()];
        let mut tails = Vec::with_capacity(sequences.len());
        for (index, sequence) in sequences.iter().enumerate() {
            // All chunks but the last run one by one: each needs the previous ones in its cache.
            let mut rest = Chunk { index, start: 0, sequence };
            while rest.ids().len() > chunk_size {
                let end = rest.start + chunk_size;
                self.score_chunks(&[rest], end, &mut found)?;
                rest.start = end;
            }
            tails.push(rest);
        }
        let mut rest = &tails[..];
        while !rest.is_empty() {
            let mut tokens = 0;
            let fits = |chunk: &&Chunk<'_>| {
                tokens += chunk.ids().len();
                tokens <= chunk_size
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (group, remaining) = rest.split_at(count);
            self.score_chunks(group, usize::MAX, &mut found)?;
            rest = remaining;
        }
        Ok(found)
    }

    /// Runs chunks in one batch, each up to token `end` of its sequence.
    fn score_chunks(
        &self,
        chunks: &[Chunk<'_>],
        end: usize,
        found: &mut [Vec<TokenLikelihood>],
    ) -> Result<(), EngineError<S::Error>> {
        let run: Vec<(&[u32], &Cache)> =
            chunks.iter().map(|chunk| (chunk.ids_before(end), chunk.sequence.cache)).collect();
        let stream = self.run(&run)?;
        // The rows of the stream that have candidates, each once.
        let mut rows: Vec<Row> = Vec::new();
        let mut offset = 0;
        for chunk in chunks {
            let length = chunk.ids_before(end).len();
            let range = chunk.start..chunk.start + length;
            for (index, candidate) in chunk.sequence.candidates.iter().enumerate() {
                if range.contains(&candidate.after) {
                    let row = offset + candidate.after - chunk.start;
                    let slot = Slot { sequence: chunk.index, index, token: candidate.token };
                    match rows.iter_mut().rev().find(|other| other.index == row) {
                        Some(same) => same.slots.push(slot),
                        None => rows.push(Row { index: row, slots: vec![slot] }),
                    }
                }
            }
            offset += length;
        }
        for chunk in chunks {
            found[chunk.index].resize(chunk.sequence.candidates.len(), UNSCORED);
        }
        let at_a_time = LOGIT_ROWS[usize::from(has_own_memory(self.device()))];
        for rows in rows.chunks(at_a_time) {
            self.score_rows(stream.clone(), rows, found)?;
        }
        Ok(())
    }

    /// Scores the candidates after some rows of a stream, `[1, tokens, width]`.
    fn score_rows(
        &self,
        stream: Tensor<3>,
        rows: &[Row],
        found: &mut [Vec<TokenLikelihood>],
    ) -> Result<(), EngineError<S::Error>> {
        let indices: Vec<i32> = rows.iter().map(|row| row.index as i32).collect();
        let indices = TensorData::new(indices, [rows.len()]);
        let stream =
            stream.clone().select(1, Tensor::<1, Int>::from_data(indices, &stream.device()));
        let logits = kernels::logits(&self.head, stream).cast(DType::F32);
        let likelihoods = if has_own_memory(self.device()) {
            on_device(logits, rows)
        } else {
            on_host(logits, rows)
        };
        for (row, likelihoods) in rows.iter().zip(likelihoods) {
            for (slot, likelihood) in row.slots.iter().zip(likelihoods) {
                if !likelihood.logprob.is_finite() {
                    return Err(EngineError::NotFinite);
                }
                found[slot.sequence][slot.index] = likelihood;
            }
        }
        Ok(())
    }
}

/// The likelihoods of the candidates after each row, from logits `[1, rows, vocab_size]` on an
/// accelerator, where the logits stay.
fn on_device(logits: Tensor<3>, rows: &[Row]) -> Vec<Vec<TokenLikelihood>> {
    let device = logits.device();
    let max = rows.iter().map(|row| row.slots.len()).max().unwrap_or(0);
    // Rows with fewer candidates are padded with token 0.
    let tokens = rows
        .iter()
        .flat_map(|row| (0..max).map(|i| row.slots.get(i).map_or(0, |slot| slot.token as i32)));
    let tokens = TensorData::new(tokens.collect::<Vec<_>>(), [1, rows.len(), max]);
    let tokens = Tensor::<3, Int>::from_data(tokens, &device);
    let argmax = logits.clone().argmax(2).into_data();
    let logprobs = log_softmax(logits, 2).gather(2, tokens).into_data_dtype(DType::F32);
    let logprobs: Vec<f32> = logprobs.try_into_vec().expect("it was just made float32");
    let argmax: Vec<i64> = argmax.iter::<i64>().collect();
    let of_row = |(index, row): (usize, &Row)| {
        let slots = row.slots.iter().enumerate();
        let likelihoods = slots.map(|(i, slot)| TokenLikelihood {
            logprob: logprobs[index * max + i],
            is_greedy: argmax[index] == i64::from(slot.token),
        });
        likelihoods.collect()
    };
    rows.iter().enumerate().map(of_row).collect()
}

/// Like [`on_device`], from logits in host memory, on all cores.
fn on_host(logits: Tensor<3>, rows: &[Row]) -> Vec<Vec<TokenLikelihood>> {
    let [_, _, vocab_size] = logits.dims();
    let logits: Vec<f32> = logits.into_data().try_into_vec().expect("it was made float32");
    let of_row = |(logits, row): (&[f32], &Row)| {
        let softmax = LogSoftmax::new(logits);
        // The first among equals, as in `Sampler::choose`.
        let argmax = logits.iter().position(|x| *x == softmax.max());
        let likelihoods = row.slots.iter().map(|slot| TokenLikelihood {
            logprob: softmax.logprob(logits[slot.token as usize]),
            is_greedy: argmax == Some(slot.token as usize),
        });
        likelihoods.collect()
    };
    logits.par_chunks(vocab_size).zip(rows).map(of_row).collect()
}

/// A row of a stream that has candidates.
struct Row {
    index: usize,
    slots: Vec<Slot>,
}

/// A candidate, and the place of its likelihood in the result.
struct Slot {
    sequence: usize,
    index: usize,
    token: u32,
}

/// The placeholder of a candidate that has not been scored yet.
const UNSCORED: TokenLikelihood = TokenLikelihood { logprob: 0.0, is_greedy: false };

/// The tokens of a sequence from `start` on.
#[derive(Clone, Copy)]
struct Chunk<'a> {
    index: usize,
    start: usize,
    sequence: &'a ScoringInput<'a>,
}

impl<'a> Chunk<'a> {
    fn ids(&self) -> &'a [u32] {
        &self.sequence.ids[self.start..]
    }

    /// Its tokens before token `end` of the sequence.
    fn ids_before(&self, end: usize) -> &'a [u32] {
        &self.sequence.ids[self.start..end.min(self.sequence.ids.len())]
    }
}
