//! How likely given tokens are after those that a model has seen: [`Engine::score`].

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Int, Tensor, TensorData};
use rayon::prelude::*;
use slicegpt_core::TensorSource;
use slicegpt_core::precise::has_own_memory;
use slicegpt_kernels as kernels;
use slicegpt_models::{Cache, Positions, Scaling};

use crate::engine::{CHUNK, Engine, EngineError};
use crate::log_softmax::LogSoftmax;

/// Tokens run at a time on a device with memory of its own.
const CHUNK_ELSEWHERE: usize = 8192;

/// Rows of logits made at a time: on the processor, and elsewhere.
const ROWS: [usize; 2] = [64, 256];

/// The next tokens of a sequence, and what may come after some of them.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    /// Tokens that the cache has not seen; at least one.
    pub ids: &'a [u32],
    /// What has seen the tokens before; afterwards it has seen all of them.
    pub cache: &'a Cache,
    /// What may come, in the order of `after`.
    pub candidates: &'a [Candidate],
}

/// A token that may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The token of `ids` it comes after, as an index.
    pub after: usize,
    /// The token.
    pub token: u32,
}

/// How likely a token is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likelihood {
    /// The natural logarithm of its probability, in float32.
    pub log: f32,
    /// Whether no other token is more likely.
    pub greatest: bool,
}

