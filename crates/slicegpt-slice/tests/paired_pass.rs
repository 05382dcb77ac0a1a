//! A paired pass: both streams are what their decoders compute, and a refit at full width finds the
//! dense weights.

use std::sync::Arc;

use burn::tensor::{DType, Tensor, TensorData};
use slicegpt_calibrate::{Covariance, Orientation, principal};
use slicegpt_core::{
    Axis, Basis, Block, Decoder, Norm, PrunableUnits, SublayerMut, TokenBatch, host_vec,
    replace_param,
};
use slicegpt_invariance::{center, fuse};
use slicegpt_models::{Context, Model, SUPPORTED};
use slicegpt_slice::{
    Arithmetic, Batch, BlockUnits, DenseStreams, Memory, PairedPass, Refit, Ridge, Settings, Shelf,
    SliceError, narrow,
};
use slicegpt_testkit::{ToySource, device, largest_difference, spec};

type Toy = Model<ToySource>;

const INNER: usize = 24;

fn model(family: &str) -> Toy {
    Model::new(spec(family), ToySource { seed: 7 }, device())
}

/// Two batches, one of them padded.
fn batches(model: &Toy) -> Vec<Batch<Context>> {
    let ids = |shift: u32| (0..24u32).map(|i| (i * 7 + shift) % 40).collect::<Vec<u32>>();
    let mask = (0..24).map(|i| i % 12 < 9).collect();
    let tokens = [TokenBatch::new(ids(0), None, 12), TokenBatch::new(ids(5), Some(mask), 12)];
    let norm = model.norm().unwrap();
    let batch = |tokens: &TokenBatch| Batch {
        signal: center(&norm, model.embed(tokens).unwrap()),
        context: model.context(tokens),
        keep: tokens.mask().map(<[bool]>::to_vec),
    };
    tokens.iter().map(batch).collect()
}

/// The principal directions of the embedding output.
fn basis(model: &Toy, rank: usize) -> Basis {
    let mut covariance = Covariance::new(16, Arithmetic::Float64);
    batches(model).into_iter().for_each(|batch| covariance.add(batch.signal, None));
    principal(&covariance, rank, &mut Orientation::Pca).unwrap().0
}

fn pass(model: &Toy, rank: usize, refit: Option<Refit>) -> PairedPass<Context> {
    pass_with(model, rank, refit, Settings::default())
}

fn pass_with(
    model: &Toy,
    rank: usize,
    refit: Option<Refit>,
    settings: Settings,
) -> PairedPass<Context> {
    let norm = model.norm().unwrap();
    let bare = Norm::bare(norm.hidden_size, norm.eps);
    let signals = batches(model).into_iter().map(Ok::<_, SliceError>);
    PairedPass::begin(signals, settings, basis(model, rank), &bare, refit).unwrap()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    host_vec(tensor)
}

/// All channels of every MLP but the last few, and all heads.
fn kept(model: &Toy, width: usize) -> BlockUnits {
    kept_of(model, |axis| if axis == Axis::Mlp { width } else { usize::MAX })
}

/// The first units of every group.
fn kept_of(model: &Toy, count: impl Fn(Axis) -> usize) -> BlockUnits {
    BlockUnits::first(&model.block(0).unwrap(), count)
}

#[test]
fn the_streams_carried_on_are_what_both_decoders_compute() {
    for family in SUPPORTED {
        for refit in [None, Some(Refit::Ridge(Ridge::default())), Some(Refit::HeldOut)] {
            let model = model(family);
            let mut pass = pass(&model, 12, refit);
            let dense = fuse(model.block(0).unwrap());
            let sliced = pass.block(dense.clone(), 0, &kept(&model, 20)).unwrap();
            let columns = pass.basis().to(&device(), DType::F32).unsqueeze::<3>();
            for (number, batch) in batches(&model).into_iter().enumerate() {
                let Batch { signal, context, .. } = batch;
                let projected = signal.clone().matmul(columns.clone());
                let expected =
                    [dense.get().forward(signal, &context), sliced.forward(projected, &context)];
                for (found, expected) in pass.take(number).unwrap().into_iter().zip(expected) {
                    let difference = largest_difference(&values(found), &values(expected));
                    assert!(difference < 1e-4, "{family}: {difference}");
                }
            }
        }
    }
}

