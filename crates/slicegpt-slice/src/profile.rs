//! [`profile`]: one run of the dense decoder, for all that a shared basis and a choice of channels need.

use std::ops::ControlFlow;

use burn::tensor::{Bool, DType, Tensor, TensorData};
use slicegpt_calibrate::{Arithmetic, Covariance, Directions, NotFinite};
use slicegpt_core::{Block, Fused, Norm, host_vec};

use crate::block::lower_all;
use crate::channels::{inverse_rms, squared_rows};
use crate::stream::{Signals, timed};
use crate::{
    Batch, BlockChannels, Importance, KeptChannels, Settings, SliceError, Stages,
    allocate_channels, most_important,
};

/// What the signals of a dense decoder say, good for every size it may be cut to.
pub struct Profile {
    /// Of the normalised stream, as the readers see it, summed over all sites: the embedding output and
    /// the output of every sublayer. Every token counts alike, every site too.
    pub covariance: Covariance,
    /// Of the weights that read the normalised stream, one token for each output: of the readers of all
    /// blocks. The head is for the caller to add.
    pub readers: Covariance,
    /// By block, sublayer and [`slicegpt_core::PrunableChannels`]; every token counts alike, whatever its length.
    pub importance: Vec<Vec<Vec<Importance>>>,
    /// Where the time went.
    pub stages: Stages,
}

impl Profile {
    /// The importance of the channels of every group of prunable channels, in the order of the
    /// decoder.
    pub fn groups(&self) -> impl Iterator<Item = &[f64]> {
        self.importance.iter().flatten().flatten().map(Vec::as_slice)
    }

    /// The `width` most important channels of every group.
    ///
    /// # Panics
    ///
    /// If `width` is 0 or a group has fewer channels.
    pub fn most_important(&self, width: usize) -> KeptChannels {
        self.kept(self.groups().map(|group| most_important(group, width)))
    }

    /// The `total` most important channels of all groups together, in portions of `step`: see
    /// [`allocate_channels`].
    ///
    /// # Panics
    ///
    /// If `step` is 0.
    pub fn allocate_channels(&self, total: usize, step: usize) -> KeptChannels {
        let groups: Vec<&[f64]> = self.groups().collect();
        self.kept(allocate_channels(&groups, total, step).into_iter())
    }

    /// Sorts the channels that stay of each group by block and sublayer.
    fn kept(&self, mut groups: impl Iterator<Item = Vec<usize>>) -> KeptChannels {
        let mut sublayer =
            |sublayer: &Vec<Importance>| groups.by_ref().take(sublayer.len()).collect();
        let blocks = self.importance.iter();
        blocks.map(|block| BlockChannels::new(block.iter().map(&mut sublayer).collect())).collect()
    }

    /// A guess at the loss of a split from what was measured of the dense decoder alone: what is lost of
    /// `directions`, and of what the MLPs write. It orders splits of one size; it is no unit of anything.
    ///
    /// `kept` are the channels that stay.
    ///
    /// # Panics
    ///
    /// If they are not of this decoder.
    pub fn predict(&self, directions: &Directions, width: usize, kept: &KeptChannels) -> f64 {
        let all = (self.covariance.tokens() * self.covariance.width() as u64) as f64;
        let sites = (1 + self.importance.iter().map(Vec::len).sum::<usize>()) as f64;
        let lost = self.groups().zip(kept.groups()).map(|(importance, kept)| {
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
pub fn profile<B: Block, E: From<SliceError>>(
    batches: impl IntoIterator<Item = Result<Batch<B::Context>, E>>,
    settings: Settings,
    blocks: impl IntoIterator<Item = Result<Fused<B>, E>>,
    tick: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Profile, E> {
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
        for index in 0..block.sublayers() {
            let at = |source| SliceError::NotFinite { block: number, sublayer: index, source };
            let inner = block.prunable(index);
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
                        let hidden = block.writer_inputs(index, normed.clone(), context);
                        let seen: Vec<Tensor<3>> =
                            inner.iter().map(|inner| hidden[inner.writer].clone()).collect();
                        let after = block.write(index, stream, hidden);
                        let weights = inverse_rms(&after);
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
    Ok(Profile { covariance, readers, importance, stages })
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
    host_vec(signal.cast(DType::F32).square().sum_dim(1).sum_dim(0))
}
