//! [`PairedPass`]: the dense and the sliced stream side by side, through a decoder cut to one shared basis.

use std::ops::ControlFlow;

use burn::tensor::{DType, Tensor};
use slicegpt_calibrate::{
    Arithmetic, Covariance, Moments, NotFinite, Orientation, Ridge, RidgeError, Spectrum, principal,
};
use slicegpt_core::precise::PreciseMatrix;
use slicegpt_core::{Basis, Block, Fused, Norm, Shortcut, SublayerMut, read_in, write_in};

use crate::block::{lower, lower_all, restore};
use crate::channels::inverse_rms;
use crate::pair::Pair;
use crate::refit::{ReaderFit, refit_writers};
use crate::stream::{Projection, Signals, timed};
use crate::{Batch, BlockChannels, Settings, SliceError, Stages};

/// Expresses `block` in `basis`, the same at every cut, and removes the channels that are not in
/// `kept`. The residual needs no shortcut: it stays in the basis.
pub fn cut_block<B: Block>(block: Fused<B>, basis: &PreciseMatrix, kept: &BlockChannels) -> B {
    let mut block = block.into_inner();
    kept.narrow(&mut block);
    for index in 0..block.sublayers() {
        let SublayerMut { readers, writers, .. } = block.sublayer_mut(index);
        readers.into_iter().for_each(|reader| read_in(reader, basis));
        writers.into_iter().for_each(|writer| write_in(writer, basis));
    }
    block
}

/// The dense stream and that of the same decoder cut to one basis, carried along together, so that
/// what is cut can be refitted towards what it was.
///
/// The dense decoder runs once; the sliced one twice, since its writers are fitted to what it feeds
/// them before it is known what they write. Without a refit both run once.
pub struct PairedPass<C> {
    streams: Pair<C>,
    arithmetic: Arithmetic,
    compute: DType,
    basis: Basis,
    columns: PreciseMatrix,
    projection: Projection,
    ridge: Option<Ridge>,
    /// Of the normalised sliced stream on the normalised dense one, here.
    here: Moments,
}

impl<C: Sync> PairedPass<C> {
    /// Begins with `batches` of the embedding output, at full width and centred where norms centre;
    /// `norm` is the bare norm of the decoder.
    ///
    /// # Errors
    ///
    /// The first error of `batches`; if a signal cannot be put away.
    ///
    /// # Panics
    ///
    /// If there is no batch.
    pub fn begin<E: From<SliceError>>(
        batches: impl IntoIterator<Item = Result<Batch<C>, E>>,
        settings: Settings,
        basis: Basis,
        norm: &Norm,
        ridge: Option<Ridge>,
    ) -> Result<Self, E> {
        let mut batches = batches.into_iter();
        let first = batches.next().expect("at least one batch")?;
        let device = first.signal.device();
        let compute = settings.compute.unwrap_or_else(|| first.signal.dtype());
        let arithmetic = settings.arithmetic.unwrap_or_else(|| Arithmetic::of(&device));
        let projection = Projection::new(&basis, &device, compute);
        let mut streams = Pair::new(Signals::new(settings.shelf, compute), settings.lanes);
        let mut here = Moments::new(basis.rank(), basis.hidden_size());
        for batch in std::iter::once(Ok(first)).chain(batches) {
            let Batch { signal, context, keep } = batch?;
            let dense = signal.cast(compute);
            let sliced = projection.apply(dense.clone());
            let seen = [&sliced, &dense].map(|stream| norm.forward(stream.clone()));
            if ridge.is_some() {
                timed(&mut streams.stages.gram, || add(&mut here, seen, keep.as_deref()));
            }
            streams.push([dense, sliced], context, keep, SliceError::Embedding)?;
        }
        here.sums().map_err(SliceError::Embedding)?;
        let columns = basis.on(&device);
        Ok(Self { streams, arithmetic, compute, basis, columns, projection, ridge, here })
    }

