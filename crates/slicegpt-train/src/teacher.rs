//! [`TeacherStreams`]: the streams of a teacher before its head, for every training sequence.

use burn::tensor::Tensor;
use slicegpt_core::{Decoder, Head, Lanes, Observer, TokenBatch};
use slicegpt_eval::{EvalError, normed_streams};

use crate::{Distillation, Example};

/// The normalised streams before the head of a teacher, which was run once, block by block, so that
/// it need not be in memory while its student is trained. Its logits are computed from them again
/// when they are needed: a stream takes about a hundredth of their memory.
#[derive(Clone, Debug)]
pub struct TeacherStreams {
    /// For each example, `[tokens, width]`.
    streams: Vec<Tensor<2>>,
    head: Head,
}

impl TeacherStreams {
    /// Runs `teacher` over all examples, as many at a time as there are `lanes`.
    ///
    /// # Errors
    ///
    /// If the teacher cannot be read, or the observer cancels.
    pub fn compute<D: Decoder>(
        teacher: &D,
        examples: &[Example],
        lanes: &Lanes,
        observer: &dyn Observer,
    ) -> Result<Self, EvalError<D::Error>>
    where
        D::Error: std::error::Error + 'static,
    {
        let of_one =
            |example: &Example| TokenBatch::new(example.ids.clone(), None, example.ids.len());
        let batches: Vec<TokenBatch> = examples.iter().map(of_one).collect();
        let mut streams = Vec::with_capacity(batches.len());
        normed_streams(teacher, &batches, lanes, observer, |normed| {
            streams.push(normed.squeeze_dim(0));
        })?;
        Ok(Self { streams, head: teacher.head()? })
    }

    /// The part of a loss that a batch of examples gets from this teacher. The examples are filled
    /// up to `tokens` tokens each.
    pub fn distillation(
        &self,
        examples: &[usize],
        tokens: usize,
        [temperature, mix]: [f64; 2],
    ) -> Distillation<'_> {
        let streams = examples.iter().map(|example| {
            let normed = self.streams[*example].clone();
            let [rows, width] = normed.dims();
            if rows == tokens {
                return normed;
            }
            let rest = Tensor::zeros([tokens - rows, width], (&normed.device(), normed.dtype()));
            Tensor::cat(vec![normed, rest], 0)
        });
        let normed = Tensor::cat(streams.collect(), 0);
        Distillation { normed, head: &self.head, temperature, mix }
    }
}
