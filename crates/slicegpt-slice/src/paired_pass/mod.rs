//! [`PairedPass`]: the dense and the sliced stream, carried through a decoder together, so that
//! sliced weights can be refitted to the dense ones.

mod cut;
mod dense;
mod held_out;
mod kept_inputs;
mod per_cut;
mod results;

pub use cut::cut_block;

use std::sync::Arc;

use burn::tensor::{DType, Tensor};
use slicegpt_calibrate::{AnalysisError, Arithmetic, Moments};
use slicegpt_core::precise::PreciseMatrix;
use slicegpt_core::{Basis, Block, Fused, Norm, SublayerMut, read_in, write_in};

use crate::carried::Carried;
use crate::dense_streams::DenseStreams;
use crate::error::{Place, SliceError};
use crate::kept::BlockUnits;
use crate::linears::{cast, restore};
use crate::refit::{ReaderFit, Refit, divide, refit_writers};
use crate::settings::{Batch, Defaults, Settings};
use crate::stages::timed;
use crate::stream::Projection;
use crate::units::inverse_rms;
use dense::{Dense, DenseStep};
use kept_inputs::KeptInputs;

/// The streams of a dense decoder and of the same decoder, sliced, carried from sublayer to
/// sublayer together. With both at hand, the linears of the sliced decoder are refitted to the
/// dense one by ridge regression.
///
/// [`PairedPass::block`] slices a block to one basis for all cuts, [`PairedPass::block_per_cut`] to
/// a basis per cut. The dense decoder runs once, or not at all if other passes have left its
/// streams in [`Settings::dense`]. With a refit the sliced one runs up to twice: the writers of a
/// sublayer are fitted to their inputs before the output of the sublayer can be computed, and only
/// inputs that need little memory are kept until then.
pub struct PairedPass<C> {
    /// The dense signal of every batch, then the sliced one.
    streams: Carried<C, 2>,
    /// The number of tokens of all batches.
    tokens: usize,
    /// The dense signals after every sublayer, if passes share them.
    dense: Option<Arc<DenseStreams>>,
    /// Inputs of the writers of the present sublayer.
    inputs: KeptInputs,
    arithmetic: Arithmetic,
    compute: DType,
    basis: Basis,
    matrix: PreciseMatrix,
    projection: Projection,
    refit: Option<Refit>,
    /// For each batch, how many of its sequences are fitted; the others are the validation set.
    fitted: Vec<usize>,
    /// Moments of the normalised sliced stream on the normalised dense one, at the current cut, if
    /// readers are refitted.
    here: Option<Moments>,
    /// The last sublayer that was cut.
    place: Option<Place>,
    /// For each refit with held-out tokens, their error divided by that of the fitted ones.
    ratios: Vec<f64>,
}

impl<C: Sync> PairedPass<C> {
    /// Begins with `batches` of the embedding output, at full width and, if the norms of the
    /// decoder centre the stream, centred. `norm` is the bare norm of the decoder. Without a
    /// `refit` nothing is refitted.
    ///
    /// # Errors
    ///
    /// The first error of `batches`; if a signal is not finite or cannot be stored.
    ///
    /// # Panics
    ///
    /// If there is no batch.
    pub fn begin<E: From<SliceError>>(
        batches: impl IntoIterator<Item = Result<Batch<C>, E>>,
        settings: Settings,
        basis: Basis,
        norm: &Norm,
        refit: Option<Refit>,
    ) -> Result<Self, E> {
        let mut batches = batches.into_iter().peekable();
        let defaults = Defaults::of(&mut batches, &settings)?;
        let Defaults { arithmetic, compute, .. } = defaults;
        let projection = Projection::new(&basis, &defaults.device, compute);
        let dense = settings.dense.clone();
        let mut streams = Carried::new(settings, &defaults);
        let new = || Moments::new(basis.rank(), basis.hidden_size());
        let mut here = refits_readers(refit, &basis).then(new);
        let mut sequences = Vec::new();
        let mut tokens = 0;
        for batch in batches {
            let Batch { signal, context, keep } = batch?;
            let [size, seqlen, _] = signal.dims();
            sequences.push(size);
            tokens += size * seqlen;
            let signal = signal.cast(compute);
            let sliced = projection.apply(signal.clone());
            if let Some(here) = &mut here {
                let [x, y] = [&sliced, &signal].map(|stream| norm.forward(stream.clone()));
                timed(&mut streams.stages.gram, || here.add(x, y, None, keep.as_deref()));
            }
            streams.push([signal, sliced], context, keep)?;
        }
        if here.as_ref().is_some_and(|here| here.sums().is_err()) {
            return Err(SliceError::Embedding(AnalysisError::ActivationsNotFinite).into());
        }
        let masks = sequences.iter().enumerate().map(|(at, count)| (*count, streams.batch(at).1));
        let fitted = divide(&masks.collect::<Vec<_>>());
        let matrix = basis.on(&defaults.device);
        Ok(Self {
            streams,
            tokens,
            dense,
            inputs: KeptInputs::none(),
            arithmetic,
            compute,
            basis,
            matrix,
            projection,
            refit,
            fitted,
            here,
            place: None,
            ratios: Vec::new(),
        })
    }

