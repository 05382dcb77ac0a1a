//! `cargo xtask bench compress`: the time and memory of whole runs of `slicegpt compress`.

use std::fs;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

use super::measure::measure;
use super::report::{self, Measured};
use super::workload::WORKLOADS;
use crate::machine::Machine;
use crate::workspace::Workspace;

/// Measures `slicegpt compress` on random models and writes docs/bench/compress.{json,md}.
#[derive(clap::Args)]
pub struct Args {
    /// One run of each workload instead of three.
    #[arg(long)]
    quick: bool,
}

pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let runs = if args.quick { 1 } else { 3 };
    let random_model = workspace.build("random-model")?;
    let slicegpt = workspace.build("slicegpt")?;
    let folder = workspace.target_dir.join("slicegpt-bench");
    let out = folder.join("out");

    let mut measured = Vec::new();
    for workload in WORKLOADS {
        let model = workload.model(&random_model, &folder)?;
        let mut costs = Vec::new();
        for run in 1..=runs {
            eprintln!("{}: run {run} of {runs}", workload.title);
            let mut command = Command::new(&slicegpt);
            command.args(workload.arguments(&model, &out)).stdout(Stdio::null());
            costs.push(measure(&mut command)?);
        }
        let result = Measured { workload, runs: costs };
        println!("{}", result.line());
        measured.push(result);
    }
    fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))?;

    let machine = Machine::here(&workspace.root);
    let docs = workspace.root.join("docs/bench");
    fs::create_dir_all(&docs).with_context(|| format!("cannot make {}", docs.display()))?;
    let json = format!("{:#}\n", report::json(&machine, &measured));
    for (name, text) in
        [("compress.json", json), ("compress.md", report::markdown(&machine, &measured))]
    {
        let path = docs.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
