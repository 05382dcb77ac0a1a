//! [`Stream`]: the calibration signal at one cut, carried from sublayer to sublayer.

mod shelf;

use std::time::{Duration, Instant};

use burn::tensor::{DType, Tensor};
use slicegpt_calibrate::{Arithmetic, Covariance, NotFinite, Orientation, Spectrum, principal};
use slicegpt_core::Basis;
use slicegpt_core::precise::Columns;

pub use shelf::{Memory, Shelf};
use shelf::{PutError, Signals};

use crate::SliceError;

/// Some sequences of the calibration signal.
#[derive(Clone, Debug)]
pub struct Batch<C> {
    /// `[batch, tokens, width]`.
    pub signal: Tensor<3>,
    /// What blocks need beside the signal.
    pub context: C,
    /// Row-major, `[batch, tokens]`, `false` on padding; `None` if all tokens count.
    pub keep: Option<Vec<bool>>,
}

/// How a calibration is computed, and where its signals wait. The default is the type the signals
/// have, on the device they are on.
#[derive(Default)]
pub struct Settings {
    /// What covariances are summed in; `None`: as [`Arithmetic::of`] the device.
    pub arithmetic: Option<Arithmetic>,
    /// The type sublayers are run in; `None`: that of the signals. Weights are edited, and
    /// covariances summed, as precisely as ever.
    pub compute: Option<DType>,
    /// Where signals wait, and in which type; `None`: on the device, as they are.
    pub shelf: Option<(Box<dyn Shelf>, DType)>,
}

/// The calibration signal at one cut, in the coordinates of a basis.
///
/// What is kept is the signal at full width; a batch is projected when it is taken.
pub struct Stream<C> {
    signals: Signals,
    others: Vec<(C, Option<Vec<bool>>)>,
    arithmetic: Arithmetic,
    compute: DType,
    basis: Basis,
    columns: Columns,
    /// The basis as batches are projected with it, `[hidden_size, rank]`.
    projection: Tensor<2>,
    pub(crate) stages: Stages,
}

/// Why a signal was not put away; `at` says which it is.
fn unkept(error: PutError, at: impl Fn(NotFinite) -> SliceError) -> SliceError {
    match error {
        PutError::Shelf(error) => SliceError::Shelf(error),
        PutError::Overflow => at(NotFinite),
    }
}

/// Where the time of a calibration went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Running sublayers, the projection of their inputs included.
    pub forward: Duration,
    /// Summing covariances.
    pub gram: Duration,
    /// Finding their eigenvectors.
    pub eigen: Duration,
    /// Rewriting weights.
    pub edit: Duration,
    /// Moving signals to where they wait, and back.
    pub stream: Duration,
}

/// Adds the time that `work` takes to `stage`.
pub(crate) fn timed<T>(stage: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *stage += start.elapsed();
    result
}

impl<C> Stream<C> {
    /// Finds the `rank` principal directions of full-width `batches` and moves them there.
    ///
    /// # Errors
    ///
    /// If a signal is not finite.
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

