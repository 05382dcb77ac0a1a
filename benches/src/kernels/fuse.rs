//! Folding the norms of a block into its readers: one multiplication per weight, so it is
//! memory-bound. It does not know what is cut.

use std::cell::OnceCell;

use burn::tensor::Device;
use slicegpt_core::Block;
use slicegpt_invariance::fuse;
use slicegpt_models::DecoderBlock;

use crate::kernel::{values, wait};
use crate::{Kernel, Outcome, Subject, Work};

/// Fusing one block.
pub fn kernel(device: &Device, width: usize) -> Kernel {
    let read: usize = Subject::new(width, 1, 1, device).ports().iter().map(|[read, _]| read).sum();
    let device = device.clone();
    let input = OnceCell::new();
    Kernel {
        group: "fuse",
        name: "",
        shape: format!("block of {width}"),
        // Every weight is read once and written once.
        work: Work::bytes(2.0 * 4.0 * (read * width) as f64),
        tolerance: 1e-6,
        unavailable: None,
        prepare: Box::new(move || {
            let load = || Subject::new(width, 1, 1, &device).blocks().remove(0);
            let block: DecoderBlock = input.get_or_init(load).clone();
            let device = device.clone();
            wait(&device);
            Box::new(move || {
                let fused = fuse(block).into_inner();
                wait(&device);
                Box::new(move || {
                    let sublayers = (0..fused.sublayers()).map(|index| fused.sublayer(index));
                    let readers = sublayers.flat_map(|sublayer| sublayer.readers);
                    Outcome::of(readers.flat_map(|reader| values(reader.weight.val())))
                })
            })
        }),
    }
}
