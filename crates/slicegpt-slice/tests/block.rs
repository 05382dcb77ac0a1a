//! One sliced block: the stream after it equals the output of the sliced block; errors name the
//! sublayer.

use std::ops::ControlFlow;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use slicegpt_calibrate::Orientation;
use slicegpt_core::{Block, Decoder, Observer, TokenBatch, host_vec};
use slicegpt_invariance::{center, fuse};
use slicegpt_models::{Model, SUPPORTED};
use slicegpt_slice::{Batch, Settings, SliceError, SlicedBlock, Stream, slice_block};
use slicegpt_testkit::{ToySource, largest_difference, spec};

type Toy = Model<ToySource>;

fn model(family: &str) -> Toy {
    Model::new(spec(family), ToySource { seed: 7 }, Device::flex())
}

/// Two batches, one of them padded.
fn batches(model: &Toy) -> Vec<Batch<<<Toy as Decoder>::Block as Block>::Context>> {
    let ids = |shift: u32| (0..24u32).map(|i| (i * 7 + shift) % 40).collect::<Vec<u32>>();
    let mask = (0..24).map(|i| i % 12 < 9).collect();
    let tokens = [TokenBatch::new(ids(0), None, 12), TokenBatch::new(ids(5), Some(mask), 12)];
    let norm = model.norm().unwrap();
    tokens
        .iter()
        .map(|tokens| Batch {
            signal: center(&norm, model.embed(tokens).unwrap()),
            context: model.context(tokens),
            keep: tokens.mask().map(<[bool]>::to_vec),
        })
        .collect()
}

fn values(tensor: Tensor<3>) -> Vec<f64> {
    host_vec(tensor)
}

#[test]
fn the_stream_carried_on_is_what_the_sliced_block_computes() {
    for family in SUPPORTED {
        for orientation in [Orientation::Pca, Orientation::random(3)] {
            let model = model(family);
            let mut start = orientation.clone();
            let mut orientation = orientation;
            let (stream, _) = Stream::project(batches(&model), 12, &mut orientation).unwrap();
            // The same calibration once more, because the first stream is consumed.
            let (twin, _) = Stream::project(batches(&model), 12, &mut start).unwrap();
            let before = twin.into_signals().unwrap();
            let contexts = batches(&model).into_iter().map(|batch| batch.context);
            let widths = [12, 10, 9];
            let widths = &widths[..=model.sublayers_per_block()];
            let block = fuse(model.block(0).unwrap());
            let SlicedBlock { block, stream, spectra } =
                slice_block(block, 0, stream, widths, &mut orientation).unwrap();
            assert_eq!(spectra.len(), model.sublayers_per_block());
            let after = stream.into_signals().unwrap();
            for ((before, context), after) in before.into_iter().zip(contexts).zip(after) {
                let again = values(block.forward(before, &context));
                let carried = values(after);
                let difference = largest_difference(&again, &carried);
                assert!(difference < 1e-4, "{family}: {difference}");
            }
        }
    }
}

/// Cancels at the first step.
struct Canceller;

impl Observer for Canceller {
    fn step(&self) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

#[test]
fn a_block_that_the_observer_cancels_is_interrupted() {
    let model = model("llama");
    let settings = Settings { observer: Arc::new(Canceller), ..Settings::default() };
    let signals = batches(&model).into_iter().map(Ok::<_, SliceError>);
    let (stream, _) = Stream::begin(signals, settings, 12, &mut Orientation::Pca).unwrap();
    let block = fuse(model.block(0).unwrap());
    let result = slice_block(block, 0, stream, &[12, 12, 12], &mut Orientation::Pca);
    assert!(matches!(result.err(), Some(SliceError::Interrupted)));
}

#[test]
fn activations_that_overflow_are_named() {
    let model = model("llama");
    let (stream, _) = Stream::project(batches(&model), 12, &mut Orientation::Pca).unwrap();
    let mut block = model.block(1).unwrap();
    let down = block.sublayer_mut(1).writers.remove(0);
    down.weight = down.weight.clone().map(|w| w * f32::MAX);
    let result = slice_block(fuse(block), 1, stream, &[12, 12, 12], &mut Orientation::Pca);
    let message = result.err().expect("an overflow").to_string();
    assert!(message.contains("sublayer 1 of block 1"), "{message}");
}
