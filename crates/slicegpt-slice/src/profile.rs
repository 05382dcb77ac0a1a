//! [`profile`]: runs the dense decoder once and sums the statistics from which a shared basis, the
//! units to keep and the blocks to remove are chosen.

use burn::tensor::{Bool, DType, Tensor, TensorData};
use slicegpt_calibrate::{AnalysisError, Covariance};
use slicegpt_core::{Axis, Block, Fused, PrunableUnits, host_vec};

use crate::carried::Carried;
use crate::distances::{Distances, Probe, sample};
use crate::error::{Place, SliceError};
use crate::kept::{BlockUnits, KeptUnits};
use crate::linears::cast;
use crate::settings::{Batch, Defaults, Settings};
use crate::stages::{Stages, timed};
use crate::units::{Importance, inverse_rms, squared_rows};

/// Statistics of a dense decoder on calibration text, valid for every size it may be cut to.
pub struct Profile {
    /// Covariance of the normalised stream, as the readers see it, summed over all cuts: the
    /// embedding output and the output of every sublayer. All tokens and all cuts have the same
    /// weight.
    pub covariance: Covariance,
    /// The sum of `W W^T` over the readers `W` of all blocks: a covariance in which each output of
    /// a reader counts as one token. The caller adds the head, which is a reader too.
    pub readers: Covariance,
    /// The axis and the importance of each group of [`slicegpt_core::PrunableUnits`], by block,
    /// sublayer and group. All tokens have the same weight, however long their vectors are.
    pub importance: Vec<Vec<Vec<(Axis, Importance)>>>,
    /// How much spans of blocks change the stream.
    pub distances: Distances,
    /// Where the time was spent.
    pub stages: Stages,
}

impl Profile {
    /// The axis and the importance of the units of every group, in the order of the decoder.
    pub fn groups(&self) -> impl Iterator<Item = (Axis, &[f64])> {
        let groups = self.importance.iter().flatten().flatten();
        groups.map(|(axis, importance)| (*axis, importance.as_slice()))
    }

    /// Arranges the units that `kept` lists for each group, in the order of [`Profile::groups`], by
    /// block and sublayer.
    ///
    /// # Panics
    ///
    /// If there is not one list for each group.
    pub fn arrange(&self, kept: impl IntoIterator<Item = Vec<usize>>) -> KeptUnits {
        let mut kept = kept.into_iter();
        let mut next = |_: &_| kept.next().expect("one list for each group");
        let mut sublayer = |groups: &Vec<_>| groups.iter().map(&mut next).collect();
        let blocks = self.importance.iter();
        blocks.map(|block| BlockUnits::new(block.iter().map(&mut sublayer).collect())).collect()
    }
}

/// Runs `blocks`, dense and fused, on `batches`, each sublayer once, and sums the statistics of a
/// [`Profile`]. The observer is called after every batch of every sublayer.
///
/// # Errors
///
/// The first error of `batches` or `blocks`; if a signal is not finite or cannot be stored, or the
/// observer cancels.
///
/// # Panics
///
/// If there is no batch or no block.
pub fn profile<B: Block, E: From<SliceError>>(
    batches: impl IntoIterator<Item = Result<Batch<B::Context>, E>>,
    settings: Settings,
    blocks: impl IntoIterator<Item = Result<Fused<B>, E>>,
) -> Result<Profile, E> {
    let mut batches = batches.into_iter().peekable();
    let defaults = Defaults::of(&mut batches, &settings)?;
    let Defaults { arithmetic, compute, width, .. } = defaults;
    let mut streams = Carried::new(settings, &defaults);
    for batch in batches {
        let Batch { signal, context, keep } = batch?;
        streams.push([signal.cast(compute)], context, keep)?;
    }
    let new = || Covariance::new(width, arithmetic);
    let probe = Probe::default();
    let mut run = Run { streams, compute, covariance: new(), readers: new(), written: None, probe };
    let mut importance = Vec::new();
    let mut last = None;
    for (number, block) in blocks.into_iter().enumerate() {
        let mut block = block?.into_inner();
        drop(last.take());
        let places = (0..block.sublayers()).map(|sublayer| Place { block: number, sublayer });
        let sublayers: Result<_, _> = places.map(|at| run.sublayer(&mut block, at)).collect();
        importance.push(sublayers?);
        last = Some(block);
    }
    run.finish(&last.expect("at least one block"))?;
    let Run { streams, covariance, readers, probe, .. } = run;
    let distances = probe.distances();
    Ok(Profile { covariance, readers, importance, distances, stages: streams.stages })
}

