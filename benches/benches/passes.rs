//! What one block costs, pass by pass, at the width of a 110 M model: covariance, directions,
//! fusing, and the whole recipe. Throughput is in floating-point operations where the work is a
//! product, so that it can be held against the peak of the machine.

use std::hint::black_box;
use std::ops::ControlFlow;

use burn::tensor::{Device, Distribution, Tensor};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use slicegpt_calibrate::{Covariance, Orientation, principal};
use slicegpt_core::{Decoder, TokenBatch};
use slicegpt_invariance::fuse;
use slicegpt_models::{DecoderSpec, Model};
use slicegpt_slice::{Batch, Stream, slice_block};
use slicegpt_testkit::ToySource;

const HIDDEN: usize = 768;
const TOKENS: usize = 2048;

fn spec() -> DecoderSpec {
    let mut spec = slicegpt_testkit::spec("llama");
    spec.hidden_size = HIDDEN;
    spec.mlp.intermediate_size = 2048;
    spec.attention.heads = 12;
    spec.attention.kv_heads = 12;
    spec.attention.head_dim = 64;
    spec.layers = 1;
    spec.attention.windows.truncate(1);
    spec.context_length = TOKENS;
    if let slicegpt_models::Positions::Rotary(rope) = &mut spec.positions {
        rope.dim = 64;
    }
    spec
}

fn signal() -> Tensor<3> {
    Tensor::random([4, TOKENS / 4, HIDDEN], Distribution::Normal(0.0, 1.0), &Device::flex())
}

fn gram(c: &mut Criterion) {
    let signal = signal();
    let mut group = c.benchmark_group("gram");
    group.throughput(Throughput::Elements((TOKENS * HIDDEN * HIDDEN) as u64));
    group.bench_function("float64, lower half", |b| {
        b.iter(|| {
            let mut covariance = Covariance::new(HIDDEN);
            covariance.add(signal.clone(), None);
            black_box(covariance.tokens())
        });
    });
}

fn eigen(c: &mut Criterion) {
    let mut covariance = Covariance::new(HIDDEN);
    covariance.add(signal(), None);
    c.bench_function("eigen/768", |b| {
        b.iter(|| {
            principal(&covariance, 576, &mut Orientation::Pca).map(|(basis, _)| basis.rank())
        });
    });
}

fn block(c: &mut Criterion) {
    let model = Model::new(spec(), ToySource { seed: 1 }, Device::flex());
    let block = model.block(0).unwrap_or_else(|never| match never {});
    c.bench_function("fuse/block", |b| {
        b.iter_batched(|| block.clone(), |block| black_box(fuse(block)), BatchSize::LargeInput);
    });
    let tokens = TokenBatch::new(vec![3; TOKENS], None, TOKENS / 4);
    let start = || {
        let signal = signal();
        let batch = Batch { signal, context: model.context(&tokens), keep: None };
        let (stream, _) =
            Stream::project(vec![batch], 576, &mut Orientation::Pca).expect("a finite signal");
        (fuse(block.clone()), stream)
    };
    c.bench_function("slice_block/2048 tokens", |b| {
        b.iter_batched(
            start,
            |(block, stream)| {
                let tick = &mut || ControlFlow::Continue(());
                let widths = [576, 576, 576];
                slice_block(block, 0, stream, &widths, &mut Orientation::Pca, tick).is_ok()
            },
            BatchSize::LargeInput,
        );
    });
}

criterion_group! {
    name = passes;
    config = Criterion::default().sample_size(10);
    targets = gram, eigen, block
}
criterion_main!(passes);
