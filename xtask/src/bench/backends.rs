//! `cargo xtask bench backends`: compares every kernel on every device of this machine.

mod agreement;
mod chart;
mod found;
mod results;
mod table;

use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::machine::Machine;
use crate::versions::Versions;
use crate::workspace::Workspace;
use results::DeviceResults;

/// Measures the kernels on every device, checks that they agree, and writes
/// docs/bench/backends.{json,md,svg}.
#[derive(clap::Args)]
pub struct Args {
    /// Cargo features to build with: wgpu, vulkan, metal, cuda. Without any, only the CPU is
    /// measured.
    #[arg(long, value_delimiter = ',', value_name = "FEATURE")]
    features: Vec<String>,
    /// Devices to measure, by their names in `slicegpt devices`, instead of all of them.
    #[arg(long, value_delimiter = ',', value_name = "DEVICE")]
    devices: Vec<String>,
    /// Smaller kernels, fewer runs.
    #[arg(long)]
    quick: bool,
}

pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let slicegpt = workspace.build_with("slicegpt", &args.features)?;
    let backend_bench = workspace.build_with("backend-bench", &args.features)?;
    let devices = found::devices(&slicegpt, &args.devices)?;
    let mut results = Vec::new();
    for device in &devices {
        let mut command = Command::new(&backend_bench);
        command.args(["--device", device]);
        if args.quick {
            command.arg("--quick");
        }
        let output =
            command.stderr(Stdio::inherit()).output().context("cannot start backend-bench")?;
        ensure!(output.status.success(), "backend-bench failed on {device}: see its message above");
        let report: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("backend-bench printed no JSON on {device}"))?;
        results.push(DeviceResults::parse(report)?);
    }

    let machine = Machine::here(&workspace.root);
    let versions = Versions::of(&workspace.root)?;
    let compared = agreement::compare(&results);
    let reports: Vec<&Value> = results.iter().map(|device| &device.report).collect();
    let json = json!({
        "machine": machine.to_json(),
        "versions": versions.to_json(),
        "features": args.features,
        "devices": reports,
        "agreement": compared.iter().map(agreement::Compared::to_json).collect::<Vec<_>>(),
    });
    let docs = workspace.root.join("docs/bench");
    fs::create_dir_all(&docs).with_context(|| format!("cannot make {}", docs.display()))?;
    for (name, text) in [
        ("backends.json", format!("{json:#}\n")),
        ("backends.md", table::markdown(&machine, &versions, &results, &compared)),
        ("backends.svg", chart::svg(&results)?),
    ] {
        let path = docs.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", path.display());
    }

    let apart: Vec<_> = compared.iter().filter(|compared| !compared.agree()).collect();
    apart.iter().for_each(|compared| eprintln!("error: {compared}"));
    Ok(if apart.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