/// A profile that is being computed.
struct Run<C> {
    streams: Carried<C, 1>,
    compute: DType,
    covariance: Covariance,
    readers: Covariance,
    /// The sublayer whose output the next one reads. A signal that is not finite is found where it
    /// is read, and reported where it was written.
    written: Option<Place>,
    /// Some tokens of the stream after every block.
    probe: Probe,
}

impl<C: Sync> Run<C> {
    /// Runs one sublayer on every batch. Gives the axis and the importance of its prunable units,
    /// by group.
    fn sublayer<B: Block<Context = C>>(
        &mut self,
        block: &mut B,
        place: Place,
    ) -> Result<Vec<(Axis, Importance)>, SliceError> {
        let Self { streams, compute, covariance, readers, probe, .. } = self;
        let index = place.sublayer;
        let groups = block.prunable(index);
        let sublayer = block.sublayer(index);
        let rows = groups.iter().map(|group| sublayer.writers[group.writer].weight.val());
        let rows: Vec<Vec<f64>> = rows.map(squared_rows).collect();
        for reader in sublayer.readers {
            let weight = reader.weight.val().transpose().unsqueeze();
            timed(&mut streams.stages.gram, || readers.add(weight, None));
        }
        cast(block, index, *compute);

        // By batch and group. They are read when the sublayer is done, so that no batch waits.
        let mut squares: Vec<Vec<Tensor<1>>> = Vec::new();
        let mut samples = Vec::new();
        let is_last = index + 1 == block.sublayers();
        let work = |[stream]: [Tensor<3>; 1], context: &C, _| {
            let normed = block.normed(index, stream.clone());
            let inputs = block.writer_inputs(index, normed.clone(), context);
            let pruned: Vec<Tensor<3>> =
                groups.iter().map(|group| inputs[group.writer].clone()).collect();
            let after = block.write(index, stream, inputs);
            let weights = inverse_rms(&after);
            let pruned: Vec<_> = pruned.into_iter().map(|x| x * weights.clone()).collect();
            let sample = is_last.then(|| sample(&after));
            ([after], (normed, pruned, sample))
        };
        streams.each(place, work, |(normed, pruned, sample), keep| {
            covariance.add(normed, keep);
            squares.push(pruned.into_iter().map(|x| squared_columns(x, keep)).collect());
            samples.extend(sample.map(|sample| (sample, keep.map(<[bool]>::to_vec))));
        })?;
        if is_last {
            probe.boundary(samples);
        }
        self.check()?;
        self.written = Some(place);
        let mut energies: Vec<Vec<f64>> = rows.iter().map(|rows| vec![0.0; rows.len()]).collect();
        for batch in squares {
            for (energies, found) in energies.iter_mut().zip(batch) {
                let found: Vec<f64> = host_vec(found);
                energies.iter_mut().zip(found).for_each(|(sum, x)| *sum += x);
            }
        }
        for (energies, rows) in energies.iter_mut().zip(rows) {
            energies.iter_mut().zip(rows).for_each(|(energy, row)| *energy *= row);
        }
        let units = |(group, energies): (&PrunableUnits, Vec<f64>)| {
            (group.axis, energies.chunks(group.inputs).map(|unit| unit.iter().sum()).collect())
        };
        Ok(groups.iter().zip(energies).map(units).collect())
    }

    /// Adds the output of the last block, as its norm would see it.
    fn finish<B: Block<Context = C>>(&mut self, last: &B) -> Result<(), SliceError> {
        for number in 0..self.streams.len() {
            let [signal] = self.streams.take(number)?;
            let start = std::time::Instant::now();
            let normed = last.normed(last.sublayers() - 1, signal);
            self.covariance.add(normed, self.streams.batch(number).1);
            self.streams.stages.gram += start.elapsed();
        }
        self.check()
    }

    /// Whether all signals that were read so far are finite.
    fn check(&self) -> Result<(), SliceError> {
        if self.covariance.is_finite() {
            Ok(())
        } else {
            Err(SliceError::signal(self.written, AnalysisError::ActivationsNotFinite))
        }
    }
}

/// For each channel of a signal, `[batch, tokens, channels]`, the sum of its squares over the
/// tokens that count.
fn squared_columns(signal: Tensor<3>, keep: Option<&[bool]>) -> Tensor<1> {
    let [batch, tokens, _] = signal.dims();
    let shape = signal.dims();
    let signal = match keep {
        None => signal,
        Some(keep) => {
            let padding: Vec<bool> = keep.iter().map(|keep| !keep).collect();
            let padding = TensorData::new(padding, [batch, tokens, 1]);
            let padding = Tensor::<3, Bool>::from_data(padding, &signal.device());
            signal.mask_fill(padding.expand(shape), 0.0)
        }
    };
    signal.cast(DType::F32).square().sum_dim(1).sum_dim(0).flatten(0, 2)
}
