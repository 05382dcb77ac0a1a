//! [`survey`]: one run of the dense decoder, for all that a shared basis and a choice of channels need.

use std::ops::ControlFlow;

use burn::tensor::{Bool, DType, Tensor, TensorData};
use slicegpt_calibrate::{Arithmetic, Covariance, Directions, NotFinite};
use slicegpt_core::{Block, Fused, Norm};

use crate::block::lower_all;
use crate::inner::{Importance, of_a_token, squared_rows};
use crate::stream::{Signals, timed};
use crate::{Batch, Settings, SliceError, Stages};

/// What the signals of a dense decoder say, good for every size it may be cut to.
pub struct Survey {
    /// Of the normalised stream, as the readers see it, summed over all sites: the embedding output and
    /// the output of every sublayer. Every token counts alike, every site too.
    pub covariance: Covariance,
    /// Of the weights that read the normalised stream, one token for each output: of the readers of all
    /// blocks. The head is for the caller to add.
    pub readers: Covariance,
    /// By block, sublayer and [`slicegpt_core::Inner`]; every token counts alike, whatever its length.
    pub importance: Vec<Vec<Vec<Importance>>>,
    /// Where the time went.
    pub stages: Stages,
}

impl Survey {
    /// The worth of the channels of every inner layer, in the order of the decoder.
    pub fn inner(&self) -> impl Iterator<Item = &[f64]> {
        self.importance.iter().flatten().flatten().map(Vec::as_slice)
    }

    /// A guess at the loss of a split from what was measured of the dense decoder alone: what is lost of
    /// `directions`, and of what the MLPs write. It orders splits of one size; it is no unit of anything.
    ///
    /// `kept` are the channels that stay, by block, sublayer and inner layer.
    ///
    /// # Panics
    ///
    /// If they are not of this decoder.
    pub fn predict(
        &self,
        directions: &Directions,
        width: usize,
        kept: &[Vec<Vec<Vec<usize>>>],
    ) -> f64 {
        let all = (self.covariance.tokens() * self.covariance.width() as u64) as f64;
        let sites = (1 + self.importance.iter().map(Vec::len).sum::<usize>()) as f64;
        let lost = self.inner().zip(kept.iter().flatten().flatten()).map(|(importance, kept)| {
            let kept: f64 = kept.iter().map(|channel| importance[*channel]).sum();
            importance.iter().sum::<f64>() - kept
        });
        // What the stream lacks is missed at every site, what an MLP lacks once. The factor was measured:
        // `docs/quality.md`.
        2.0 * sites * directions.lost(width) + lost.sum::<f64>() / (all / sites)
    }
}

