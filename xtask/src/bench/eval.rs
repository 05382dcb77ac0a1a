//! `cargo xtask bench eval`: `slicegpt eval ppl` and PyTorch on the same model, tokens and machine,
//! in turn.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::workload::{WORKLOADS, Workload};
use crate::interop::python;
use crate::machine::Machine;
use crate::workspace::Workspace;

/// Measures the tokens per second of `slicegpt eval ppl` and of PyTorch, and prints both.
///
/// The time of slicegpt is that of the whole process, loading included. The time of PyTorch is that
/// of the forwards and losses alone.
#[derive(clap::Args)]
pub struct Args {
    /// A checkpoint to evaluate instead of a random one of the Llama 110M shape.
    #[arg(long, value_name = "DIR", requires = "tokens")]
    model: Option<PathBuf>,
    /// Token ids for --model: `input_ids`, [SAMPLES, LENGTH].
    #[arg(long, value_name = "FILE.safetensors", requires = "model")]
    tokens: Option<PathBuf>,
    /// Threads of both.
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
    /// Runs of each, in turn; medians are printed.
    #[arg(long, value_name = "N", default_value = "3")]
    runs: NonZeroUsize,
    /// A Python that has torch, transformers and safetensors; without it, an environment is made.
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
}

/// One evaluation.
struct Run {
    tokens_per_second: f64,
    nll: f64,
}

pub fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let scripts = workspace.root.join("xtask/python");
    let python = match &args.python {
        Some(python) => python.clone(),
        None => {
            let folder = workspace.target_dir.join("interop-python");
            python::environment("python3", &folder, &scripts.join("requirements.txt"))?
        }
    };
    let slicegpt = workspace.build("slicegpt")?;
    let (model, tokens) = match (&args.model, &args.tokens) {
        (Some(model), Some(tokens)) => (model.clone(), tokens.clone()),
        _ => {
            let shape = WORKLOADS[0].shape;
            let (name, title) = ("llama-110m-8x1024", "Llama 110M shape, float32, 8 x 1024 tokens");
            let workload =
                Workload { name, title, shape, samples: 8, seqlen: 1024, reference: &[] };
            let random_model = workspace.build("random-model")?;
            let model =
                workload.model(&random_model, &workspace.target_dir.join("slicegpt-bench"))?;
            let tokens = model.join("tokens.safetensors");
            (model, tokens)
        }
    };
    let script = scripts.join("torch_eval.py");
    let (mut ours, mut torch) = (Vec::new(), Vec::new());
    let mut version = String::new();
    for run in 1..=args.runs.get() {
        eprintln!("run {run} of {}", args.runs);
        let (found, count) = evaluate(&slicegpt, &model, &tokens, args.threads)?;
        ours.push(found);
        let found;
        (found, version) = evaluate_torch(&python, &script, &model, &tokens, count, args.threads)?;
        torch.push(found);
    }
    let [ours, torch] = [ours, torch].map(median);
    println!("{}", Machine::here(&workspace.root).summary());
    println!("{:<40} {:>10} {:>12}", "", "tokens/s", "NLL");
    println!("{:<40} {:>10.1} {:>12.7}", "slicegpt eval ppl", ours.tokens_per_second, ours.nll);
    println!("{version:<40} {:>10.1} {:>12.7}", torch.tokens_per_second, torch.nll);
    let ratio = ours.tokens_per_second / torch.tokens_per_second;
    println!("{:<40} {ratio:>10.2}", "ratio");
    Ok(ExitCode::SUCCESS)
}

/// Runs `slicegpt eval ppl`. Also returns the number of tokens read.
fn evaluate(slicegpt: &Path, model: &Path, tokens: &Path, threads: usize) -> Result<(Run, f64)> {
    let mut command = Command::new(slicegpt);
    command.args(["eval", "ppl"]).arg(model).arg("--tokens").arg(tokens);
    command.args(["--device", "cpu", "--json"]).env("RAYON_NUM_THREADS", threads.to_string());
    let began = Instant::now();
    let json = json_of(&mut command)?;
    let seconds = began.elapsed().as_secs_f64();
    let number = |field: &str| json[field].as_f64().with_context(|| format!("no {field}"));
    let count = number("samples")? * number("seqlen")?;
    Ok((Run { tokens_per_second: count / seconds, nll: number("nll")? }, count))
}

/// Runs `script` on the same model and tokens. Also returns the version of PyTorch.
fn evaluate_torch(
    python: &Path,
    script: &Path,
    model: &Path,
    tokens: &Path,
    count: f64,
    threads: usize,
) -> Result<(Run, String)> {
    let mut command = Command::new(python);
    command.arg(script).arg(model).arg(tokens).env("OMP_NUM_THREADS", threads.to_string());
    let json = json_of(&mut command)?;
    let number = |field: &str| json[field].as_f64().with_context(|| format!("no {field}"));
    let run = Run { tokens_per_second: count / number("seconds")?, nll: number("nll")? };
    Ok((run, json["version"].as_str().unwrap_or("PyTorch").to_owned()))
}

/// The JSON object that a command prints.
fn json_of(command: &mut Command) -> Result<Value> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed ({}): {message}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("{program} printed no JSON"))
}

/// The run with the median speed.
fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by(|a, b| a.tokens_per_second.total_cmp(&b.tokens_per_second));
    let middle = runs.len() / 2;
    runs.swap_remove(middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_the_speeds() {
        let run = |tokens_per_second| Run { tokens_per_second, nll: 1.0 };
        assert_eq!(median(vec![run(3.0), run(1.0), run(2.0)]).tokens_per_second, 2.0);
    }
}
