//! Measures the kernels of `backend-bench` at the width of a 7 B model, as fractions of the limits
//! of the device.

use std::time::Duration;

use anyhow::Result;
use slicegpt_benches::{Limits, Measured, Sizes, kernels, measure};

use super::context::{A_SECOND, Context, attempt};
use crate::{Line, Log, Rate};

/// The most important sizes, which are measured first: a covariance and a forward, at the width of
/// a 7 B model.
const FIRST: Sizes = Sizes {
    analysis: &[4096],
    tokens: 16_384,
    fuse: &[],
    slice: &[],
    calibration: [1, 1],
    forward: &[4096],
    batches: &[8],
    prompt: 2048,
    past: 128,
    blocks: 1,
};

/// All kernels, and smaller widths.
const SECOND: Sizes = Sizes {
    analysis: &[2048],
    fuse: &[4096],
    slice: &[2048],
    calibration: [8, 2048],
    forward: &[2048],
    batches: &[1, 32],
    prompt: 512,
    ..FIRST
};

/// Sizes that a software rasteriser runs in seconds.
const SOFTWARE: Sizes = Sizes {
    analysis: &[256],
    tokens: 512,
    fuse: &[256],
    slice: &[128],
    calibration: [2, 64],
    forward: &[256],
    batches: &[2],
    prompt: 64,
    past: 16,
    blocks: 1,
};

pub fn run(context: &Context, log: &mut Log<'_>) -> Result<()> {
    let software = context.tested()?.software;
    let opened = context.open()?;
    let lists = if software { vec![SOFTWARE] } else { vec![FIRST, SECOND] };
    let limits = match attempt(|| Ok(slicegpt_device::guard(|| Limits::of(&opened))?)) {
        Ok(limits) => limits,
        Err(reason) => return log.failed("limits", reason),
    };
    for sizes in lists {
        let mut all = kernels(&opened, &sizes);
        // Eigenvectors come last: they are computed on the host and take longest.
        all.sort_by_key(|kernel| kernel.group == "eigen");
        for kernel in all {
            let title = kernel.title();
            let name = format!("{title} {}", kernel.shape);
            if let Some(reason) = &kernel.unavailable {
                log.skipped(&name, reason.clone())?;
                continue;
            }
            if context.deadline.is_short_of(3 * A_SECOND) {
                log.skipped(&name, "no time was left in the stage")?;
                continue;
            }
            let patience = Duration::from_millis(if software { 100 } else { 500 });
            match attempt(|| Ok(measure(&kernel, patience)?)) {
                Err(reason) => log.failed(&name, reason)?,
                Ok(measured) => {
                    let seconds = Measured::least(&measured);
                    let work = &kernel.work;
                    let (least, bound) = limits.least_seconds(work);
                    let products = bound.name() == "products";
                    let amount = if products { work.operations() } else { work.bytes };
                    log.put(&Line::Rate(Rate {
                        group: "kernel".into(),
                        name: title,
                        shape: kernel.shape.clone(),
                        achieved: amount / seconds,
                        unit: if products { "FLOP/s" } else { "B/s" }.into(),
                        limit: Some(amount / least),
                        limit_is: "measured".into(),
                        seconds,
                    }))?;
                }
            }
        }
    }
    Ok(())
}
