//! One attention, three ways to compute it: causal by blocks of queries, with a mask written out,
//! and token by token with a cache.

use burn::tensor::{DType, Device, Tensor};
use slicegpt_core::{Block, Decoder, TokenBatch};
use slicegpt_models::{Cache, Model};
use slicegpt_testkit::{ToySource, largest_difference, spec};

/// More than two blocks of queries, and not a whole number of them.
const TOKENS: usize = 300;

fn model(family: &str) -> Model<ToySource> {
    let mut spec = spec(family);
    spec.context_length = 512;
    Model::new(spec, ToySource { seed: 3 }, Device::flex())
}

fn ids() -> Vec<u32> {
    (0..TOKENS as u32).map(|i| (i * 13 + i / 7) % 40).collect()
}

fn values(tensor: Tensor<3>) -> Vec<f64> {
    tensor.into_data_dtype(DType::F64).try_into_vec().unwrap()
}

/// The stream after all blocks, `[tokens, width]`.
fn run(model: &Model<ToySource>, batch: &TokenBatch) -> Vec<f64> {
    let context = model.context(batch);
    let start = model.embed(batch).unwrap();
    let blocks = (0..model.blocks()).map(|index| model.block(index).unwrap());
    values(blocks.fold(start, |stream, block| block.forward(stream, &context)))
}

#[test]
fn blocks_of_queries_see_what_a_mask_lets_through() {
    for family in ["llama", "opt", "phi"] {
        let model = model(family);
        let causal = run(&model, &TokenBatch::new(ids(), None, TOKENS));
        // Padding at the end is seen by nothing before it, but has the mask written out.
        let keep = (0..TOKENS).map(|i| i + 1 < TOKENS).collect();
        let masked = run(&model, &TokenBatch::new(ids(), Some(keep), TOKENS));
        let kept = (TOKENS - 1) * 16;
        let difference = largest_difference(&causal[..kept], &masked[..kept]);
        assert!(difference < 1e-4, "{family}: {difference}");
    }
}

#[test]
fn a_cache_changes_nothing() {
    for family in ["llama", "opt", "phi", "qwen3"] {
        let model = model(family);
        let whole = run(&model, &TokenBatch::new(ids(), None, TOKENS));
        let cache = Cache::default();
        let mut steps = Vec::new();
        // A long beginning at once, then token by token.
        let pieces = [(0, 150), (150, 151), (151, 290), (290, 291), (291, TOKENS)];
        for (start, end) in pieces {
            let batch = TokenBatch::new(ids()[start..end].to_vec(), None, end - start);
            let (stream, context) = model.embed_next(&batch, start, &cache).unwrap();
            let blocks = (0..model.blocks()).map(|index| model.block(index).unwrap());
            steps.extend(values(blocks.fold(stream, |x, block| block.forward(x, &context))));
        }
        let difference = largest_difference(&whole, &steps);
        assert!(difference < 1e-4, "{family}: {difference}");
    }
}
