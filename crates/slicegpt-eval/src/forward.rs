//! Running a decoder over many batches with one block in memory.

use burn::tensor::{DType, Tensor};
use slicegpt_core::{Block, Decoder, Head, Lanes, Observer, TokenBatch};
use slicegpt_kernels as kernels;

/// Why a decoder could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum EvalError<E: std::error::Error + 'static> {
    /// A part of the decoder cannot be read.
    #[error(transparent)]
    Decoder(#[from] E),
    /// The activations overflowed.
    #[error("the logits hold a NaN or an infinity: the model or its input is damaged")]
    NotFinite,
    /// No label was left to score.
    #[error("no token is left to score: every label is masked or ignored")]
    Nothing,
    /// The caller cancelled the computation.
    #[error("interrupted")]
    Interrupted,
}

/// Bytes of stream held at a time. Blocks are loaded once per group of batches that fits.
const GROUP_BYTES: usize = 256 << 20;

/// Logits in memory at a time, in elements.
const LOGITS: usize = 16 << 20;

/// Runs `decoder` over `batches`, as many at a time as there are `lanes`, and passes the final
/// stream of each, `[batch, tokens, width]`, with the head to `sink`, in order. Every batch of
/// every block is a step for the observer.
pub(crate) fn forward<D: Decoder>(
    decoder: &D,
    batches: &[TokenBatch],
    lanes: &Lanes,
    observer: &dyn Observer,
    mut sink: impl FnMut(&TokenBatch, Tensor<3>, &Head) -> Result<(), EvalError<D::Error>>,
) -> Result<(), EvalError<D::Error>>
where
    D::Error: std::error::Error + 'static,
{
    for group in groups(batches, decoder.norm()?.hidden_size) {
        let mut streams = Vec::with_capacity(group.len());
        for batch in group {
            streams.push((Some(decoder.embed(batch)?), decoder.context(batch)));
        }
        for index in 0..decoder.blocks() {
            let block = decoder.block(index)?;
            for side_by_side in streams.chunks_mut(lanes.count()) {
                let running = side_by_side.iter_mut().map(|(stream, context)| (stream, &*context));
                lanes.map(running.collect(), |(stream, context)| {
                    *stream = stream.take().map(|x| block.forward(x, context));
                });
                for _ in side_by_side {
                    if observer.step().is_break() {
                        return Err(EvalError::Interrupted);
                    }
                }
            }
        }
        // Loaded only now: it is as large as many blocks, none of which is in memory any more.
        let head = decoder.head()?;
        for (batch, (stream, _)) in group.iter().zip(streams) {
            sink(batch, stream.expect("every step gives one"), &head)?;
        }
    }
    Ok(())
}

/// Runs both decoders over `batches`, a group at a time, and passes the final streams of each
/// batch, `[batch, tokens, width]`, with the heads to `sink`, in order: `base` first. Observed like
/// [`forward`].
pub(crate) fn forward_both<A: Decoder, B: Decoder<Error = A::Error>>(
    base: &A,
    decoder: &B,
    batches: &[TokenBatch],
    lanes: &Lanes,
    observer: &dyn Observer,
    mut sink: impl FnMut(&TokenBatch, [(&Head, Tensor<3>); 2]) -> Result<(), EvalError<A::Error>>,
) -> Result<(), EvalError<A::Error>>
where
    A::Error: std::error::Error + 'static,
{
    for group in groups(batches, base.norm()?.hidden_size) {
        let mut finals = Vec::with_capacity(group.len());
        forward(base, group, lanes, observer, |_, stream, head| {
            finals.push((stream, head.clone()));
            Ok(())
        })?;
        let mut finals = finals.into_iter();
        forward(decoder, group, lanes, observer, |batch, stream, head| {
            let (base, base_head) = finals.next().expect("both ran over the same batches");
            sink(batch, [(&base_head, base), (head, stream)])
        })?;
    }
    Ok(())
}

/// Passes the normalised stream before the head, `[batch, tokens, width]`, of each of `batches` to
/// `sink`, in order. As many batches are run at a time as there are `lanes`.
///
/// # Errors
///
/// If the decoder cannot be read, or the observer cancels.
pub fn normed_streams<D: Decoder>(
    decoder: &D,
    batches: &[TokenBatch],
    lanes: &Lanes,
    observer: &dyn Observer,
    mut sink: impl FnMut(Tensor<3>),
) -> Result<(), EvalError<D::Error>>
where
    D::Error: std::error::Error + 'static,
{
    forward(decoder, batches, lanes, observer, |_, stream, head| {
        sink(kernels::normalise(&head.norm, stream));
        Ok(())
    })
}

/// Groups of batches whose streams are small enough to be held at once.
fn groups(batches: &[TokenBatch], hidden_size: usize) -> impl Iterator<Item = &[TokenBatch]> {
    let largest = batches.iter().map(|batch| batch.ids().len()).max().unwrap_or(1);
    let bytes = largest * hidden_size * size_of::<f32>();
    batches.chunks((GROUP_BYTES / bytes.max(1)).max(1))
}

/// The logits of a stream, `[batch, tokens, width]`, in pieces `[rows, vocab_size]` that are small
/// enough to be in memory.
pub(crate) fn logits_in_pieces(
    head: &Head,
    stream: Tensor<3>,
    vocab_size: usize,
) -> impl Iterator<Item = Tensor<2>> {
    let [batch, tokens, width] = stream.dims();
    let rows = stream.reshape([1, batch * tokens, width]);
    let step = (LOGITS / vocab_size).clamp(1, batch * tokens);
    let head = head.clone();
    (0..batch * tokens).step_by(step).map(move |start| {
        let length = step.min(batch * tokens - start);
        kernels::logits(&head, rows.clone().narrow(1, start, length)).squeeze_dim(0)
    })
}

/// Passes the logits of `decoder` for `batches`, row-major, `[sequences, tokens, vocab_size]`, to
/// `sink` piece by piece, in order. As many batches are run at a time as there are `lanes`.
///
/// # Errors
///
/// If the decoder cannot be read or its logits are not finite, or `sink` fails.
pub fn logits<D: Decoder>(
    decoder: &D,
    batches: &[TokenBatch],
    lanes: &Lanes,
    observer: &dyn Observer,
    mut sink: impl FnMut(Vec<f32>) -> Result<(), EvalError<D::Error>>,
) -> Result<(), EvalError<D::Error>>
where
    D::Error: std::error::Error + 'static,
{
    let vocab_size = decoder.vocab_size();
    forward(decoder, batches, lanes, observer, |_, stream, head| {
        for piece in logits_in_pieces(head, stream, vocab_size) {
            let data = piece.into_data_dtype(DType::F32);
            let values: Vec<f32> = data.try_into_vec().expect("it was just made float32");
            if !values.iter().all(|x| x.is_finite()) {
                return Err(EvalError::NotFinite);
            }
            sink(values)?;
        }
        Ok(())
    })
}