/// Runs `blocks`, dense and fused, on `batches`, each sublayer once. `tick` is called after every batch
/// of every sublayer, and may stop the work.
///
/// # Errors
///
/// The first error of `batches` or `blocks`; if a signal is not finite or cannot be put away.
///
/// # Panics
///
/// If there is no batch or no block.
pub fn survey<B: Block, E: From<SliceError>>(
    batches: impl IntoIterator<Item = Result<Batch<B::Context>, E>>,
    settings: Settings,
    blocks: impl IntoIterator<Item = Result<Fused<B>, E>>,
    tick: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Survey, E> {
    let Settings { arithmetic, compute, shelf, lanes } = settings;
    let mut signals: Option<Signals> = None;
    let mut shelf = Some(shelf);
    let mut others = Vec::new();
    let mut stages = Stages::default();
    let mut covariance: Option<Covariance> = None;
    let mut compute_type = compute;
    for batch in batches {
        let Batch { signal, context, keep } = batch?;
        let compute = *compute_type.get_or_insert(signal.dtype());
        let [_, _, width] = signal.dims();
        covariance.get_or_insert_with(|| {
            Covariance::new(width, arithmetic.unwrap_or_else(|| Arithmetic::of(&signal.device())))
        });
        let signals = signals.get_or_insert_with(|| Signals::new(shelf.take().flatten(), compute));
        let put = timed(&mut stages.stream, || signals.put(others.len(), signal.cast(compute)));
        put.map_err(|error| error.at(SliceError::Embedding))?;
        others.push((context, keep));
    }
    let (mut signals, mut covariance) = signals.zip(covariance).expect("at least one batch");
    let compute = compute_type.expect("at least one batch");
    let mut readers: Option<Covariance> = None;
    let mut importance = Vec::new();
    let mut last_norm: Option<Norm> = None;
    // What is wrong with a signal is seen where it is read.
    let mut written: Option<[usize; 2]> = None;
    for (number, block) in blocks.into_iter().enumerate() {
        let mut block = block?.into_inner();
        let mut of_block = Vec::new();
        for index in 0..block.depth() {
            let at = |source| SliceError::NotFinite { block: number, sublayer: index, source };
            let inner = block.inner(index);
            let rows: Vec<Vec<f64>> = inner
                .iter()
                .map(|inner| {
                    let sublayer = block.sublayer(index);
                    squared_rows(sublayer.writers[inner.writer].weight.val())
                })
                .collect();
            for reader in block.sublayer(index).readers {
                let weight = reader.weight.val().transpose();
                let new = || Covariance::new(weight.dims()[1], covariance.arithmetic());
                let readers = readers.get_or_insert_with(new);
                timed(&mut stages.gram, || readers.add(weight.unsqueeze(), None));
            }
            let mut energies: Vec<Vec<f64>> =
                rows.iter().map(|rows| vec![0.0; rows.len()]).collect();
            lower_all(&mut block, index, compute);
            let norm = block.sublayer(index).norm.clone();
            for first in (0..others.len()).step_by(lanes.count()) {
                let numbers = first..others.len().min(first + lanes.count());
                let mut running = Vec::with_capacity(lanes.count());
                for (number, (context, _)) in numbers.clone().zip(&others[numbers.clone()]) {
                    let taken = timed(&mut stages.stream, || signals.take(number));
                    running.push((taken.map_err(SliceError::Shelf)?, context));
                }
                let (block, norm, inner) = (&block, &norm, &inner);
                let done = timed(&mut stages.forward, || {
                    lanes.map(running, |(stream, context)| {
                        let normed = norm.forward(stream.clone());
                        let hidden = block.hidden(index, normed.clone(), context);
                        let seen: Vec<Tensor<3>> =
                            inner.iter().map(|inner| hidden[inner.writer].clone()).collect();
                        let after = block.write(index, stream, hidden);
                        let weights = of_a_token(&after);
                        (normed, seen.into_iter().map(|x| x * weights.clone()).collect(), after)
                    })
                });
                for (number, (normed, seen, signal)) in numbers.zip::<Vec<Seen>>(done) {
                    let keep = others[number].1.as_deref();
                    timed(&mut stages.gram, || {
                        covariance.add(normed, keep);
                        for (energies, hidden) in energies.iter_mut().zip(seen) {
                            let found = squared_columns(hidden, keep);
                            energies.iter_mut().zip(found).for_each(|(sum, x)| *sum += x);
                        }
                    });
                    let put = timed(&mut stages.stream, || signals.put(number, signal));
                    put.map_err(|error| error.at(at))?;
                    if tick().is_break() {
                        return Err(SliceError::Interrupted.into());
                    }
                }
            }
            covariance.lower().map_err(|source| damaged(written, source))?;
            written = Some([number, index]);
            for (energies, rows) in energies.iter_mut().zip(rows) {
                energies.iter_mut().zip(rows).for_each(|(energy, row)| *energy *= row);
            }
            of_block.push(energies);
            last_norm = Some(norm);
        }
        importance.push(of_block);
    }
    let (norm, readers) = last_norm.zip(readers).expect("at least one block");
    for (number, (_, keep)) in others.iter().enumerate() {
        let signal = signals.take(number).map_err(SliceError::Shelf)?;
        timed(&mut stages.gram, || covariance.add(norm.forward(signal), keep.as_deref()));
    }
    covariance.lower().map_err(|source| damaged(written, source))?;
    Ok(Survey { covariance, readers, importance, stages })
}

/// A signal that is not finite: behind the embedding, or behind sublayer `written[1]` of block
/// `written[0]`.
fn damaged(written: Option<[usize; 2]>, source: NotFinite) -> SliceError {
    match written {
        None => SliceError::Embedding(source),
        Some([block, sublayer]) => SliceError::NotFinite { block, sublayer, source },
    }
}

/// What one batch gives: what the readers see, the inputs of writers that can be narrowed, the stream.
type Seen = (Tensor<3>, Vec<Tensor<3>>, Tensor<3>);

/// For each channel of a signal, `[batch, tokens, channels]`, the sum of its squares over the tokens
/// that count.
fn squared_columns(signal: Tensor<3>, keep: Option<&[bool]>) -> Vec<f64> {
    let [batch, tokens, _] = signal.dims();
    let shape = signal.dims();
    let signal = match keep {
        None => signal,
        Some(keep) => {
            let gone: Vec<bool> = keep.iter().map(|keep| !keep).collect();
            let gone = TensorData::new(gone, [batch, tokens, 1]);
            let gone = Tensor::<3, Bool>::from_data(gone, &signal.device());
            signal.mask_fill(gone.expand(shape), 0.0)
        }
    };
    let squares = signal.cast(DType::F32).square().sum_dim(1).sum_dim(0);
    squares.into_data_dtype(DType::F64).try_into_vec().expect("it was just made float64")
}