/// Passes that share the streams of the dense decoder find what each of them finds alone, and so
/// does one that keeps its signals elsewhere, and therefore no inputs of writers.
#[test]
fn how_signals_are_kept_changes_nothing() {
    for family in SUPPORTED {
        for refit in [Refit::Ridge(Ridge::default()), Refit::HeldOut] {
            let model = model(family);
            let weights = |settings: Settings| {
                let mut pass = pass_with(&model, 12, Some(refit), settings);
                let block = fuse(model.block(0).unwrap());
                let sliced = pass.block(block, 0, &kept(&model, 20)).unwrap();
                let last = sliced.sublayers() - 1;
                let writers = sliced.sublayer(last).writers;
                writers.iter().flat_map(|writer| values(writer.weight.val())).collect::<Vec<_>>()
            };
            let alone = weights(Settings::default());
            let shared = Arc::new(DenseStreams::default());
            for _ in 0..2 {
                let dense = Some(Arc::clone(&shared));
                assert_eq!(weights(Settings { dense, ..Settings::default() }), alone, "{family}");
            }
            let shelf: Box<dyn Shelf> = Box::new(Memory::default());
            let shelf = Some((shelf, DType::F32));
            assert_eq!(weights(Settings { shelf, ..Settings::default() }), alone, "{family}");
        }
    }
}

/// A second pass does not run the dense decoder again: it takes the streams that it is given.
#[test]
fn shared_streams_are_not_computed_again() {
    let model = model("llama");
    let streams = |settings: Settings, scale: f32| {
        let mut pass = pass_with(&model, 16, None, settings);
        let mut block = model.block(0).unwrap();
        for index in 0..block.sublayers() {
            let SublayerMut { writers, .. } = block.sublayer_mut(index);
            for writer in writers {
                replace_param(&mut writer.weight, |weight| weight.mul_scalar(scale));
            }
        }
        pass.block(fuse(block), 0, &kept(&model, INNER)).unwrap();
        values(pass.take(0).unwrap()[0].clone())
    };
    let shared = Arc::new(DenseStreams::default());
    let sharing = || Settings { dense: Some(Arc::clone(&shared)), ..Settings::default() };
    let first = streams(sharing(), 1.0);
    assert_eq!(streams(sharing(), 5.0), first);
    assert_ne!(streams(Settings::default(), 5.0), first);
}

#[test]
fn a_refit_at_full_width_finds_the_dense_weights() {
    for family in SUPPORTED {
        let model = model(family);
        let mut pass = pass(&model, 16, Some(Refit::Ridge(Ridge { lambda: 1.0 })));
        let dense = fuse(model.block(0).unwrap());
        let refitted = pass.block(dense.clone(), 0, &kept(&model, INNER)).unwrap();
        for index in 0..model.sublayers_per_block() {
            let [a, b] = [dense.get(), &refitted].map(|block| block.sublayer(index));
            let pairs = a.readers.into_iter().zip(b.readers);
            for (a, b) in pairs.chain(a.writers.into_iter().zip(b.writers)) {
                let difference =
                    largest_difference(&values(a.weight.val()), &values(b.weight.val()));
                assert!(difference < 1e-4, "{family}: {difference}");
            }
        }
    }
}

/// After a cut, a refit brings the sliced stream nearer to the dense one.
#[test]
fn a_refit_brings_the_streams_together() {
    for family in SUPPORTED {
        let model = model(family);
        let distance = |refit: Option<Refit>| -> f64 {
            let mut pass = pass(&model, 10, refit);
            let dense = fuse(model.block(0).unwrap());
            pass.block(dense, 0, &kept(&model, 16)).unwrap();
            let columns = pass.basis().to(&device(), DType::F32).unsqueeze::<3>();
            let [x, z] = pass.take(0).unwrap();
            let lost = values(x.matmul(columns)).into_iter().zip(values(z));
            lost.map(|(x, z)| (x - z).powi(2)).sum()
        };
        let plain = distance(None);
        for refit in [Refit::Ridge(Ridge { lambda: 1e-6 }), Refit::HeldOut] {
            let refitted = distance(Some(refit));
            assert!(refitted < plain, "{family}, {refit:?}: {refitted} against {plain}");
        }
    }
}

