//! Whole decoders of every family, compressed in memory.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use slicegpt_compress::{
    Compression, Counted, Cut, Dimensions, HeadTying, InMemory, Method, Plan, Refit, Size, compress,
};
use slicegpt_core::{Block, Decoder, TokenBatch, Unobserved, host_vec};
use slicegpt_models::{DecoderBlock, DecoderSpec, Model, Positions, SUPPORTED};
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
    let narrow = Size::Widths { hidden_size: Some(8), intermediate_size: Some(12) };
    for model_type in SUPPORTED {
        let model = model(model_type);
        let spec: &DecoderSpec = model.spec();
        let counted = Counted::of(&model).unwrap();
        // Norms of heads are not declared, and are not cut.
        let hidden = spec.dense_parameters() - counted.dense_parameters();
        assert_eq!(hidden > 0, spec.attention.head_norm.is_some(), "{model_type}");
        let sizes = [
            Plan { size: Some(Size::Sparsity { start: 0.3, end: None }), ..Plan::default() },
            Plan { size: Some(narrow.clone()), head: HeadTying::Untied, ..Plan::default() },
            Plan { method: Method::PerLayer, slice_head: true, ..Plan::default() },
        ];
        for plan in sizes {
            for shape in plan.resolve(spec).unwrap().shapes(spec) {
                let found = counted.parameters_of(&shape) + hidden;
                assert_eq!(found, spec.parameters_of(&shape), "{model_type} {shape:?}");
            }
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
    let cut: Cut = compression.plan.resolve(model.spec()).unwrap();
    let mut later = InMemory::default();
    compression.cut(&cut, Some(known), &tokens(8), &mut later).unwrap();
    assert_eq!(at_once.shape, later.shape);
    assert_eq!(at_once.embedding, later.embedding);
}
