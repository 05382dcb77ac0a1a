//! [`Stream`]: the calibration signal at one cut, carried from sublayer to sublayer.

mod shelf;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use burn::tensor::module::linear;
use burn::tensor::{DType, Device, Tensor};
use slicegpt_calibrate::{Arithmetic, Covariance, NotFinite, Orientation, Spectrum, principal};
use slicegpt_core::precise::PreciseMatrix;
use slicegpt_core::{Basis, Lanes};

pub(crate) use shelf::Signals;
pub use shelf::{Memory, Shelf};

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
    /// How many batches are run at a time.
    pub lanes: Lanes,
}

/// The calibration signal at one cut, in the coordinates of a basis.
///
/// What is kept is the signal at full width; a batch is projected when it is taken.
pub struct Stream<C> {
    signals: Signals,
    others: Vec<(C, Option<Vec<bool>>)>,
    arithmetic: Arithmetic,
    compute: DType,
    lanes: Lanes,
    basis: Basis,
    columns: PreciseMatrix,
    projection: Projection,
    pub(crate) stages: Stages,
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

impl std::ops::AddAssign for Stages {
    fn add_assign(&mut self, other: Self) {
        let Self { forward, gram, eigen, edit, stream } = other;
        self.forward += forward;
        self.gram += gram;
        self.eigen += eigen;
        self.edit += edit;
        self.stream += stream;
    }
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
        let mut signals = Signals::new(settings.shelf, compute);
        let mut stages = Stages::default();
        let mut covariance = Covariance::new(width, arithmetic);
        let mut others = Vec::new();
        for batch in batches {
            let Batch { signal, context, keep } = batch?;
            timed(&mut stages.gram, || covariance.add(signal.clone(), keep.as_deref()));
            let put = timed(&mut stages.stream, || signals.put(others.len(), signal.cast(compute)));
            put.map_err(|error| error.at(SliceError::Embedding))?;
            others.push((context, keep));
        }
        let found = timed(&mut stages.eigen, || principal(&covariance, rank, orientation));
        let (basis, spectrum) = found.map_err(SliceError::Embedding)?;
        let columns = basis.on(&device);
        let projection = Projection::new(&basis, &device, compute);
        let lanes = settings.lanes;
        let stream = Self {
            signals,
            others,
            arithmetic,
            compute,
            lanes,
            basis,
            columns,
            projection,
            stages,
        };
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
    pub fn into_signals(self) -> Result<Vec<Tensor<3>>, SliceError> {
        let Self { mut signals, others, projection, .. } = self;
        let take = |number| signals.take(number).map_err(SliceError::Shelf);
        (0..others.len()).map(take).map(|signal| Ok(projection.apply(signal?))).collect()
    }

    /// The basis, on the device.
    pub(crate) fn columns(&self) -> &PreciseMatrix {
        &self.columns
    }

    /// The type sublayers are run in.
    pub(crate) fn compute(&self) -> DType {
        self.compute
    }

    /// Runs `step` on every batch, and finds the `rank` principal directions of what it gives, at
    /// full width. The stream is then in these. `tick` is called after every batch, and may stop.
    pub(crate) fn advance(
        &mut self,
        rank: usize,
        orientation: &mut Orientation,
        at: impl Fn(NotFinite) -> SliceError,
        step: impl Fn(Tensor<3>, &C) -> Tensor<3> + Sync,
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Spectrum, SliceError>
    where
        C: Sync,
    {
        let mut covariance = Covariance::new(self.basis.hidden_size(), self.arithmetic);
        let device = self.projection.device.clone();
        let mut stages = self.stages;
        let batches = self.batches();
        let side_by_side = self.lanes.count();
        let mut taken = Vec::new();
        for first in (0..batches).step_by(side_by_side) {
            let start = Instant::now();
            let numbers = first..batches.min(first + side_by_side);
            let mut running = Vec::with_capacity(side_by_side);
            for number in numbers.clone() {
                running.push(match taken.pop() {
                    Some(batch) => batch,
                    None => self.take(number)?,
                });
            }
            let contexts = self.others[numbers.clone()].iter().map(|(context, _)| context);
            let running = running.into_iter().zip(contexts).collect();
            let projection = &self.projection;
            let done =
                self.lanes.map(running, |(batch, context)| step(projection.apply(batch), context));
            // The device computes while the host fetches the next batch.
            if self.signals.are_elsewhere() && numbers.end < batches {
                taken.push(self.take(numbers.end)?);
            }
            // What failed on the device is told where its result is read.
            let _ = device.sync();
            stages.forward += start.elapsed();
            for (number, signal) in numbers.zip(done) {
                if tick().is_break() {
                    return Err(SliceError::Interrupted);
                }
                let keep = self.others[number].1.as_deref();
                timed(&mut stages.gram, || covariance.add(signal.clone(), keep));
                let put = timed(&mut stages.stream, || self.signals.put(number, signal));
                put.map_err(|error| error.at(&at))?;
            }
        }
        let found = timed(&mut stages.eigen, || principal(&covariance, rank, orientation));
        self.stages = stages;
        let (basis, spectrum) = found.map_err(at)?;
        self.columns = basis.on(&device);
        self.projection = Projection::new(&basis, &device, self.compute);
        self.basis = basis;
        Ok(spectrum)
    }

    /// The stream behind a last sublayer that nobody looks behind: at full width, without a signal.
    /// `step` is run on the first batch only, to see that what it gives is finite.
    pub(crate) fn leave(
        &mut self,
        at: impl Fn(NotFinite) -> SliceError,
        step: impl FnOnce(Tensor<3>, &C) -> Tensor<3>,
    ) -> Result<(), SliceError> {
        let width = self.basis.hidden_size();
        let device = self.projection.device.clone();
        let first = self.take(0)?;
        let first = self.projection.apply(first);
        let mut covariance = Covariance::new(width, self.arithmetic);
        covariance.add(step(first, &self.others[0].0), self.others[0].1.as_deref());
        covariance.lower().map_err(at)?;
        self.signals = Signals::Resident(Vec::new());
        self.others.clear();
        self.basis = Basis::axes(width, width);
        self.columns = self.basis.on(&device);
        Ok(())
    }

    /// A batch, at full width, from where it waits.
    fn take(&mut self, number: usize) -> Result<Tensor<3>, SliceError> {
        self.signals.take(number).map_err(SliceError::Shelf)
    }
}

/// Moves signals into the coordinates of a basis.
pub(crate) struct Projection {
    device: Device,
    /// `[hidden_size, rank]`, in the type sublayers are run in; `None` for the identity.
    matrix: Option<Tensor<2>>,
}

impl Projection {
    pub fn new(basis: &Basis, device: &Device, dtype: DType) -> Self {
        let matrix = (!basis.is_identity()).then(|| basis.to(device, dtype));
        Self { device: device.clone(), matrix }
    }

    pub fn apply(&self, signal: Tensor<3>) -> Tensor<3> {
        match &self.matrix {
            Some(matrix) => linear(signal, matrix.clone(), None),
            None => signal,
        }
    }
}
