//! One block, sliced: what is carried on is what the sliced block computes, and cutting more loses
//! more.

use std::ops::ControlFlow;

use burn::tensor::{DType, Device, Tensor};
use slicegpt_calibrate::Orientation;
use slicegpt_core::{Block, Decoder, TokenBatch};
use slicegpt_invariance::{center, fuse};
use slicegpt_models::{Model, SUPPORTED};
use slicegpt_slice::{Batch, SliceError, SlicedBlock, Stream, slice_block};
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
    tensor.into_data_dtype(DType::F64).try_into_vec().unwrap()
}

#[test]
fn the_stream_carried_on_is_what_the_sliced_block_computes() {
    for family in SUPPORTED {
        for orientation in [Orientation::Pca, Orientation::random(3)] {
            let model = model(family);
            let mut start = orientation.clone();
            let mut orientation = orientation;
            let (stream, _) = Stream::project(batches(&model), 12, &mut orientation).unwrap();
            // The same calibration once more, for what it gives away.
            let (twin, _) = Stream::project(batches(&model), 12, &mut start).unwrap();
            let before = twin.into_signals().unwrap();
            let contexts = batches(&model).into_iter().map(|batch| batch.context);
            let widths = [12, 10, 9];
            let widths = &widths[..=model.sublayers_per_block()];
            let block = fuse(model.block(0).unwrap());
            let go_on = &mut || ControlFlow::Continue(());
            let SlicedBlock { block, stream, spectra } =
                slice_block(block, 0, stream, widths, &mut orientation, go_on).unwrap();
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

#[test]
fn an_interrupted_block_says_so() {
    let model = model("llama");
    let (stream, _) = Stream::project(batches(&model), 12, &mut Orientation::Pca).unwrap();
    let block = fuse(model.block(0).unwrap());
    let stop = &mut || ControlFlow::Break(());
    let result = slice_block(block, 0, stream, &[12, 12, 12], &mut Orientation::Pca, stop);
    assert!(matches!(result.err(), Some(SliceError::Interrupted)));
}

#[test]
fn activations_that_overflow_are_named() {
    let model = model("llama");
    let (stream, _) = Stream::project(batches(&model), 12, &mut Orientation::Pca).unwrap();
    let mut block = model.block(1).unwrap();
    let down = block.sublayer_mut(1).writers.remove(0);
    down.weight = down.weight.clone().map(|w| w * f32::MAX);
    let go_on = &mut || ControlFlow::Continue(());
    let result = slice_block(fuse(block), 1, stream, &[12, 12, 12], &mut Orientation::Pca, go_on);
    let message = result.err().expect("an overflow").to_string();
    assert!(message.contains("sublayer 1 of block 1"), "{message}");
}
