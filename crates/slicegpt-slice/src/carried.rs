//! [`Carried`]: signals that are carried from sublayer to sublayer, batch by batch.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use slicegpt_calibrate::AnalysisError;
use slicegpt_core::{Lanes, Observer};

use crate::error::{Place, SliceError};
use crate::settings::{Defaults, Settings};
use crate::shelf::{PutError, Signals};
use crate::stages::{Stages, timed};

/// `N` signals of every batch between two sublayers, with what is needed to carry them through the
/// next one.
pub(crate) struct Carried<C, const N: usize> {
    /// Signal `k` of batch `i` under number `N i + k`.
    signals: Signals,
    batches: Vec<(C, Option<Vec<bool>>)>,
    lanes: Lanes,
    device: Device,
    observer: Arc<dyn Observer>,
    pub stages: Stages,
}

impl<C, const N: usize> Carried<C, N> {
    pub fn new(settings: Settings, defaults: &Defaults) -> Self {
        let Settings { shelf, lanes, observer, .. } = settings;
        let device = defaults.device.clone();
        Self {
            signals: Signals::new(shelf, &device, defaults.compute),
            batches: Vec::new(),
            lanes,
            device,
            observer,
            stages: Stages::default(),
        }
    }

    /// The number of batches.
    pub fn len(&self) -> usize {
        self.batches.len()
    }

    /// Whether the signals stay in the memory of the device, because there is room for them.
    pub fn is_resident(&self) -> bool {
        matches!(self.signals, Signals::Resident(_))
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The context of batch `number`, which blocks need in addition to its signals, and the mask
    /// of its tokens.
    pub fn batch(&self, number: usize) -> (&C, Option<&[bool]>) {
        let (context, keep) = &self.batches[number];
        (context, keep.as_deref())
    }

    /// Stores the signals of another batch, as they are after the embedding.
    pub fn push(
        &mut self,
        signals: [Tensor<3>; N],
        context: C,
        keep: Option<Vec<bool>>,
    ) -> Result<(), SliceError> {
        self.batches.push((context, keep));
        self.put(self.len() - 1, signals, None)
    }

    /// Takes the signals of batch `number` from where they are stored.
    pub fn take(&mut self, number: usize) -> Result<[Tensor<3>; N], SliceError> {
        let start = Instant::now();
        let signals = self.fetch(number);
        self.stages.stream += start.elapsed();
        signals
    }

    /// Stores the signals of batch `number` again, which were taken.
    pub fn put_back(&mut self, number: usize, signals: [Tensor<3>; N]) -> Result<(), SliceError> {
        self.put(number, signals, None)
    }

    /// Drops all batches and their signals.
    pub fn clear(&mut self) {
        self.signals = Signals::Resident(Vec::new());
        self.batches.clear();
    }

    /// Reports a step to the observer.
    ///
    /// # Errors
    ///
    /// If it cancels the computation.
    pub fn step(&self) -> Result<(), SliceError> {
        if self.observer.step().is_break() { Err(SliceError::Interrupted) } else { Ok(()) }
    }

    /// Replaces the signals of every batch by those that `work` computes from them: the signals
    /// after the sublayer at `place`. `work` also gets the context and the number of the batch. Its
    /// second result goes to `sink`, in the order of the batches, with the mask of the batch.
    ///
    /// As many batches run at the same time as there are lanes. While an accelerator computes, the
    /// host fetches the next batch.
    pub fn each<T: Send>(
        &mut self,
        place: Place,
        work: impl Fn([Tensor<3>; N], &C, usize) -> ([Tensor<3>; N], T) + Sync,
        mut sink: impl FnMut(T, Option<&[bool]>),
    ) -> Result<(), SliceError>
    where
        C: Sync,
    {
        let mut prefetched = None;
        for first in (0..self.len()).step_by(self.lanes.count()) {
            let numbers = first..self.len().min(first + self.lanes.count());
            let running = self.start(numbers.clone(), prefetched.take())?;
            let start = Instant::now();
            let batches = &self.batches;
            let done = self
                .lanes
                .map(running, |(number, signals)| work(signals, &batches[number].0, number));
            if self.signals.overlap_with_compute() && numbers.end < self.len() {
                prefetched = Some(self.fetch(numbers.end)?);
            }
            // A failure of the device surfaces where the results are read.
            let _ = self.device.sync();
            self.stages.forward += start.elapsed();
            for (number, (signals, seen)) in numbers.zip(done) {
                timed(&mut self.stages.gram, || {
                    sink(seen, self.batches[number].1.as_deref());
                    // Sums stay on an accelerator: without this, `forward` would wait for them.
                    let _ = self.device.sync();
                });
                self.put(number, signals, Some(place))?;
                self.step()?;
            }
        }
        Ok(())
    }

    /// The signals of the batches `numbers`. Those of the first may have been prefetched.
    #[allow(clippy::type_complexity)]
    fn start(
        &mut self,
        numbers: Range<usize>,
        mut prefetched: Option<[Tensor<3>; N]>,
    ) -> Result<Vec<(usize, [Tensor<3>; N])>, SliceError> {
        let signals = |number| {
            let signals = match prefetched.take() {
                Some(signals) => signals,
                None => self.take(number)?,
            };
            Ok((number, signals))
        };
        numbers.map(signals).collect()
    }

    fn fetch(&mut self, number: usize) -> Result<[Tensor<3>; N], SliceError> {
        let mut signals = Vec::with_capacity(N);
        for k in 0..N {
            signals.push(self.signals.take(N * number + k).map_err(SliceError::Shelf)?);
        }
        Ok(signals.try_into().unwrap_or_else(|_| unreachable!("there are N signals")))
    }

    fn put(
        &mut self,
        number: usize,
        signals: [Tensor<3>; N],
        place: Option<Place>,
    ) -> Result<(), SliceError> {
        for (k, signal) in signals.into_iter().enumerate() {
            let Self { signals, stages, .. } = self;
            timed(&mut stages.stream, || signals.put(N * number + k, signal)).map_err(|error| {
                match error {
                    PutError::Shelf(error) => SliceError::Shelf(error),
                    PutError::Overflow => {
                        SliceError::signal(place, AnalysisError::ActivationsNotFinite)
                    }
                }
            })?;
        }
        Ok(())
    }
}
