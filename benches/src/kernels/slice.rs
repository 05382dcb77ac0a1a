//! The method of the paper on one block: edits, forward, covariance, eigenvectors. It refuses to
//! know how these are computed.

use std::cell::OnceCell;

use burn::tensor::Device;
use slicegpt_core::{Decoder, Fused, TokenBatch};
use slicegpt_invariance::fuse;
use slicegpt_models::DecoderBlock;
use slicegpt_slice::{Batch, Orientation, Stream, slice_block};

use crate::kernel::wait;
use crate::subject::signal;
use crate::work::product;
use crate::{Grade, Kernel, Outcome, Subject, Work, work};

/// A quarter of the width is cut, before and after each sublayer.
pub fn kernel(device: &Device, [batch, tokens]: [usize; 2], width: usize) -> Kernel {
    let rank = width * 3 / 4;
    let work = cost(&Subject::new(width, 1, tokens, device), [batch, tokens], rank);
    let device = device.clone();
    let input = OnceCell::new();
    Kernel {
        group: "slice-block",
        name: "",
        shape: format!("{batch} x {tokens} x {width}"),
        work,
        // The forward between the covariances runs in float32.
        tolerance: 1e-3,
        unavailable: None,
        prepare: Box::new(move || {
            let subject = Subject::new(width, 1, tokens, &device);
            let load = || fuse(subject.blocks().remove(0));
            let block: Fused<DecoderBlock> = input.get_or_init(load).clone();
            let ids = TokenBatch::new(vec![3; batch * tokens], None, tokens);
            let signal = signal(batch, tokens, width, &device);
            let batch = Batch { signal, context: subject.model.context(&ids), keep: None };
            let projected = Stream::project(vec![batch], rank, &mut Orientation::Pca);
            let (stream, _) = projected.expect("a finite signal");
            let device = device.clone();
            wait(&device);
            Box::new(move || {
                let widths = [rank, rank, rank];
                let sliced = slice_block(block, 0, stream, &widths, &mut Orientation::Pca);
                let sliced = sliced.expect("a finite signal");
                wait(&device);
                // The signs of eigenvectors are arbitrary, so eigenvalues are compared.
                Box::new(move || {
                    Outcome::of(sliced.spectra.into_iter().flat_map(|it| it.eigenvalues))
                })
            })
        }),
    }
}

/// The work of [`slice_block`], sublayer by sublayer.
fn cost(subject: &Subject, [batch, length]: [usize; 2], rank: usize) -> Work {
    let width = subject.spec().hidden_size;
    let grade = Grade::of(subject.model.device());
    let tokens = batch * length;
    let mut work = subject.attention(batch, 0, length);
    for [read, write] in subject.ports() {
        // The signal is projected, goes through readers and writers, and along the shortcut.
        let forward = product(tokens, width, rank)
            + product(tokens, rank, read)
            + product(tokens, write, width)
            + product(tokens, rank, width);
        let edits = grade.product(rank, width, read)
            + grade.product(write, width, rank)
            + grade.product(rank, width, rank);
        let analysis = grade.gram(tokens, width) + Work::host(work::eigen(width, width));
        work = work + Work::float32(forward) + edits + analysis;
    }
    work
}
