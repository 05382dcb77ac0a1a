//! `backend-bench`: measures every kernel on one device and prints one JSON object on stdout, and
//! progress on stderr. It knows nothing about other devices or the use of the numbers.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use serde_json::{Value, json};
use slicegpt_benches::{Kernel, Limits, Measured, Sizes, kernels, measure};
use slicegpt_device::{DeviceName, OpenDevice, guard};

// The allocator of the `slicegpt` binary, so that new pages cost the same here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures every kernel on one device
#[derive(Parser)]
#[command(name = "backend-bench")]
struct Args {
    /// The name of the device in `slicegpt devices`
    #[arg(long, default_value = "cpu")]
    device: DeviceName,
    /// Smaller kernels, fewer runs
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    // SAFETY: no other thread has been started yet.
    unsafe { slicegpt_device::quiet_without_screen() };
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let opened = slicegpt_device::open(args.device)?;
    let (sizes, patience) = if args.quick {
        (Sizes::QUICK, Duration::from_secs(1))
    } else {
        (Sizes::FULL, Duration::from_secs(4))
    };
    let name = opened.info.name.to_string();
    say(&format!("{name}: {}: limits", opened.info.model));
    let before = guard(|| Limits::of(&opened))?;
    let mut found = Vec::new();
    for kernel in guard(|| kernels(&opened, &sizes))? {
        let result = match &kernel.unavailable {
            Some(reason) => Err(reason.clone()),
            None => measure(&kernel, patience).map_err(|error| error.to_string()),
        };
        let what = match &result {
            Ok(measured) => format!("{:.1} ms", 1e3 * measured.least()),
            Err(reason) => format!("skipped: {reason}"),
        };
        say(&format!("{name}: {} {}: {what}", kernel.title(), kernel.shape));
        let least = result.as_ref().ok().map(Measured::least);
        found.push((kernel_json(&kernel, result), kernel.work, least));
    }
    let limits = before.or(guard(|| Limits::of(&opened))?);
    let kernels = found.into_iter().map(|(mut kernel, work, measured)| {
        let (least, bound) = limits.least_seconds(&work);
        kernel["bound"] = json!(bound.name());
        kernel["fraction"] = json!(measured.map(|seconds| least / seconds));
        kernel
    });
    let report = json!({
        "device": device_json(&opened),
        "quick": args.quick,
        "limits": {
            "float32_flops": limits.float32,
            "float64_flops": limits.float64,
            "host_float64_flops": limits.host,
            "copy_bytes": limits.bytes,
        },
        "kernels": kernels.collect::<Vec<_>>(),
    });
    writeln!(io::stdout().lock(), "{report:#}").context("cannot write the report")
}

fn device_json(opened: &OpenDevice) -> Value {
    let info = &opened.info;
    json!({
        "name": info.name.to_string(),
        "model": info.model,
        "float64": info.float64,
        "software": info.software,
    })
}

/// The part of the report that is known before the limits are measured.
fn kernel_json(kernel: &Kernel, result: Result<Measured, String>) -> Value {
    let work = &kernel.work;
    let mut found = json!({
        "group": kernel.group,
        "name": kernel.name,
        "shape": kernel.shape,
        "float32_operations": work.float32,
        "float64_operations": work.float64,
        "host_float64_operations": work.host,
        "bytes": work.bytes,
        "tolerance": kernel.tolerance,
    });
    let rest = match result {
        Err(reason) => json!({ "skipped": reason }),
        Ok(measured) => json!({
            "seconds": {
                "least": measured.least(),
                "median": measured.median(),
                "greatest": measured.greatest(),
                "runs": measured.seconds.len(),
            },
            "error": measured.outcome.error,
            "checksum": {
                "norm": measured.outcome.checksum.norm,
                "projection": measured.outcome.checksum.projection,
            },
        }),
    };
    let fields = found.as_object_mut().expect("it is one");
    fields.extend(rest.as_object().cloned().into_iter().flatten());
    found
}

/// Prints progress; a failure to print is ignored.
fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
