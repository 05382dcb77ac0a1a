//! The list of kernels, with a file for each group. It knows nothing about clocks or limits.

mod eigen;
mod forward;
mod fuse;
mod gram;
mod slice;

use slicegpt_device::OpenDevice;

use crate::{Kernel, Sizes};

/// All kernels at `sizes` on a device. Inputs are made when a kernel is first prepared.
pub fn kernels(opened: &OpenDevice, sizes: &Sizes) -> Vec<Kernel> {
    let device = &opened.device;
    let mut kernels = Vec::new();
    for &width in sizes.analysis {
        kernels.extend(gram::kernels(opened, sizes.tokens, width));
    }
    kernels.extend(sizes.analysis.iter().map(|width| eigen::kernel(device, sizes.tokens, *width)));
    kernels.extend(sizes.fuse.iter().map(|width| fuse::kernel(device, *width)));
    kernels
        .extend(sizes.slice.iter().map(|width| slice::kernel(device, sizes.calibration, *width)));
    let forwards = || {
        let batches = |width: &usize| {
            let width = *width;
            sizes.batches.iter().map(move |batch| (width, *batch))
        };
        sizes.forward.iter().flat_map(batches)
    };
    kernels.extend(
        forwards().map(|(width, batch)| forward::prefill(device, width, batch, sizes.prompt)),
    );
    kernels.extend(
        forwards()
            .map(|(width, batch)| forward::decode(device, width, batch, sizes.past, sizes.blocks)),
    );
    kernels
}
