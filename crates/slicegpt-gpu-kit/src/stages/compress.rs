//! Compresses a model with random weights that is made on the machine: seconds by stage, memory,
//! and the bottlenecks of the process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::context::{A_SECOND, Context, Tested, free_disk};
use crate::program::words;
use crate::shape::Shape;
use crate::usage::Counters;
use crate::{Compress, Line, Log};

/// How much of a shape is compressed, and on how many tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Amount {
    shape: Shape,
    layers: usize,
    tokens: [usize; 2],
}

/// With this much time for the stage, all blocks of the largest shape are compressed.
const ENOUGH: Duration = Duration::from_secs(600);

/// The folder of the model that `method` cut, for the stage that measures its speed.
pub fn cut_folder(context: &Context, method: &str) -> PathBuf {
    context.scratch.join(format!("cut-{method}"))
}

/// The file that holds the path of the first dense model, for later stages.
pub fn dense_note(context: &Context) -> PathBuf {
    context.scratch.join("dense-1b")
}

pub fn run(context: &Context, shape: Shape, log: &mut Log<'_>) -> Result<()> {
    let tested = context.tested()?;
    if tested.software && shape == Shape::LARGEST {
        return log.skipped(shape.name, "a software rasteriser would take hours");
    }
    let amount = amount(shape, &tested, context.deadline.left());
    let Amount { shape, layers, tokens } = amount;
    let needs = shape.needs(layers, tokens);
    let host = slicegpt_device::host_memory_bytes();
    let disk = free_disk(&context.scratch);
    if let Some(missing) = needs.missing(disk, host, tested.memory_bytes) {
        return log.skipped(shape.name, missing);
    }
    let began = Instant::now();
    let model = shape.write(&context.scratch, layers, tokens)?;
    let seconds = began.elapsed().as_secs_f64();
    let value = serde_json::json!({
        "shape": shape.name, "layers": layers, "tokens": tokens, "seconds": seconds,
    });
    log.put(&Line::Fact { name: format!("model of random weights, {}", shape.name), value })?;
    let is_first = shape != Shape::LARGEST;
    if is_first {
        std::fs::write(dense_note(context), model.as_os_str().as_encoded_bytes())?;
    }
    let counters = Counters::of(&tested.model);
    if counters.is_none() {
        log.skipped("utilisation of the device", "its driver does not report it here")?;
    }
    for method in ["per-layer", "shared"] {
        let name = format!("{}, {method}", shape.name);
        if context.deadline.is_short_of(5 * A_SECOND) {
            log.skipped(&name, "no time was left in the stage")?;
            continue;
        }
        let out = cut_folder(context, method);
        let dtype = if tested.computes_in("bfloat16") { "bf16" } else { "f32" };
        let mut args: Vec<OsString> = vec!["compress".into(), model.clone().into()];
        args.extend(["--out".into(), out.clone().into()]);
        args.extend(["--calibration".into(), model.join("tokens.safetensors").into()]);
        args.extend(words(&["--force", "--json", "--method", method, "--sparsity", "0.25"]));
        let [samples, seqlen] = tokens.map(|number| number.to_string());
        args.extend(words(&["--samples", &samples, "--seqlen", &seqlen]));
        args.extend(words(&["--compute-dtype", dtype, "--stream-dtype", "bf16"]));
        args.extend(words(&["--device", &context.device]));
        // A second is left to write the result.
        let limit = context.deadline.left().saturating_sub(A_SECOND);
        let finished = context.program.run_watched(&args, limit, counters.as_ref())?;
        match finished.json() {
            Ok(found) => log.put(&Line::Compress(Box::new(Compress {
                shape: shape.name.into(),
                layers: [layers, shape.layers],
                method: method.into(),
                tokens,
                compute_dtype: dtype.into(),
                usage: finished.usage,
                ..read(&found)
            })))?,
            Err(reason) => {
                let usage = serde_json::to_value(&finished.usage)?;
                context.unfinished(log, &name, reason)?;
                log.put(&Line::Fact { name: format!("used until then by {name}"), value: usage })?;
            }
        }
        if !is_first {
            // Nothing reads it, and the next one needs the space.
            let _ = std::fs::remove_dir_all(&out);
        }
    }
    if !is_first {
        let _ = std::fs::remove_dir_all(&model);
    }
    Ok(())
}

/// How much of `shape` this device can compress in the time that is left.
fn amount(shape: Shape, tested: &Tested, left: Duration) -> Amount {
    if tested.software {
        let shape = Shape::SMALL;
        return Amount { shape, layers: shape.layers, tokens: [2, 64] };
    }
    match (shape == Shape::LARGEST, left >= ENOUGH) {
        (false, _) => Amount { shape, layers: shape.layers, tokens: [32, 2048] },
        (true, true) => Amount { shape, layers: shape.layers, tokens: [128, 2048] },
        // All blocks have the same shape, so a few of them give the seconds of each.
        (true, false) => Amount { shape, layers: 4, tokens: [64, 2048] },
    }
}

/// The measurements in the JSON of `compress`.
fn read(found: &Value) -> Compress {
    let stages = found["stage_seconds"].as_object().into_iter().flatten();
    let stages: BTreeMap<String, f64> =
        stages.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect();
    Compress {
        batch_size: found["batch_size"].as_u64().unwrap_or_default(),
        seconds: found["seconds"].as_f64().unwrap_or_default(),
        stage_seconds: stages,
        device_memory_bytes: found["device_memory_bytes"].as_u64(),
        peak_rss_bytes: found["peak_rss_bytes"].as_u64(),
        ..Compress::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_shape_is_whole_where_there_is_time() {
        let tested = Tested::default();
        let layers = |seconds| amount(Shape::LARGEST, &tested, Duration::from_secs(seconds)).layers;
        assert_eq!([layers(100), layers(600)], [4, 32]);
        let software = Tested { software: true, ..Tested::default() };
        assert_eq!(amount(Shape::LARGE, &software, ENOUGH).shape, Shape::SMALL);
    }
}
