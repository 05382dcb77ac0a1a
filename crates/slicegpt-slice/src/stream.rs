//! [`Stream`]: the calibration signal at one cut, carried from sublayer to sublayer.

use burn::tensor::module::linear;
use burn::tensor::{DType, Device, Tensor};
use slicegpt_calibrate::{AnalysisError, Arithmetic, Covariance, Orientation, Spectrum, principal};
use slicegpt_core::Basis;
use slicegpt_core::precise::PreciseMatrix;

use crate::carried::Carried;
use crate::error::{Place, SliceError};
use crate::settings::{Batch, Defaults, Settings};
use crate::stages::timed;

/// The calibration signal at one cut, in the coordinates of a basis.
///
/// The signal is stored at full width, `[batch, tokens, hidden_size]`, and projected onto the basis
/// when a sublayer reads it.
pub struct Stream<C> {
    pub(crate) carried: Carried<C, 1>,
    arithmetic: Arithmetic,
    compute: DType,
    basis: Basis,
    matrix: PreciseMatrix,
    projection: Projection,
}

impl<C> Stream<C> {
    /// Finds the `rank` principal directions of full-width `batches` and projects them onto these,
    /// with the default [`Settings`].
    ///
    /// # Errors
    ///
    /// If a signal is not finite, or the eigensolver does not converge.
    ///
    /// # Panics
    ///
    /// If there is no batch, or `rank` is 0 or above the width.
    pub fn project(
        batches: Vec<Batch<C>>,
        rank: usize,
        orientation: &mut Orientation,
    ) -> Result<(Self, Spectrum), SliceError> {
        Self::begin(batches.into_iter().map(Ok), Settings::default(), rank, orientation)
    }

    /// [`Stream::project`] with settings. Each batch is stored before the next is taken.
    ///
    /// # Errors
    ///
    /// The first error of `batches`; if a signal is not finite or cannot be stored, or the
    /// eigensolver does not converge.
    ///
    /// # Panics
    ///
    /// As [`Stream::project`].
    pub fn begin<E: From<SliceError>>(
        batches: impl IntoIterator<Item = Result<Batch<C>, E>>,
        settings: Settings,
        rank: usize,
        orientation: &mut Orientation,
    ) -> Result<(Self, Spectrum), E> {
        let mut batches = batches.into_iter().peekable();
        let defaults = Defaults::of(&mut batches, &settings)?;
        let Defaults { arithmetic, compute, width, .. } = defaults;
        let mut carried = Carried::new(settings, &defaults);
        let mut covariance = Covariance::new(width, arithmetic);
        for batch in batches {
            let Batch { signal, context, keep } = batch?;
            timed(&mut carried.stages.gram, || covariance.add(signal.clone(), keep.as_deref()));
            carried.push([signal.cast(compute)], context, keep)?;
        }
        let found = timed(&mut carried.stages.eigen, || principal(&covariance, rank, orientation));
        let (basis, spectrum) = found.map_err(SliceError::Embedding)?;
        let matrix = basis.on(&defaults.device);
        let projection = Projection::new(&basis, &defaults.device, compute);
        Ok((Self { carried, arithmetic, compute, basis, matrix, projection }, spectrum))
    }

    /// The basis the signal is expressed in.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// The number of batches.
    pub fn batches(&self) -> usize {
        self.carried.len()
    }

    /// The signals, in the coordinates of the basis, `[batch, tokens, rank]` each.
    ///
    /// # Errors
    ///
    /// If one cannot be read from where it is stored.
    pub fn into_signals(self) -> Result<Vec<Tensor<3>>, SliceError> {
        let Self { mut carried, projection, .. } = self;
        let batches = 0..carried.len();
        let signals = batches.map(|number| {
            let [signal] = carried.take(number)?;
            Ok(projection.apply(signal))
        });
        signals.collect()
    }

    /// The basis, on the device.
    pub(crate) fn matrix(&self) -> &PreciseMatrix {
        &self.matrix
    }

    /// The type sublayers are run in.
    pub(crate) fn compute(&self) -> DType {
        self.compute
    }

    /// Runs `step` on every batch and changes to the `rank` principal directions of what it gives,
    /// at full width.
    pub(crate) fn advance(
        &mut self,
        rank: usize,
        orientation: &mut Orientation,
        place: Place,
        step: impl Fn(Tensor<3>, &C) -> Tensor<3> + Sync,
    ) -> Result<Spectrum, SliceError>
    where
        C: Sync,
    {
        let mut covariance = Covariance::new(self.basis.hidden_size(), self.arithmetic);
        let Self { carried, projection, .. } = self;
        let step = |[signal]: [Tensor<3>; 1], context: &C, _| {
            let written = step(projection.apply(signal), context);
            ([written.clone()], written)
        };
        carried.each(place, step, |written, keep| covariance.add(written, keep))?;
        let found = timed(&mut carried.stages.eigen, || principal(&covariance, rank, orientation));
        let (basis, spectrum) = found.map_err(|error| place.signal(error))?;
        let device = carried.device();
        self.matrix = basis.on(device);
        self.projection = Projection::new(&basis, device, self.compute);
        self.basis = basis;
        Ok(spectrum)
    }

    /// Ends the stream after the last sublayer, if its output is not needed: at full width, without
    /// a signal. `step` is run on the first batch only, to check that its output is finite.
    pub(crate) fn finish(
        &mut self,
        place: Place,
        step: impl FnOnce(Tensor<3>, &C) -> Tensor<3>,
    ) -> Result<(), SliceError> {
        let width = self.basis.hidden_size();
        let [first] = self.carried.take(0)?;
        let first = self.projection.apply(first);
        let (context, keep) = self.carried.batch(0);
        let mut covariance = Covariance::new(width, self.arithmetic);
        covariance.add(step(first, context), keep);
        if covariance.lower().is_err() {
            return Err(place.signal(AnalysisError::ActivationsNotFinite));
        }
        self.carried.clear();
        self.basis = Basis::axes(width, width);
        self.matrix = self.basis.on(self.carried.device());
        self.carried.step()
    }
}

/// The projection of full-width signals onto a basis.
pub(crate) struct Projection {
    /// `[hidden_size, rank]`, in the type sublayers are run in; `None` for the identity.
    matrix: Option<Tensor<2>>,
}

impl Projection {
    pub fn new(basis: &Basis, device: &Device, dtype: DType) -> Self {
        let matrix = (!basis.is_identity()).then(|| basis.to(device, dtype));
        Self { matrix }
    }

    /// # Shapes
    /// - `signal`: `[batch, tokens, hidden_size]`
    /// - output: `[batch, tokens, rank]`
    pub fn apply(&self, signal: Tensor<3>) -> Tensor<3> {
        match &self.matrix {
            Some(matrix) => linear(signal, matrix.clone(), None),
            None => signal,
        }
    }
}
