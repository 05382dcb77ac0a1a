//! Prefill and decode of blocks. It knows nothing about embeddings or heads.

use std::cell::OnceCell;

use burn::tensor::{Device, Tensor};
use slicegpt_core::{Block, Decoder, TokenBatch};
use slicegpt_models::{Cache, Context, DecoderBlock};

use crate::kernel::{settle, values};
use crate::subject::signal;
use crate::{Kernel, Outcome, Run, Subject};

/// The tolerance of float32 products in sequence, whose operands a device may round.
const TOLERANCE: f64 = 1e-2;

/// Prefill: one block on `batch` sequences.
pub fn prefill(device: &Device, width: usize, batch: usize, tokens: usize) -> Kernel {
    let work = Subject::new(width, 1, tokens, device).forward(batch, 0, tokens);
    let device = device.clone();
    let input = OnceCell::new();
    Kernel {
        group: "prefill",
        name: "",
        shape: format!("{batch} x {tokens} x {width}"),
        work,
        tolerance: TOLERANCE,
        unavailable: None,
        prepare: Box::new(move || {
            let (blocks, context, signal) = input.get_or_init(|| {
                let subject = Subject::new(width, 1, tokens, &device);
                let ids = TokenBatch::new(vec![3; batch * tokens], None, tokens);
                let context = subject.model.context(&ids);
                (subject.blocks(), context, signal(batch, tokens, width, &device))
            });
            settle(signal);
            run(blocks.clone(), context.clone(), signal.clone())
        }),
    }
}

/// Decode: one token of each of `batch` sequences, through several blocks.
pub fn decode(device: &Device, width: usize, batch: usize, past: usize, blocks: usize) -> Kernel {
    let work = Subject::new(width, blocks, past + 1, device).forward(batch, past, 1);
    let device = device.clone();
    let input = OnceCell::new();
    Kernel {
        group: "decode",
        name: "",
        shape: format!("{batch} x 1 x {width}, {blocks} blocks"),
        work: work * blocks as f64,
        tolerance: TOLERANCE,
        unavailable: None,
        prepare: Box::new(move || {
            let (subject, loaded, signal) = input.get_or_init(|| {
                let subject = Subject::new(width, blocks, past + 1, &device);
                let loaded = subject.blocks();
                (subject, loaded, signal(batch, past + 1, width, &device))
            });
            // Running grows the KV cache, so each run has its own copy.
            let cache = Cache::default();
            let spec = subject.spec();
            let before = Context::cached(spec, batch, 0, past, &cache, &device);
            settle(&forward(loaded, signal.clone().narrow(1, 0, past), &before));
            let context = Context::cached(spec, batch, past, 1, &cache, &device);
            run(loaded.clone(), context, signal.clone().narrow(1, past, 1))
        }),
    }
}

fn run(blocks: Vec<DecoderBlock>, context: Context, signal: Tensor<3>) -> Run {
    Box::new(move || {
        let signal = forward(&blocks, signal, &context);
        settle(&signal);
        Box::new(move || Outcome::of(values(signal)))
    })
}

fn forward(blocks: &[DecoderBlock], signal: Tensor<3>, context: &Context) -> Tensor<3> {
    blocks.iter().fold(signal, |signal, block| block.forward(signal, context))
}
