//! `slicegpt devices`: the devices that this binary supports, and those of this machine.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};
use slicegpt_device::{Backend, DeviceInfo, backends};

use crate::show::output;
use crate::show::size::show_bytes;

/// Arguments of `slicegpt devices`.
#[derive(clap::Args)]
pub struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let backends = backends();
    let json = json!({
        "backends": backends.iter().map(backend_json).collect::<Vec<_>>(),
        "auto": slicegpt_device::open(slicegpt_device::DeviceName::Auto)?.info.name.to_string(),
    });
    let mut rows = Vec::new();
    for backend in &backends {
        let what = match (&backend.problem, backend.compiled, backend.devices.is_empty()) {
            (_, false, _) => format!("not built in (cargo feature `{}`)", backend.kind),
            (Some(problem), ..) => problem.clone(),
            (None, true, true) => "built in; this machine shows none".into(),
            (None, true, false) => String::new(),
        };
        if backend.devices.is_empty() {
            rows.push((backend.kind.to_string(), vec![what, String::new(), String::new()]));
        }
        for info in &backend.devices {
            let software = if info.software { " (software)" } else { "" };
            let memory = info.memory_bytes.map_or_else(|| "?".into(), show_bytes);
            let model = format!("{}{software}", info.model);
            rows.push((info.name.to_string(), vec![model, memory, types(info).join(" ")]));
        }
    }
    let rows: Vec<(&str, Vec<String>)> =
        rows.iter().map(|(name, values)| (name.as_str(), values.clone())).collect();
    let header = ["device", "model", "memory", "computes in"];
    output::print(args.json.then_some(json), &rows, &header, None)?;
    Ok(ExitCode::SUCCESS)
}

fn backend_json(backend: &Backend) -> Value {
    json!({
        "name": backend.kind.name(),
        "compiled": backend.compiled,
        "problem": backend.problem,
        "devices": backend.devices.iter().map(info_json).collect::<Vec<_>>(),
    })
}

fn info_json(info: &DeviceInfo) -> Value {
    json!({
        "name": info.name.to_string(),
        "model": info.model,
        "memory_bytes": info.memory_bytes,
        "float64": info.float64,
        "float16": info.float16,
        "bfloat16": info.bfloat16,
        "software": info.software,
    })
}

fn types(info: &DeviceInfo) -> Vec<&'static str> {
    let all =
        [("f64", info.float64), ("f32", true), ("f16", info.float16), ("bf16", info.bfloat16)];
    all.into_iter().filter_map(|(name, has)| has.then_some(name)).collect()
}
