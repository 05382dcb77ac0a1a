//! Requests that cannot be met: a device that does not exist, more memory than there is. The result
//! must be a clear error, never a panic.

use std::ffi::OsString;

use anyhow::{Context as _, Result};
use burn::tensor::{DType, Device, Tensor};
use slicegpt_device::{DeviceError, guard};

use super::compress::dense_note;
use super::context::{A_SECOND, Context, Tested, attempt};
use crate::program::words;
use crate::shape::Shape;
use crate::usage::Counters;
use crate::{Fault, Finished, Line, Log};

/// Bytes of one of the tensors that fill a device.
const PIECE: u64 = 1 << 30;

/// Bytes of device memory that are left free.
const LEFT: u64 = 3 << 29;

pub fn run(context: &Context, log: &mut Log<'_>) -> Result<()> {
    let tested = context.tested()?;
    let case = context.cases("families", "expected.safetensors")?;
    let case = case.first().context("no fixtures")?;
    let kind = context.device.split(':').next().unwrap_or_default();
    for device in ["cuda:7".to_owned(), format!("{kind}:97")] {
        let mut args: Vec<OsString> = vec!["verify".into(), case.into()];
        args.extend(words(&["--max-samples", "1", "--seqlen", "8", "--device", &device]));
        let finished = context.program.run(&args, 30 * A_SECOND)?;
        let name = format!("--device {device}");
        // A program without a backend names the kind of the device alone.
        let any = [device.as_str(), device.split(':').next().unwrap_or_default()];
        log.put(&refused(&name, "an error that names the device", &finished, &any))?;
    }
    log.skipped("device lost", "it cannot be provoked without resetting the device")?;
    if kind == "cpu" {
        return log.skipped("memory that is full", "the CPU's is that of everything else too");
    }
    // What shares the memory of the host must not be filled.
    let is_separate = tested.model.contains("NVIDIA") || Counters::of(&tested.model).is_some();
    if tested.software || !is_separate {
        return large_batch(context, log);
    }
    match attempt(|| Ok(fill(&context.open()?.device, &tested))) {
        Ok((pieces, line)) => {
            line.into_iter().try_for_each(|line| log.put(&line))?;
            // The tensors hold the memory while another process asks for it.
            let result = full_device(context, log);
            drop(pieces);
            result
        }
        Err(reason) => log.failed("filling the device", reason),
    }
}

/// The result of a command that must be refused: exit code 2, a message with one of the words
/// `any`, no panic.
fn refused(name: &str, expected: &str, finished: &Finished, any: &[&str]) -> Line {
    let status = finished.status.and_then(|status| status.code());
    let said = finished.said();
    let is_named = any.iter().any(|word| said.contains(word));
    let passed = status == Some(2) && is_named && !said.contains("panicked");
    Line::Fault(Fault { name: name.into(), expected: expected.into(), status, said, passed })
}

/// Compresses with a batch that is too large for any buffer of the device.
fn large_batch(context: &Context, log: &mut Log<'_>) -> Result<()> {
    let (samples, seqlen) = (512, 2048);
    let model = Shape::SMALL.write(&context.scratch, 1, [samples, seqlen])?;
    let samples = samples.to_string();
    let batch = ["--batch-size", &samples, "--samples", &samples, "--seqlen", "2048"];
    compress(context, &model, &batch, "--batch-size 512", log)
}

/// Compresses a model on a device whose memory is full.
fn full_device(context: &Context, log: &mut Log<'_>) -> Result<()> {
    let model = match std::fs::read_to_string(dense_note(context)) {
        Ok(path) => path.into(),
        Err(_) => Shape::LARGE.write(&context.scratch, 1, [32, 2048])?,
    };
    let options = ["--batch-size", "16", "--samples", "16", "--seqlen", "2048"];
    compress(context, &model, &options, "a device that is full", log)
}

fn compress(
    context: &Context,
    model: &std::path::Path,
    options: &[&str],
    name: &str,
    log: &mut Log<'_>,
) -> Result<()> {
    let out = context.scratch.join("cut-fault");
    let mut args: Vec<OsString> = vec!["compress".into(), model.into(), "--out".into()];
    args.extend([out.clone().into(), "--calibration".into()]);
    args.push(model.join("tokens.safetensors").into());
    args.extend(words(&["--force", "--json", "--method", "per-layer", "--sparsity", "0.25"]));
    args.extend(words(options));
    args.extend(words(&["--device", &context.device]));
    let limit = context.deadline.left().saturating_sub(A_SECOND);
    let finished = context.program.run(&args, limit)?;
    if finished.status.is_none() {
        return log.failed(name, finished.reason());
    }
    let expected = "it runs, or an error that says `out of memory`";
    let mut line = refused(name, expected, &finished, &["out of memory"]);
    if let Line::Fault(fault) = &mut line
        && fault.status == Some(0)
    {
        fault.passed = true;
    }
    let _ = std::fs::remove_dir_all(&out);
    log.put(&line)
}

/// Fills the device memory up to [`LEFT`]. Returns the tensors, and a result if one did not fit.
fn fill(device: &Device, tested: &Tested) -> (Vec<Tensor<1>>, Option<Line>) {
    let memory = tested.memory_bytes.unwrap_or(0);
    let pieces = memory.saturating_sub(LEFT) / PIECE;
    let mut held = Vec::new();
    for _ in 0..pieces {
        let piece = guard(|| {
            let piece = Tensor::<1>::ones([(PIECE / 4) as usize], (device, DType::F32));
            // Forces the allocation.
            let _ = piece.clone().narrow(0, 0, 1).into_data();
            piece
        });
        match piece {
            Ok(piece) => held.push(piece),
            Err(error) => {
                let passed = matches!(error, DeviceError::OutOfMemory { .. });
                let line = Line::Fault(Fault {
                    name: format!("{} GiB in pieces of 1 GiB", pieces),
                    expected: "it fits, or an error that says `out of memory`".into(),
                    status: None,
                    said: error.to_string(),
                    passed,
                });
                return (held, Some(line));
            }
        }
    }
    (held, None)
}
