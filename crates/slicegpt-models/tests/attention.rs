//! One attention, computed in three ways: causal by blocks of queries, with an explicit mask, and
//! token by token with a cache.

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
        // No earlier token sees padding at the end, but it makes the mask explicit.
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
        // Long pieces at once and single tokens in turn.
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

/// The next `ids` of sequences run as one, `[tokens, width]`.
fn run_packed(model: &Model<ToySource>, sequences: &[(&[u32], &Cache)]) -> Vec<f64> {
    let (stream, context) = model.embed_packed(sequences).unwrap();
    let blocks = (0..model.blocks()).map(|index| model.block(index).unwrap());
    values(blocks.fold(stream, |x, block| block.forward(x, &context)))
}

#[test]
fn sequences_run_as_one_do_not_see_each_other() {
    for family in ["llama", "opt", "phi", "qwen3"] {
        let mut model = model(family);
        for window in [None, Some(9)] {
            let mut spec = model.spec().clone();
            spec.attention.windows.fill(window);
            model = Model::new(spec, ToySource { seed: 3 }, Device::flex());
            let ids = [&ids()[..], &ids()[17..90], &ids()[200..]].map(<[u32]>::to_vec);
            let whole = ids.clone().map(|ids| {
                let tokens = ids.len();
                run(&model, &TokenBatch::new(ids, None, tokens))
            });
            let caches = [Cache::default(), Cache::with_capacity(80), Cache::default()];
            let mut steps: [Vec<f64>; 3] = Default::default();
            // Prompts of several lengths, then one token of each, then the rest of some.
            for ends in [[30, 1, 90], [31, 2, 91], [31, 30, 91], [300, 31, 91], [300, 73, 100]] {
                let next: Vec<(&[u32], &Cache)> = ids
                    .iter()
                    .zip(&caches)
                    .zip(ends)
                    .map(|((ids, cache), end)| (&ids[cache.seen()..end], cache))
                    .collect();
                let lengths = [0, 1, 2].map(|i| next[i].0.len());
                let next: Vec<_> = next.into_iter().filter(|(ids, _)| !ids.is_empty()).collect();
                let mut found = run_packed(&model, &next).into_iter();
                for (steps, tokens) in steps.iter_mut().zip(lengths) {
                    steps.extend(found.by_ref().take(tokens * 16));
                }
            }
            for (whole, steps) in whole.iter().zip(&steps) {
                let difference = largest_difference(whole, steps);
                assert!(difference < 1e-4, "{family}, window {window:?}: {difference}");
            }
        }
    }
}

#[test]
fn few_rows_read_weights_in_the_type_they_have() {
    let model = model("llama");
    let narrow = |dtype| {
        let block = model.block(0).unwrap();
        slicegpt_models::cast_and_pack(block, dtype)
    };
    let stream = model.embed(&TokenBatch::new(ids(), None, TOKENS)).unwrap();
    for tokens in [1, 3, TOKENS] {
        let stream = stream.clone().narrow(1, 0, tokens);
        let context = model.context(&TokenBatch::new(ids()[..tokens].to_vec(), None, tokens));
        for dtype in [DType::F16, DType::BF16] {
            let block = narrow(dtype);
            let found = values(block.forward(stream.clone(), &context));
            // The same weights, widened.
            let widened = slicegpt_models::cast_and_pack(block, DType::F32);
            let exact = values(widened.forward(stream.clone(), &context));
            let difference = largest_difference(&exact, &found);
            assert!(difference < 1e-5, "{dtype:?}, {tokens} tokens: {difference}");
        }
    }
}
