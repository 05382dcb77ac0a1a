//! Whole decoders of every family, compressed in memory.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use slicegpt_compress::{
    Compression, Counted, Cut, Dimensions, FixedSizes, FreeAxes, HeadTying, InMemory, Method,
    Origin, Plan, PlanError, Refit, Shape, Size, Split, compress, cut_spec, read_statistics,
    write_statistics,
};
use slicegpt_core::{Block, Decoder, TokenBatch, Unobserved, host_vec};
use slicegpt_models::{DecoderBlock, DecoderSpec, Model, Positions, SUPPORTED};
use slicegpt_provenance::{CalibrationRecord, Summation};
use slicegpt_testkit::{ToySource, largest_difference, spec};

const SEQLEN: usize = 8;

fn model(model_type: &str) -> Model<ToySource> {
    Model::new(spec(model_type), ToySource { seed: 3 }, Device::flex())
}

fn tokens(count: u32) -> TokenBatch {
    TokenBatch::new(
        (0..count * SEQLEN as u32).map(|i| (i * 7 + i / 5) % 40).collect(),
        None,
        SEQLEN,
    )
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    host_vec(tensor)
}

/// The logits of a dense model.
fn dense_logits(model: &Model<ToySource>, batch: &TokenBatch) -> Vec<f64> {
    let context = model.context(batch);
    let stream = (0..model.blocks()).fold(model.embed(batch).unwrap(), |stream, index| {
        model.block(index).unwrap().forward(stream, &context)
    });
    values(model.head().unwrap().forward(stream))
}

/// The logits of a compressed model, from its parts.
fn logits(
    model: &Model<ToySource>,
    parts: &InMemory<DecoderBlock>,
    batch: &TokenBatch,
) -> Vec<f64> {
    let device = Device::flex();
    let width = parts.shape.as_ref().unwrap().widths.embedding();
    let mut stream: Vec<f32> = Vec::new();
    for (number, id) in batch.ids().iter().enumerate() {
        let row = |table: &[f32], row: usize| table[row * width..][..width].to_vec();
        let mut token = row(&parts.embedding, *id as usize);
        if let Positions::Learned { offset } = model.spec().positions {
            let position = row(&parts.positions, number % SEQLEN + offset);
            token.iter_mut().zip(position).for_each(|(x, position)| *x += position);
        }
        stream.extend(token);
    }
    let [rows, tokens] = batch.shape();
    let data = TensorData::new(stream, [rows, tokens, width]);
    let context = model.context(batch);
    let stream = parts
        .blocks
        .iter()
        .fold(Tensor::from_data(data, &device), |stream, block| block.forward(stream, &context));
    values(parts.to_head(&device).unwrap().forward(stream))
}

#[test]
fn a_cut_of_nothing_changes_no_logit() {
    let nothing = Some(Size::Sparsity { start: 0.0, end: None });
    let untied = Plan { head: HeadTying::Untied, ..Plan::default() };
    let per_layer = Plan { method: Method::PerLayer, ..Plan::default() };
    for model_type in SUPPORTED {
        let model = model(model_type);
        let expected = dense_logits(&model, &tokens(2));
        for plan in [Plan::default(), untied.clone(), per_layer.clone()] {
            let plan = Plan { size: nothing.clone(), refit: Some(Refit::None), ..plan };
            let mut parts = InMemory::default();
            compress(&model, &tokens(4), &plan, &mut parts, Arc::new(Unobserved)).unwrap();
            let found = logits(&model, &parts, &tokens(2));
            let difference = largest_difference(&found, &expected);
            assert!(difference < 1e-3, "{model_type} {plan:?}: {difference}");
        }
    }
}

#[test]
fn blocks_declare_all_that_a_cut_changes() {
    let narrow = FixedSizes {
        layers: Some(3),
        hidden_size: Some(8),
        kv_heads: Some(2),
        intermediate_size: Some(12),
    };
    for model_type in SUPPORTED {
        let model = model(model_type);
        let spec: &DecoderSpec = model.spec();
        let counted = Counted::of(&model).unwrap();
        // Norms of heads are not declared, and are not cut.
        let hidden = spec.dense_parameters() - counted.dense_parameters();
        assert_eq!(hidden > 0, spec.attention.head_norm.is_some(), "{model_type}");
        let sizes = [
            Plan { size: Some(Size::Sparsity { start: 0.3, end: None }), ..Plan::default() },
            Plan { fixed: narrow, head: HeadTying::Untied, ..Plan::default() },
            Plan { method: Method::PerLayer, slice_head: true, ..Plan::default() },
        ];
        for plan in sizes {
            for shape in plan.resolve(spec).unwrap().shapes(spec) {
                let found = counted.parameters_of(&shape) + hidden;
                assert_eq!(found, spec.parameters_of(&shape), "{model_type} {shape:?}");
            }
        }
        for (layers, free) in [(spec.layers, false), (spec.layers, true), (1, false), (2, true)] {
            let split = Split { layers, width: 8, heads: 1, intermediate: 17 };
            let shape = Shape::of_split(spec, split, false, free);
            let found = spec.parameters_of_split(split, false, free);
            assert_eq!(found, spec.parameters_of(&shape), "{model_type} {split:?}");
        }
    }
}