impl<S: TensorSource> Engine<S>
where
    S::Error: std::error::Error + 'static,
{
    /// Whether tokens have the same logits with those before them in a cache as with these run beside
    /// them. Not so where rotary frequencies change with the length of a sequence.
    pub fn may_split(&self) -> bool {
        match &self.spec().positions {
            Positions::Rotary(rope) => {
                !matches!(rope.scaling, Scaling::Dynamic { .. } | Scaling::LongRope { .. })
            }
            Positions::Learned { .. } => true,
        }
    }

    /// The likelihood of each candidate of each sequence, in their order. Of a device with memory
    /// of its own, two numbers of each candidate leave it.
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
        sequences: &[Scored<'_>],
    ) -> Result<Vec<Vec<Likelihood>>, EngineError<S::Error>> {
        let on_host = !has_own_memory(self.device());
        let chunk = match (self.may_split(), on_host) {
            (false, _) => usize::MAX,
            (true, true) => CHUNK,
            (true, false) => CHUNK_ELSEWHERE,
        };
        let mut found: Vec<Vec<Likelihood>> = vec![Vec::new(); sequences.len()];
        let mut tails = Vec::with_capacity(sequences.len());
        for (index, sequence) in sequences.iter().enumerate() {
            // All but the last piece alone: a piece sees what its cache has seen before it was run.
            let mut rest = Piece { index, start: 0, sequence };
            while rest.ids().len() > chunk {
                let end = rest.start + chunk;
                self.score_pieces(&[rest], end, &mut found)?;
                rest.start = end;
            }
            tails.push(rest);
        }
        let mut rest = &tails[..];
        while !rest.is_empty() {
            let mut tokens = 0;
            let fits = |piece: &&Piece<'_>| {
                tokens += piece.ids().len();
                tokens <= chunk
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (group, behind) = rest.split_at(count);
            self.score_pieces(group, usize::MAX, &mut found)?;
            rest = behind;
        }
        Ok(found)
    }

    /// Runs pieces beside each other, each up to token `end` of its sequence.
    fn score_pieces(
        &self,
        pieces: &[Piece<'_>],
        end: usize,
        found: &mut [Vec<Likelihood>],
    ) -> Result<(), EngineError<S::Error>> {
        let run: Vec<(&[u32], &Cache)> =
            pieces.iter().map(|piece| (piece.ids_before(end), piece.sequence.cache)).collect();
        let stream = self.run(&run)?;
        // Rows of the stream that something comes after, each once, with what may come.
        let mut rows: Vec<Row> = Vec::new();
        let mut offset = 0;
        for piece in pieces {
            let length = piece.ids_before(end).len();
            let inside = piece.start..piece.start + length;
            for (place, candidate) in piece.sequence.candidates.iter().enumerate() {
                if inside.contains(&candidate.after) {
                    let row = offset + candidate.after - piece.start;
                    let wanted = Wanted { sequence: piece.index, place, token: candidate.token };
                    match rows.iter_mut().rev().find(|other| other.at == row) {
                        Some(same) => same.wanted.push(wanted),
                        None => rows.push(Row { at: row, wanted: vec![wanted] }),
                    }
                }
            }
            offset += length;
        }
        for piece in pieces {
            found[piece.index].resize(piece.sequence.candidates.len(), NOTHING);
        }
        let at_a_time = ROWS[usize::from(has_own_memory(self.device()))];
        for some in rows.chunks(at_a_time) {
            self.score_rows(stream.clone(), some, found)?;
        }
        Ok(())
    }

    /// Scores what may come after some rows of a stream, `[1, tokens, width]`.
    fn score_rows(
        &self,
        stream: Tensor<3>,
        rows: &[Row],
        found: &mut [Vec<Likelihood>],
    ) -> Result<(), EngineError<S::Error>> {
        let places: Vec<i32> = rows.iter().map(|row| row.at as i32).collect();
        let count = rows.len();
        let places = TensorData::new(places, [count]);
        let stream =
            stream.clone().select(1, Tensor::<1, Int>::from_data(places, &stream.device()));
        let logits = kernels::logits(&self.head, stream).cast(DType::F32);
        let found_of_rows = match has_own_memory(self.device()) {
            true => on_device(logits, rows),
            false => on_host(logits, rows),
        };
        for (row, likelihoods) in rows.iter().zip(found_of_rows) {
            for (wanted, likelihood) in row.wanted.iter().zip(likelihoods) {
                if !likelihood.log.is_finite() {
                    return Err(EngineError::NotFinite);
                }
                found[wanted.sequence][wanted.place] = likelihood;
            }
        }
        Ok(())
    }
}

/// The likelihood of what is wanted after each row, from logits, `[1, rows, vocab_size]`, which stay where they
/// are.
fn on_device(logits: Tensor<3>, rows: &[Row]) -> Vec<Vec<Likelihood>> {
    let device = logits.device();
    let most = rows.iter().map(|row| row.wanted.len()).max().unwrap_or(0);
    // The first token stands where a row has fewer candidates than another.
    let tokens = rows.iter().flat_map(|row| {
        (0..most).map(|i| row.wanted.get(i).map_or(0, |wanted| wanted.token as i32))
    });
    let tokens = TensorData::new(tokens.collect::<Vec<_>>(), [1, rows.len(), most]);
    let tokens = Tensor::<3, Int>::from_data(tokens, &device);
    let greatest = logits.clone().argmax(2).into_data();
    let logs = log_softmax(logits, 2).gather(2, tokens).into_data_dtype(DType::F32);
    let logs: Vec<f32> = logs.try_into_vec().expect("it was just made float32");
    let greatest: Vec<i64> = greatest.iter::<i64>().collect();
    let of_row = |(index, row): (usize, &Row)| {
        let wanted = row.wanted.iter().enumerate();
        let likelihoods = wanted.map(|(i, wanted)| Likelihood {
            log: logs[index * most + i],
            greatest: greatest[index] == i64::from(wanted.token),
        });
        likelihoods.collect()
    };
    rows.iter().enumerate().map(of_row).collect()
}

/// The same from logits in the memory of the processor, by all cores.
fn on_host(logits: Tensor<3>, rows: &[Row]) -> Vec<Vec<Likelihood>> {
    let [_, _, vocab_size] = logits.dims();
    let logits: Vec<f32> = logits.into_data().try_into_vec().expect("it was made float32");
    let of_row = |(logits, row): (&[f32], &Row)| {
        let softmax = LogSoftmax::of(logits);
        // Of equals the first is the greatest, as everywhere.
        let greatest = logits.iter().position(|x| *x == softmax.greatest());
        let likelihoods = row.wanted.iter().map(|wanted| Likelihood {
            log: softmax.log_probability(logits[wanted.token as usize]),
            greatest: greatest == Some(wanted.token as usize),
        });
        likelihoods.collect()
    };
    logits.par_chunks(vocab_size).zip(rows).map(of_row).collect()
}

/// A row of a stream that something comes after.
struct Row {
    at: usize,
    wanted: Vec<Wanted>,
}

/// A candidate, and where its likelihood belongs.
struct Wanted {
    sequence: usize,
    place: usize,
    token: u32,
}

/// What stands where nothing was scored yet.
const NOTHING: Likelihood = Likelihood { log: 0.0, greatest: false };

/// The tokens of a sequence from `start` on.
#[derive(Clone, Copy)]
struct Piece<'a> {
    index: usize,
    start: usize,
    sequence: &'a Scored<'a>,
}

impl<'a> Piece<'a> {
    fn ids(&self) -> &'a [u32] {
        &self.sequence.ids[self.start..]
    }

    /// Those of them before token `end` of the sequence.
    fn ids_before(&self, end: usize) -> &'a [u32] {
        &self.sequence.ids[self.start..end.min(self.sequence.ids.len())]
    }
}
