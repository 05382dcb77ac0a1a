//! [`Pair`]: two signals of every batch, the dense and the sliced one, carried along together.

use std::ops::ControlFlow;

use burn::tensor::Tensor;
use slicegpt_calibrate::NotFinite;
use slicegpt_core::Lanes;

use crate::stream::{Signals, timed};
use crate::{SliceError, Stages};

/// The dense and the sliced signal of every batch, where they wait.
pub struct Pair<C> {
    /// Batch `i`: the dense one under `2 i`, the sliced one under `2 i + 1`.
    signals: Signals,
    others: Vec<(C, Option<Vec<bool>>)>,
    lanes: Lanes,
    pub stages: Stages,
}

impl<C: Sync> Pair<C> {
    pub fn new(signals: Signals, lanes: Lanes) -> Self {
        Self { signals, others: Vec::new(), lanes, stages: Stages::default() }
    }

    /// One batch more.
    pub fn push(
        &mut self,
        streams: [Tensor<3>; 2],
        context: C,
        keep: Option<Vec<bool>>,
        at: impl Fn(NotFinite) -> SliceError,
    ) -> Result<(), SliceError> {
        let number = self.others.len();
        self.others.push((context, keep));
        self.put(number, streams, &at)
    }

    pub fn batches(&self) -> usize {
        self.others.len()
    }

    /// Both signals of a batch, for good.
    pub fn take(&mut self, number: usize) -> Result<[Tensor<3>; 2], SliceError> {
        let Self { signals, stages, .. } = self;
        let mut take =
            |number| timed(&mut stages.stream, || signals.take(number)).map_err(SliceError::Shelf);
        Ok([take(2 * number)?, take(2 * number + 1)?])
    }

    /// Replaces both signals of every batch by what `work` makes of them, and hands what it gives
    /// beside them to `sink`, in order, with what counts of it. `tick` is called after every batch.
    pub fn each<T: Send>(
        &mut self,
        at: impl Fn(NotFinite) -> SliceError,
        tick: &mut dyn FnMut() -> ControlFlow<()>,
        work: impl Fn([Tensor<3>; 2], &C) -> ([Tensor<3>; 2], T) + Sync,
        mut sink: impl FnMut(T, Option<&[bool]>),
    ) -> Result<(), SliceError> {
        let batches = self.batches();
        for first in (0..batches).step_by(self.lanes.count()) {
            let numbers = first..batches.min(first + self.lanes.count());
            let mut running = Vec::with_capacity(self.lanes.count());
            for number in numbers.clone() {
                running.push((number, self.take(number)?));
            }
            let Self { others, lanes, stages, .. } = self;
            let done = timed(&mut stages.forward, || {
                lanes.map(running, |(number, streams)| work(streams, &others[number].0))
            });
            for (number, (streams, seen)) in numbers.zip(done) {
                timed(&mut self.stages.gram, || sink(seen, self.others[number].1.as_deref()));
                self.put(number, streams, &at)?;
                if tick().is_break() {
                    return Err(SliceError::Interrupted);
                }
            }
        }
        Ok(())
    }

    fn put(
        &mut self,
        number: usize,
        streams: [Tensor<3>; 2],
        at: &impl Fn(NotFinite) -> SliceError,
    ) -> Result<(), SliceError> {
        for (which, stream) in streams.into_iter().enumerate() {
            let Self { signals, stages, .. } = self;
            timed(&mut stages.stream, || signals.put(2 * number + which, stream))
                .map_err(|error| error.at(at))?;
        }
        Ok(())
    }
}