    /// Cuts and refits `dense`, block `number` of the model, keeping channels as [`cut_block`] does.
    /// `tick` is called twice per batch and sublayer, once without a refit, and may stop the work.
    ///
    /// # Errors
    ///
    /// If a signal is not finite or cannot be put away, a fit fails, or `tick` breaks.
    pub fn block<B: Block<Context = C> + Clone>(
        &mut self,
        dense: Fused<B>,
        number: usize,
        kept: &BlockChannels,
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<B, SliceError> {
        let mut dense = dense.into_inner();
        let mut sliced = dense.clone();
        kept.narrow(&mut sliced);
        for index in 0..dense.sublayers() {
            let place = Place { block: number, sublayer: index };
            self.sublayer(&mut dense, &mut sliced, place, tick)?;
        }
        Ok(sliced)
    }

    fn sublayer<B: Block<Context = C>>(
        &mut self,
        dense: &mut B,
        sliced: &mut B,
        place: Place,
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(), SliceError> {
        let index = place.sublayer;
        self.read(dense, sliced, place)?;
        let Self { streams, compute, basis, columns, projection, ridge, .. } = self;
        let SublayerMut { writers, .. } = sliced.sublayer_mut(index);
        timed(&mut streams.stages.edit, || {
            writers.into_iter().for_each(|writer| write_in(writer, columns));
        });
        if let Some(ridge) = ridge {
            // What the writers are fed, and what they are to write.
            let exact = lower(sliced, index, *compute);
            let mut moments = Moments::new(inputs(sliced, index), basis.rank());
            let norm = sliced.sublayer(index).norm.clone();
            let feed = |[x, z]: [Tensor<3>; 2], context: &C| {
                let hidden = sliced.writer_inputs(index, norm.forward(z.clone()), context);
                let y = dense.step(index, x, context);
                let target = projection.apply(y.clone()) - z.clone();
                let weights = inverse_rms(&y);
                ([y, z], [Tensor::cat(hidden, 2), target, weights])
            };
            let at = |source| place.damaged(source);
            streams.each(at, tick, feed, |[inputs, targets, weights], keep| {
                moments.add(inputs, targets, Some(weights), keep);
            })?;
            restore(sliced, index, exact);
            let SublayerMut { writers, .. } = sliced.sublayer_mut(index);
            let fitted =
                timed(&mut streams.stages.edit, || refit_writers(ridge, &moments, writers));
            fitted.map_err(|error| place.unfit(error))?;
            return self.step(None, sliced, place, tick);
        }
        self.step(Some(dense), sliced, place, tick)
    }

    /// Readers: refitted, or only expressed in the basis.
    fn read<B: Block<Context = C>>(
        &mut self,
        dense: &mut B,
        sliced: &mut B,
        place: Place,
    ) -> Result<(), SliceError> {
        let Self { streams, compute, basis, columns, ridge, here, .. } = self;
        lower_all(dense, place.sublayer, *compute);
        let SublayerMut { readers, .. } = sliced.sublayer_mut(place.sublayer);
        let fitted = timed(&mut streams.stages.edit, || match ridge {
            Some(ridge) => ReaderFit::refit(ridge, here, basis, readers),
            None => {
                readers.into_iter().for_each(|reader| read_in(reader, columns));
                Ok(())
            }
        });
        fitted.map_err(|error| place.unfit(error))
    }

    /// Both streams behind a sublayer of which everything is fitted, and what is read there; the dense
    /// one is there already unless `dense` is to be run.
    fn step<B: Block<Context = C>>(
        &mut self,
        dense: Option<&B>,
        sliced: &mut B,
        place: Place,
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(), SliceError> {
        let index = place.sublayer;
        let Self { streams, compute, basis, ridge, here, .. } = self;
        let exact = lower(sliced, index, *compute);
        let norm = sliced.sublayer(index).norm.clone();
        *here = Moments::new(basis.rank(), basis.hidden_size());
        let step = |[x, z]: [Tensor<3>; 2], context: &C| {
            let y = match dense {
                Some(dense) => dense.step(index, x, context),
                None => x,
            };
            let z = sliced.step(index, z, context);
            let seen = ridge.map(|_| [&z, &y].map(|stream| norm.forward(stream.clone())));
            ([y, z], seen)
        };
        let at = |source| place.damaged(source);
        streams.each(at, tick, step, |seen, keep| {
            if let Some(seen) = seen {
                add(here, seen, keep);
            }
        })?;
        restore(sliced, index, exact);
        here.sums().map_err(at)?;
        Ok(())
    }

    /// Cuts and refits `dense`, block `number` of the model, by the recipe of the paper: to `widths` (what
    /// it reads, then what each sublayer writes), each output in the principal directions of what the
    /// sliced model writes there, and with shortcuts between. Gives the spectra too.
    ///
    /// # Errors
    ///
    /// As [`PairedPass::block`].
    ///
    /// # Panics
    ///
    /// If `widths` has not one entry more than the block has sublayers, or does not begin with the width
    /// of the stream.
    pub fn block_per_cut<B: Block<Context = C> + Clone>(
        &mut self,
        dense: Fused<B>,
        number: usize,
        widths: &[usize],
        orientation: &mut Orientation,
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(B, Vec<Spectrum>), SliceError> {
        let mut dense = dense.into_inner();
        let mut sliced = dense.clone();
        assert_eq!(widths.len(), dense.sublayers() + 1, "a width around every sublayer");
        assert_eq!(widths[0], self.basis.rank(), "the block reads the stream as it is");
        let mut spectra = Vec::new();
        for (index, rank) in widths[1..].iter().enumerate() {
            let place = Place { block: number, sublayer: index };
            self.read(&mut dense, &mut sliced, place)?;
            let fit = self.analyse(&dense, &mut sliced, place, (*rank, orientation), tick)?;
            spectra.push(fit.spectrum);
            let Self { streams, columns, ridge, .. } = self;
            let SublayerMut { writers, shortcut, .. } = sliced.sublayer_mut(index);
            let dtype = writers[0].weight.val().dtype();
            let fitted = timed(&mut streams.stages.edit, || {
                *shortcut = Shortcut::between(&fit.from, columns, dtype);
                let mut writers = writers;
                writers.iter_mut().for_each(|writer| write_in(writer, columns));
                match ridge {
                    Some(ridge) => refit_writers(ridge, &fit.moments, writers),
                    None => Ok(()),
                }
            });
            fitted.map_err(|error| place.unfit(error))?;
            self.step(None, &mut sliced, place, tick)?;
        }
        Ok((sliced, spectra))
    }

    /// Runs a sublayer whose readers are fitted, writing at full width, and moves on to the principal
    /// directions of what it gives.
    fn analyse<B: Block<Context = C>>(
        &mut self,
        dense: &B,
        sliced: &mut B,
        place: Place,
        (rank, orientation): (usize, &mut Orientation),
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Analysed, SliceError> {
        let index = place.sublayer;
        let Self { streams, compute, arithmetic, basis, .. } = self;
        let device = sliced.sublayer(index).writers[0].weight.val().device();
        let back = Shortcut::back(basis, &device, *compute);
        *sliced.sublayer_mut(index).shortcut = back.clone();
        let exact = lower(sliced, index, *compute);
        let norm = sliced.sublayer(index).norm.clone();
        let mut covariance = Covariance::new(basis.hidden_size(), *arithmetic);
        let mut moments = Moments::new(inputs(sliced, index), basis.hidden_size());
        let feed = |[x, z]: [Tensor<3>; 2], context: &C| {
            let hidden = sliced.writer_inputs(index, norm.forward(z.clone()), context);
            let written = sliced.write(index, z.clone(), hidden.clone());
            let y = dense.step(index, x, context);
            let target = y.clone() - back.forward(z.clone());
            let weights = inverse_rms(&y);
            ([y, z], (written, [Tensor::cat(hidden, 2), target, weights]))
        };
        let at = |source| place.damaged(source);
        streams.each(at, tick, feed, |(written, [inputs, targets, weights]), keep| {
            covariance.add(written, keep);
            moments.add(inputs, targets, Some(weights), keep);
        })?;
        restore(sliced, index, exact);
        let found = timed(&mut streams.stages.eigen, || principal(&covariance, rank, orientation));
        let (next, spectrum) = found.map_err(at)?;
        let moments = moments.project_targets(&next);
        let from = std::mem::replace(&mut self.columns, next.on(&device));
        self.projection = Projection::new(&next, &device, self.compute);
        self.basis = next;
        Ok(Analysed { from, moments, spectrum })
    }

    /// The basis the sliced stream is in.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// Of the normalised sliced stream on the normalised dense one, where the walk has come to: behind
    /// the last block, what the head reads.
    pub fn moments(&self) -> &Moments {
        &self.here
    }

    /// Where the time went.
    pub fn stages(&self) -> Stages {
        self.streams.stages
    }

    /// The dense and the sliced stream of batch `number`, for good.
    ///
    /// # Errors
    ///
    /// If they cannot be had back from where they wait.
    pub fn take(&mut self, number: usize) -> Result<[Tensor<3>; 2], SliceError> {
        self.streams.take(number)
    }
}

/// A sublayer that has been analysed: the walk is in the basis behind it, its writers are not.
struct Analysed {
    /// The basis before it.
    from: PreciseMatrix,
    /// Of the inputs of its writers on what they are to write, in the basis behind it.
    moments: Moments,
    /// Of what it writes at full width.
    spectrum: Spectrum,
}

/// A sublayer, for errors.
#[derive(Clone, Copy)]
struct Place {
    block: usize,
    sublayer: usize,
}

impl Place {
    fn damaged(self, source: NotFinite) -> SliceError {
        let Self { block, sublayer } = self;
        SliceError::NotFinite { block, sublayer, source }
    }

    fn unfit(self, error: RidgeError) -> SliceError {
        let Self { block, sublayer } = self;
        match error {
            RidgeError::NotFinite(source) => self.damaged(source),
            RidgeError::Singular => SliceError::Singular { block, sublayer },
        }
    }
}

/// The inputs of all writers of a sublayer, one beside the other.
fn inputs<B: Block>(block: &B, index: usize) -> usize {
    block.sublayer(index).writers.iter().map(|writer| writer.weight.dims()[0]).sum()
}

fn add(moments: &mut Moments, [inputs, targets]: [Tensor<3>; 2], keep: Option<&[bool]>) {
    moments.add(inputs, targets, None, keep);
}