    /// Slices and refits `dense`, block `number` of the model, with the units in `kept`, to the
    /// basis the pass began with. With [`Refit::HeldOut`] as many units are kept, but the pass
    /// chooses which. The observer is called twice per batch and sublayer, or once without a refit.
    ///
    /// # Errors
    ///
    /// If a signal is not finite or cannot be stored, a refit has no solution, or the observer
    /// cancels.
    pub fn block<B: Block<Context = C> + Clone>(
        &mut self,
        dense: Fused<B>,
        number: usize,
        kept: &BlockUnits,
    ) -> Result<B, SliceError> {
        self.block_for(dense, number, kept, std::iter::empty::<Result<_, SliceError>>())
    }

    /// [`PairedPass::block`], and the blocks that follow it are `removed`: the last writers of the
    /// block are fitted to the dense stream after them, so that it does their work too (ReplaceMe,
    /// arXiv 2505.02819, as a refit). The observer is called once per batch and sublayer of a
    /// removed block, and once per batch more if there is one.
    ///
    /// # Errors
    ///
    /// As [`PairedPass::block`]; the first error of `removed`.
    pub fn block_for<B: Block<Context = C> + Clone, E: From<SliceError>>(
        &mut self,
        dense: Fused<B>,
        number: usize,
        kept: &BlockUnits,
        removed: impl IntoIterator<Item = Result<Fused<B>, E>>,
    ) -> Result<B, E> {
        let mut dense = dense.into_inner();
        let mut sliced = dense.clone();
        if self.refit != Some(Refit::HeldOut) {
            kept.narrow(&mut sliced);
        }
        let last = dense.sublayers() - 1;
        let place = |sublayer| Place { block: number, sublayer };
        for index in 0..last {
            let counts = kept.counts(index);
            self.sublayer((&mut dense, Dense::Before), &mut sliced, place(index), &counts)?;
        }
        let mut stream = Dense::Before;
        for (after, block) in removed.into_iter().enumerate() {
            let block = block?;
            if stream == Dense::Before {
                self.advance(&mut dense, place(last))?;
                stream = Dense::After;
            }
            let mut block = block.into_inner();
            for sublayer in 0..block.sublayers() {
                let place = Place { block: number + 1 + after, sublayer };
                self.advance(&mut block, place)?;
            }
        }
        self.sublayer((&mut dense, stream), &mut sliced, place(last), &kept.counts(last))?;
        Ok(sliced)
    }

    /// Carries the dense stream alone through the sublayer at `place` of `dense`.
    fn advance<B: Block<Context = C>>(
        &mut self,
        dense: &mut B,
        place: Place,
    ) -> Result<(), SliceError> {
        cast(dense, place.sublayer, self.compute);
        let Self { streams, dense: known, .. } = self;
        let step =
            DenseStep { block: dense, place, stream: Dense::Before, known: known.as_deref() };
        let step = |[x, z]: [Tensor<3>; 2], context: &C, number: usize| {
            ([step.after(x, context, number), z], ())
        };
        streams.each(place, step, |(), _| ())
    }

    /// Cuts the sublayer at `place` of `sliced` and fits its linears. With [`Refit::HeldOut`] it is
    /// also cut to `counts` units, by group; otherwise that has been done. `stream` says where the
    /// dense stream is.
    fn sublayer<B: Block<Context = C>>(
        &mut self,
        (dense, stream): (&mut B, Dense),
        sliced: &mut B,
        place: Place,
        counts: &[usize],
    ) -> Result<(), SliceError> {
        let index = place.sublayer;
        self.fit_readers(dense, sliced, place)?;
        let SublayerMut { writers, .. } = sliced.sublayer_mut(index);
        timed(&mut self.streams.stages.edit, || {
            writers.into_iter().for_each(|writer| write_in(writer, &self.matrix));
        });
        match self.refit {
            None => return self.step(dense, sliced, place, stream),
            Some(Refit::Ridge(ridge)) => {
                let width = inputs(sliced, index);
                self.inputs = self.room_for(width);
                let mut moments = Moments::new(width, self.basis.rank());
                self.feed((dense, stream), sliced, place, |[inputs, targets, weights], keep| {
                    moments.add(inputs, targets, Some(weights), keep);
                })?;
                let SublayerMut { writers, .. } = sliced.sublayer_mut(index);
                timed(&mut self.streams.stages.edit, || refit_writers(&ridge, &moments, writers))
                    .map_err(|error| place.refit(error))?;
            }
            Some(Refit::HeldOut) => {
                self.fit_held_out((dense, stream), sliced, place, counts)?;
            }
        }
        self.step(dense, sliced, place, Dense::After)
    }