#[test]
fn statistics_may_be_computed_before() {
    let model = model("llama");
    let size = Some(Size::KeepParams(0.8));
    let plan = Plan { size, round_to: Some(2), ..Plan::default() };
    let compression = Compression { plan, ..Compression::new(&model) };
    let mut at_once = InMemory::default();
    compression.run(&tokens(8), &mut at_once).unwrap();
    let known = compression.statistics(&tokens(8)).unwrap();
    // The same statistics are the same bytes, in whatever order maps are walked.
    let origin = origin();
    let files: Vec<Vec<u8>> = (0..8)
        .map(|_| {
            let mut file = Vec::new();
            write_statistics(&known, &origin, &mut file).unwrap();
            file
        })
        .collect();
    assert!(files.windows(2).all(|pair| pair[0] == pair[1]));
    let read = read_statistics(&files[0], &origin, model.spec()).unwrap();
    assert_eq!(read.importance, known.importance);
    let cut: Cut = compression.plan.resolve(model.spec()).unwrap();
    let mut later = InMemory::default();
    compression.cut(&cut, Some(known), &tokens(8), &mut later).unwrap();
    assert_eq!(at_once.shape, later.shape);
    assert_eq!(at_once.embedding, later.embedding);
}

/// The inputs of some statistics.
fn origin() -> Origin {
    let (source, digest) = ("text".into(), "digest".into());
    let (samples, seqlen, tokens, texts) = (8, 4, 32, Vec::new());
    Origin {
        format: Origin::FORMAT,
        model: "model".into(),
        calibration: CalibrationRecord { source, digest, samples, seqlen, tokens, texts },
        compute_dtype: "f32".into(),
        covariance: Summation::from("f64"),
    }
}

/// A plan that fixes every axis.
fn smaller(layers: usize, kv_heads: usize, refit: Refit) -> Plan {
    let fixed = FixedSizes { layers: Some(layers), kv_heads: Some(kv_heads), ..Default::default() };
    Plan { fixed, refit: Some(refit), ..Plan::default() }
}

/// Without layers and heads, the parts are those of a smaller decoder, and the refit makes it
/// nearer to the dense one.
#[test]
fn layers_and_heads_are_removed_from_every_family() {
    for model_type in SUPPORTED {
        let model = model(model_type);
        let batch = tokens(2);
        let expected = dense_logits(&model, &batch);
        let mut distances = Vec::new();
        for refit in [Refit::None, Refit::HeldOut] {
            let plan = smaller(2, 1, refit);
            let mut parts = InMemory::default();
            let done =
                compress(&model, &tokens(40), &plan, &mut parts, Arc::new(Unobserved)).unwrap();
            assert_eq!(parts.blocks.len(), 2, "{model_type}");
            assert_eq!(done.shape.removed.len(), 1, "{model_type}");
            assert!(!done.shape.removed.contains(&0), "{model_type}: the first block stays");
            assert_eq!(done.shape.heads, Some(1), "{model_type}");
            let spec = cut_spec(model.spec(), &done.shape);
            assert_eq!([spec.layers, spec.attention.kv_heads], [2, 1], "{model_type}");
            let found = logits(&model, &parts, &batch);
            let lost = expected.iter().zip(found).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            distances.push(lost);
        }
        assert!(distances[1] < distances[0], "{model_type}: {distances:?}");
    }
}

/// Every axis alone reaches a size, and no other axis is touched.
#[test]
fn an_axis_that_is_not_free_stays() {
    let model = model("llama");
    let spec = model.spec();
    for number in 0..4 {
        let mut flags = [false; 4];
        flags[number] = true;
        let axes = Some(FreeAxes::of(flags));
        let keep = [0.8, 0.75, 0.8, 0.9][number];
        let size = Some(Size::KeepParams(keep));
        let plan = Plan { size, axes, round_to: Some(1), ..Plan::default() };
        let cut = match plan.resolve(spec) {
            Ok(Cut::Shared(cut)) => cut,
            Ok(other) => panic!("{other:?}"),
            // Whole layers and heads make large steps.
            Err(PlanError::Unreachable { constrained: true, .. }) if number % 3 == 0 => continue,
            Err(error) => panic!("{error}"),
        };
        for split in cut.splits {
            let sizes = [split.layers, split.width, split.intermediate, split.heads];
            let full = [3, 16, 24, 2];
            for (axis, (size, full)) in sizes.into_iter().zip(full).enumerate() {
                assert_eq!(size < full, axis == number, "{split:?}");
            }
        }
    }
}

/// A search over all axes measures candidates of every kind, and the size is met.
#[test]
fn a_search_compares_all_axes() {
    let model = model("llama");
    let spec = model.spec();
    let plan = |keep: f64| {
        let size = Some(Size::KeepParams(keep));
        Plan { size, round_to: Some(1), refit: Some(Refit::HeldOut), ..Plan::default() }
    };
    // Channels of so small a model are large steps: not every size is reached along every axis.
    let along_all = |keep: &f64| match plan(*keep).resolve(spec) {
        Ok(Cut::Shared(cut)) => [3, 2].into_iter().all(|layers| {
            let heads = if layers == 3 { vec![2, 1] } else { vec![2] };
            heads.into_iter().all(|heads| {
                cut.splits.iter().any(|split| (split.layers, split.heads) == (layers, heads))
            })
        }),
        _ => false,
    };
    let keep = (40..90).map(|keep| f64::from(keep) / 100.0).find(along_all).expect("some size");
    let plan = plan(keep);
    let mut parts = InMemory::default();
    let done = compress(&model, &tokens(40), &plan, &mut parts, Arc::new(Unobserved)).unwrap();
    let splits: Vec<_> = done.tried.iter().map(|trial| trial.split).collect();
    assert!(splits.iter().any(|split| split.layers < 3), "{splits:?}");
    assert!(splits.iter().any(|split| split.heads < 2), "{splits:?}");
    assert!(splits.iter().any(|split| split.width < 16), "{splits:?}");
    let kept = spec.parameters_of(&done.shape) as f64 / spec.dense_parameters() as f64;
    assert!((kept - keep).abs() <= 0.0051, "{kept} of {keep}");
    assert!(done.tried.iter().all(|trial| trial.kl.is_finite()));
}