/// Removing units that write nothing changes nothing, whatever reads them: channels of an MLP, and
/// groups of heads.
#[test]
fn units_that_write_nothing_can_be_removed() {
    for family in SUPPORTED {
        let model = model(family);
        let dense = model.block(0).unwrap();
        let sublayers = 0..model.sublayers_per_block();
        let groups: Vec<(usize, PrunableUnits)> = sublayers
            .flat_map(|index| dense.prunable(index).into_iter().map(move |group| (index, group)))
            .collect();
        let axes: Vec<Axis> = groups.iter().map(|(_, group)| group.axis).collect();
        assert_eq!(axes, [Axis::Heads, Axis::Mlp], "{family}");
        for (index, group) in groups {
            let mut block = dense.clone();
            let units = group.count(&block.sublayer(index));
            let stays = |unit: &usize| unit % 3 != 1;
            let rows = (0..units * group.inputs).map(|row| stays(&(row / group.inputs)));
            let rows: Vec<f32> = rows.map(|stays| f32::from(u8::from(stays))).collect();
            let shape = [rows.len(), 1];
            let rows = Tensor::<2>::from_data(TensorData::new(rows, shape), &device());
            let writer = block.sublayer_mut(index).writers.remove(group.writer);
            writer.weight = writer.weight.clone().map(|w| w * rows);
            let mut narrower = block.clone();
            let kept: Vec<usize> = (0..units).filter(stays).collect();
            assert!(kept.len() < units, "{family}: something is removed");
            narrow(&mut narrower, index, &group, &kept);
            for Batch { signal, context, .. } in batches(&model) {
                let [expected, found] = [&block, &narrower]
                    .map(|block| values(block.forward(signal.clone(), &context)));
                let difference = largest_difference(&expected, &found);
                assert!(difference < 1e-4, "{family}: {difference}");
            }
        }
    }
}

/// A block that stands for itself and for the next one: the dense stream goes through both, the
/// sliced one through the first, and the refit brings it nearer to where the dense one ends.
#[test]
fn a_block_does_the_work_of_a_removed_one() {
    for family in SUPPORTED {
        let model = model(family);
        let block = |index| fuse(model.block(index).unwrap());
        let units = kept(&model, INNER);
        let end = |refit: Option<Refit>| {
            let mut pass = pass(&model, 16, refit);
            let removed = [Ok::<_, SliceError>(block(1))];
            let sliced = pass.block_for(block(0), 0, &units, removed).unwrap();
            let columns = pass.basis().to(&device(), DType::F32).unsqueeze::<3>();
            let mut distance = 0.0;
            for (number, batch) in batches(&model).into_iter().enumerate() {
                let Batch { signal, context, .. } = batch;
                let [x, z] = pass.take(number).unwrap().map(values);
                let dense = block(0).get().forward(signal.clone(), &context);
                let dense = block(1).get().forward(dense, &context);
                let difference = largest_difference(&x, &values(dense.clone()));
                assert!(difference < 1e-4, "{family}: the dense stream, {difference}");
                let found = sliced.forward(signal.matmul(columns.clone()), &context);
                let difference = largest_difference(&z, &values(found));
                assert!(difference < 1e-4, "{family}: the sliced stream, {difference}");
                let target = values(dense.matmul(columns.clone()));
                distance += target.iter().zip(z).map(|(x, z)| (x - z).powi(2)).sum::<f64>();
            }
            distance
        };
        let plain = end(None);
        for refit in [Refit::Ridge(Ridge { lambda: 1e-6 }), Refit::HeldOut] {
            let refitted = end(Some(refit));
            assert!(refitted < plain, "{family}, {refit:?}: {refitted} against {plain}");
        }
    }
}

/// Groups of heads are removed in the order of what is left after the others make up for them.
#[test]
fn heads_are_removed_by_a_held_out_refit() {
    for family in SUPPORTED {
        let model = model(family);
        let mut pass = pass(&model, 16, Some(Refit::HeldOut));
        let units = kept_of(&model, |axis| if axis == Axis::Heads { 1 } else { INNER });
        let sliced = pass.block(fuse(model.block(0).unwrap()), 0, &units).unwrap();
        let count = |index: usize| {
            let groups = sliced.prunable(index).into_iter();
            groups
                .map(|group| (group.axis, group.count(&sliced.sublayer(index))))
                .collect::<Vec<_>>()
        };
        let found: Vec<_> = (0..sliced.sublayers()).flat_map(count).collect();
        assert_eq!(found, [(Axis::Heads, 1), (Axis::Mlp, INNER)], "{family}");
    }
}
