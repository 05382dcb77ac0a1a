//! [`Walk`]: the dense and the sliced stream side by side, through a decoder cut to one shared basis.

use std::ops::ControlFlow;

use burn::tensor::{DType, Tensor};
use slicegpt_calibrate::{Moments, Ridge, RidgeError};
use slicegpt_core::precise::Columns;
use slicegpt_core::{Basis, Block, Fused, Norm, Sublayer, SublayerMut, read_in, write_in};

use crate::block::{lower, lower_all, restore};
use crate::inner::narrow;
use crate::pair::Pair;
use crate::refit::{ReaderFit, refit_writers};
use crate::stream::{Projection, Signals, timed};
use crate::{Batch, Settings, SliceError, Stages};

/// Expresses `block` in `basis`, the same at every cut, and removes the channels that are not in
/// `kept` (by sublayer and [`slicegpt_core::Inner`]). The residual needs no shortcut: it stays in the
/// basis.
pub fn cut_block<B: Block>(block: Fused<B>, basis: &Columns, kept: &[Vec<Vec<usize>>]) -> B {
    let mut block = block.into_inner();
    narrow_all(&mut block, kept);
    for index in 0..block.depth() {
        let SublayerMut { readers, writers, .. } = block.sublayer_mut(index);
        readers.into_iter().for_each(|reader| read_in(reader, basis));
        writers.into_iter().for_each(|writer| write_in(writer, basis));
    }
    block
}

fn narrow_all<B: Block>(block: &mut B, kept: &[Vec<Vec<usize>>]) {
    for (index, kept) in kept.iter().enumerate() {
        for (inner, kept) in block.inner(index).iter().zip(kept) {
            narrow(block, index, inner, kept);
        }
    }
}

/// The dense stream and that of the same decoder cut to one basis, carried along together, so that
/// what is cut can be refitted towards what it was.
///
/// The dense decoder runs once; the sliced one twice, since its writers are fitted to what it feeds
/// them before it is known what they write.
pub struct Walk<C> {
    streams: Pair<C>,
    compute: DType,
    basis: Basis,
    columns: Columns,
    projection: Projection,
    ridge: Ridge,
    /// Of the normalised sliced stream on the normalised dense one, here.
    here: Moments,
}

impl<C: Sync> Walk<C> {
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
        ridge: Ridge,
    ) -> Result<Self, E> {
        let mut batches = batches.into_iter();
        let first = batches.next().expect("at least one batch")?;
        let device = first.signal.device();
        let compute = settings.compute.unwrap_or_else(|| first.signal.dtype());
        let projection = Projection::new(&basis, &device, compute);
        let mut streams = Pair::new(Signals::new(settings.shelf, compute), settings.lanes);
        let mut here = Moments::new(basis.rank(), basis.hidden_size());
        for batch in std::iter::once(Ok(first)).chain(batches) {
            let Batch { signal, context, keep } = batch?;
            let dense = signal.cast(compute);
            let sliced = projection.apply(dense.clone());
            let seen = [&sliced, &dense].map(|stream| norm.forward(stream.clone()));
            timed(&mut streams.stages.gram, || add(&mut here, seen, keep.as_deref()));
            streams.push([dense, sliced], context, keep, SliceError::Embedding)?;
        }
        here.sums().map_err(SliceError::Embedding)?;
        let columns = basis.on(&device);
        Ok(Self { streams, compute, basis, columns, projection, ridge, here })
    }

    /// Cuts and refits `dense`, block `number` of the model, keeping channels as [`cut_block`] does.
    /// `tick` is called twice per batch and sublayer, and may stop the work.
    ///
    /// # Errors
    ///
    /// If a signal is not finite or cannot be put away, a fit fails, or `tick` breaks.
    pub fn block<B: Block<Context = C> + Clone>(
        &mut self,
        dense: Fused<B>,
        number: usize,
        kept: &[Vec<Vec<usize>>],
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<B, SliceError> {
        let mut dense = dense.into_inner();
        let mut sliced = dense.clone();
        narrow_all(&mut sliced, kept);
        for index in 0..dense.depth() {
            self.sublayer(&mut dense, &mut sliced, [number, index], tick)?;
        }
        Ok(sliced)
    }

    fn sublayer<B: Block<Context = C>>(
        &mut self,
        dense: &mut B,
        sliced: &mut B,
        [number, index]: [usize; 2],
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(), SliceError> {
        let at = |source| SliceError::NotFinite { block: number, sublayer: index, source };
        let unfit = |error| match error {
            RidgeError::NotFinite(source) => at(source),
            RidgeError::Singular => SliceError::Singular { block: number, sublayer: index },
        };
        let Self { streams, compute, basis, columns, projection, ridge, here } = self;
        lower_all(dense, index, *compute);
        let SublayerMut { readers, writers, .. } = sliced.sublayer_mut(index);
        let fitted = timed(&mut streams.stages.edit, || {
            writers.into_iter().for_each(|writer| write_in(writer, columns));
            ReaderFit::refit(ridge, here, basis, readers)
        });
        fitted.map_err(unfit)?;

        // What the writers are fed, and what they are to write.
        let exact = lower(sliced, index, *compute);
        let Sublayer { norm, writers, .. } = sliced.sublayer(index);
        let norm = norm.clone();
        let inputs = writers.iter().map(|writer| writer.weight.dims()[0]).sum();
        let mut moments = Moments::new(inputs, basis.rank());
        let feed = |[x, z]: [Tensor<3>; 2], context: &C| {
            let hidden = sliced.hidden(index, norm.forward(z.clone()), context);
            let y = dense.step(index, x, context);
            let target = projection.apply(y.clone()) - z.clone();
            let weights = of_a_token(&y);
            ([y, z], [Tensor::cat(hidden, 2), target, weights])
        };
        streams.each(at, tick, feed, |[inputs, targets, weights], keep| {
            moments.add(inputs, targets, Some(weights), keep);
        })?;
        restore(sliced, index, exact);
        let SublayerMut { writers, .. } = sliced.sublayer_mut(index);
        let fitted = timed(&mut streams.stages.edit, || refit_writers(ridge, &moments, writers));
        fitted.map_err(unfit)?;
        drop(moments);

        // What they write now, and what is read of it.
        let exact = lower(sliced, index, *compute);
        *here = Moments::new(basis.rank(), basis.hidden_size());
        let step = |[y, z]: [Tensor<3>; 2], context: &C| {
            let z = sliced.step(index, z, context);
            let seen = [&z, &y].map(|stream| norm.forward(stream.clone()));
            ([y, z], seen)
        };
        streams.each(at, tick, step, |seen, keep| add(here, seen, keep))?;
        restore(sliced, index, exact);
        here.sums().map_err(at)?;
        Ok(())
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

fn add(moments: &mut Moments, [inputs, targets]: [Tensor<3>; 2], keep: Option<&[bool]>) {
    moments.add(inputs, targets, None, keep);
}

/// What a token counts where the stream is written: errors matter in relation to its length, which the
/// next norm divides by. A few tokens that are a thousand times longer would else decide everything.
///
/// # Shapes
/// - `stream`: `[batch, tokens, width]`
/// - output: `[batch, tokens, 1]`
fn of_a_token(stream: &Tensor<3>) -> Tensor<3> {
    let mean_square = stream.clone().cast(DType::F32).square().mean_dim(2);
    mean_square.add_scalar(f32::MIN_POSITIVE).sqrt().recip().cast(stream.dtype())
}
