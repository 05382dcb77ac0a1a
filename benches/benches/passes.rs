//! Criterion benchmarks of every kernel at several widths and batch sizes, on the device that the
//! environment variable `SLICEGPT_DEVICE` names (the CPU if it is not set). It knows
//! nothing about limits or other devices: `cargo xtask bench backends` compares them.

use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use slicegpt_benches::{Kernel, Sizes, kernels};
use slicegpt_device::DeviceName;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn passes(criterion: &mut Criterion) {
    let name = std::env::var("SLICEGPT_DEVICE").unwrap_or_else(|_| "cpu".into());
    let opened = name.parse::<DeviceName>().and_then(slicegpt_device::open);
    let opened = opened.unwrap_or_else(|error| panic!("SLICEGPT_DEVICE: {error}"));
    for kernel in kernels(&opened, &Sizes::QUICK) {
        if kernel.unavailable.is_none() {
            bench(criterion, &kernel);
        }
    }
}

fn bench(criterion: &mut Criterion, kernel: &Kernel) {
    let mut group = criterion.benchmark_group(kernel.group);
    // Operations, or bytes if there are none, for the comparison with the peak of the machine.
    group.throughput(match kernel.work.operations() {
        0.0 => Throughput::Bytes(kernel.work.bytes as u64),
        operations => Throughput::Elements(operations as u64),
    });
    let id = match kernel.name {
        "" => BenchmarkId::from_parameter(&kernel.shape),
        name => BenchmarkId::new(name, &kernel.shape),
    };
    group.bench_function(id, |bencher| {
        bencher.iter_batched(|| kernel.prepare(), |run| run(), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group! {
    name = all;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = passes
}
criterion_main!(all);