    /// [`Stream::project`], each batch put away before the next is taken.
    ///
    /// # Errors
    ///
    /// The first error of `batches`; if a signal is not finite or cannot be put away.
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
        let first = match batches.peek().expect("at least one batch") {
            Ok(batch) => &batch.signal,
            Err(_) => return Err(batches.next().and_then(Result::err).expect("it was seen")),
        };
        let (device, [_, _, width]) = (first.device(), first.dims());
        let compute = settings.compute.unwrap_or_else(|| first.dtype());
        let arithmetic = settings.arithmetic.unwrap_or_else(|| Arithmetic::of(&device));
        let mut signals = match settings.shelf {
            None => Signals::Resident(Vec::new()),
            Some((shelf, dtype)) => Signals::Shelved { shelf, dtype, device: None, compute },
        };
        let mut stages = Stages::default();
        let mut covariance = Covariance::new(width, arithmetic);
        let mut others = Vec::new();
        for batch in batches {
            let Batch { signal, context, keep } = batch?;
            timed(&mut stages.gram, || covariance.add(signal.clone(), keep.as_deref()));
            let put = timed(&mut stages.stream, || signals.put(others.len(), signal.cast(compute)));
            put.map_err(|error| unkept(error, SliceError::Embedding))?;
            others.push((context, keep));
        }
        let found = timed(&mut stages.eigen, || principal(&covariance, rank, orientation));
        let (basis, spectrum) = found.map_err(SliceError::Embedding)?;
        let columns = basis.on(&device);
        let projection = basis.to(&device, compute);
        let stream =
            Self { signals, others, arithmetic, compute, basis, columns, projection, stages };
        Ok((stream, spectrum))
    }

    /// The basis it is in.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// The number of batches.
    pub fn batches(&self) -> usize {
        self.others.len()
    }

    /// The signals, in the coordinates of the basis, `[batch, tokens, rank]` each.
    ///
    /// # Errors
    ///
    /// If one cannot be had back from where it waits.
    pub fn into_signals(mut self) -> Result<Vec<Tensor<3>>, SliceError> {
        (0..self.batches()).map(|number| self.take(number)).collect()
    }

    /// The basis, on the device.
    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The type sublayers are run in.
    pub(crate) fn compute(&self) -> DType {
        self.compute
    }

    /// Runs `step` on every batch, and finds the `rank` principal directions of what it gives, at
    /// full width. The stream is then in these.
    pub(crate) fn advance(
        &mut self,
        rank: usize,
        orientation: &mut Orientation,
        at: impl Fn(NotFinite) -> SliceError,
        mut step: impl FnMut(Tensor<3>, &C) -> Result<Tensor<3>, SliceError>,
    ) -> Result<Spectrum, SliceError> {
        let mut covariance = Covariance::new(self.basis.hidden_size(), self.arithmetic);
        let device = self.projection.device();
        let mut stages = self.stages;
        let mut taken = None;
        for number in 0..self.batches() {
            let start = Instant::now();
            let batch = match taken.take() {
                Some(batch) => batch,
                None => self.take(number)?,
            };
            let signal = step(batch, &self.others[number].0)?;
            // The device computes while the host fetches the next batch.
            if self.signals.are_elsewhere() && number + 1 < self.batches() {
                taken = Some(self.take(number + 1)?);
            }
            // What failed on the device is told where its result is read.
            let _ = device.sync();
            stages.forward += start.elapsed();
            let keep = self.others[number].1.as_deref();
            timed(&mut stages.gram, || covariance.add(signal.clone(), keep));
            let put = timed(&mut stages.stream, || self.signals.put(number, signal));
            put.map_err(|error| unkept(error, &at))?;
        }
        let found = timed(&mut stages.eigen, || principal(&covariance, rank, orientation));
        self.stages = stages;
        let (basis, spectrum) = found.map_err(at)?;
        self.columns = basis.on(&device);
        self.projection = basis.to(&device, self.compute);
        self.basis = basis;
        Ok(spectrum)
    }

    /// The stream behind a last sublayer that nobody looks behind: at full width, without a signal.
    /// `step` is run on the first batch only, to see that what it gives is finite.
    pub(crate) fn leave(
        &mut self,
        at: impl Fn(NotFinite) -> SliceError,
        step: impl FnOnce(Tensor<3>, &C) -> Result<Tensor<3>, SliceError>,
    ) -> Result<(), SliceError> {
        let width = self.basis.hidden_size();
        let device = self.projection.device();
        let first = self.take(0)?;
        let mut covariance = Covariance::new(width, self.arithmetic);
        covariance.add(step(first, &self.others[0].0)?, self.others[0].1.as_deref());
        covariance.lower().map_err(at)?;
        self.signals = Signals::Resident(Vec::new());
        self.others.clear();
        self.basis = Basis::axes(width, width);
        self.columns = self.basis.on(&device);
        Ok(())
    }

    fn take(&mut self, number: usize) -> Result<Tensor<3>, SliceError> {
        let signal = self.signals.take(number).map_err(SliceError::Shelf)?;
        Ok(match self.basis.is_identity() {
            true => signal,
            false => burn::tensor::module::linear(signal, self.projection.clone(), None),
        })
    }
}