    /// Carries the dense stream through a sublayer, unless that has been done, and the sliced one
    /// up to its writers. `add` gets their concatenated inputs, the target of their sum, and the
    /// weights of the tokens, each `[batch, tokens, ..]`, for every batch in order.
    fn feed<B: Block<Context = C>>(
        &mut self,
        (dense, stream): (&B, Dense),
        sliced: &mut B,
        place: Place,
        add: impl FnMut([Tensor<3>; 3], Option<&[bool]>),
    ) -> Result<(), SliceError> {
        let index = place.sublayer;
        let Self { streams, compute, projection, inputs: kept, dense: known, .. } = self;
        let originals = cast(sliced, index, *compute);
        let dense = DenseStep { block: dense, place, stream, known: known.as_deref() };
        let feed = |[x, z]: [Tensor<3>; 2], context: &C, number: usize| {
            let normed = sliced.normed(index, z.clone());
            let inputs = sliced.writer_inputs(index, normed, context);
            kept.put(number, &inputs);
            let y = dense.after(x, context, number);
            let target = projection.apply(y.clone()) - z.clone();
            let weights = inverse_rms(&y);
            ([y, z], [Tensor::cat(inputs, 2), target, weights])
        };
        streams.each(place, feed, add)?;
        restore(sliced, index, originals);
        Ok(())
    }

    /// Refits the readers, or only expresses them in the basis. With [`Refit::HeldOut`] the readers
    /// of a stream of full width stay as they are. The linears of the dense sublayer are cast for
    /// good, because the dense block is dropped afterwards.
    fn fit_readers<B: Block<Context = C>>(
        &mut self,
        dense: &mut B,
        sliced: &mut B,
        place: Place,
    ) -> Result<(), SliceError> {
        let Self { streams, compute, basis, matrix, refit, here, .. } = self;
        cast(dense, place.sublayer, *compute);
        let SublayerMut { readers, .. } = sliced.sublayer_mut(place.sublayer);
        let fitted = timed(&mut streams.stages.edit, || match (refit, here) {
            (Some(refit), Some(here)) => ReaderFit::refit(&refit.ridge(), here, basis, readers),
            _ => {
                readers.into_iter().for_each(|reader| read_in(reader, matrix));
                Ok(())
            }
        });
        fitted.map_err(|error| place.refit(error))
    }

    /// Carries both streams through a sublayer whose weights are final, and sums the moments that
    /// the next readers need. The dense stream may already have been carried through it.
    fn step<B: Block<Context = C>>(
        &mut self,
        dense: &B,
        sliced: &mut B,
        place: Place,
        stream: Dense,
    ) -> Result<(), SliceError> {
        let index = place.sublayer;
        self.place = Some(place);
        let kept = std::mem::replace(&mut self.inputs, KeptInputs::none());
        let Self { streams, compute, basis, refit, here, dense: known, .. } = self;
        let originals = cast(sliced, index, *compute);
        let reads = refits_readers(*refit, basis);
        *here = reads.then(|| Moments::new(basis.rank(), basis.hidden_size()));
        let dense = DenseStep { block: dense, place, stream, known: known.as_deref() };
        let step = |[x, z]: [Tensor<3>; 2], context: &C, number: usize| {
            let y = dense.after(x, context, number);
            let z = match kept.take(number) {
                Some(inputs) => sliced.write(index, z, inputs),
                None => sliced.step(index, z, context),
            };
            let seen = reads.then(|| [&z, &y].map(|stream| sliced.normed(index, stream.clone())));
            ([y, z], seen)
        };
        streams.each(place, step, |seen, keep| {
            if let (Some([x, y]), Some(here)) = (seen, here.as_mut()) {
                here.add(x, y, None, keep);
            }
        })?;
        restore(sliced, index, originals);
        if here.as_ref().is_some_and(|here| here.sums().is_err()) {
            return Err(place.not_finite());
        }
        Ok(())
    }

    /// Room for the inputs of the writers of a sublayer, `inputs` wide together, unless signals are
    /// stored elsewhere because they need too much memory.
    fn room_for(&self, inputs: usize) -> KeptInputs {
        if self.streams.is_resident() {
            KeptInputs::new(self.streams.len(), self.tokens, inputs, self.basis.hidden_size())
        } else {
            KeptInputs::none()
        }
    }
}

/// Whether readers are refitted, and not only expressed in the basis.
fn refits_readers(refit: Option<Refit>, basis: &Basis) -> bool {
    match refit {
        None => false,
        Some(Refit::Ridge(_)) => true,
        Some(Refit::HeldOut) => !basis.is_identity(),
    }
}

/// The number of inputs of all writers of a sublayer.
fn inputs<B: Block>(block: &B, index: usize) -> usize {
    block.sublayer(index).writers.iter().map(|writer| writer.weight.dims()[0]).sum()
}
