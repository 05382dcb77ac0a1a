//! A CPU backend other than Flex: the kernels leave it to Burn, and results agree. A test of the
//! project that `main.rs` makes.

// `Device::ndarray`: a user may still choose the old CPU backend of Burn.
#![allow(deprecated)]

use burn::tensor::{DType, Device, Tensor};
use slicegpt_core::precise::has_own_memory;
use slicegpt_core::{Block, Decoder, TokenBatch};
use slicegpt_kernels::{is_host_f32, logits};
use slicegpt_models::{Cache, Model, SUPPORTED};

mod toy;

use toy::{ToySource, spec};

const TOKENS: usize = 20;

fn ids() -> Vec<u32> {
    (0..TOKENS as u32).map(|i| (i * 13 + i / 7) % 40).collect()
}

fn values(tensor: Tensor<3>) -> Vec<f64> {
    tensor.into_data_dtype(DType::F64).try_into_vec().unwrap()
}

/// The logits of a whole forward, and of the last token with the others in a cache.
fn run(family: &str, device: &Device) -> [Vec<f64>; 2] {
    let model = Model::new(spec(family), ToySource { seed: 3 }, device.clone());
    let through = |stream: Tensor<3>, context: &_| {
        let blocks = (0..model.blocks()).map(|index| model.block(index).unwrap());
        blocks.fold(stream, |stream, block| block.forward(stream, context))
    };
    let head = model.head().unwrap();
    let batch = TokenBatch::new(ids(), None, TOKENS);
    let whole = through(model.embed(&batch).unwrap(), &model.context(&batch));
    let cache = Cache::default();
    let mut last = None;
    for (start, end) in [(0, TOKENS - 1), (TOKENS - 1, TOKENS)] {
        let batch = TokenBatch::new(ids()[start..end].to_vec(), None, end - start);
        let (stream, context) = model.embed_next(&batch, start, &cache).unwrap();
        last = Some(through(stream, &context));
    }
    [whole, last.unwrap()].map(|stream| values(logits(&head, stream)))
}

#[test]
fn ndarray_is_not_taken_for_flex_and_gives_the_same_logits() {
    let ndarray = Device::ndarray();
    assert!(!is_host_f32(&Tensor::<1>::zeros([3], &ndarray)));
    // It shares the memory of the host, and has float64.
    assert!(!has_own_memory(&ndarray));
    for family in SUPPORTED {
        let found = run(family, &ndarray);
        let exact = run(family, &Device::flex());
        for (found, exact) in found.iter().zip(&exact) {
            assert_eq!(found.len(), exact.len());
            let differences = found.iter().zip(exact).map(|(a, b)| (a - b).abs());
            // A NaN is no difference below the limit.
            assert!(
                differences.clone().all(|x| x < 1e-4),
                "{family}: {:?}",
                differences.max_by(f64::total_cmp)
            );
        }
    }
}
