//! `slicegpt-gpu-kit`: the stages of the GPU kit, one process each, and the pages made of their
//! results. `run.sh` calls it. Under the name `slicegpt` it is the binary `slicegpt`, so that an
//! archive holds both in one file. A process runs one stage.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Parser, Subcommand};
use serde_json::Value;
use slicegpt_gpu_kit::stages::{self, Context};
use slicegpt_gpu_kit::{
    Deadline, Log, Program, Results, SCHEMA, STAGES, limit_seconds, page, write_whole,
};

// The allocator of the `slicegpt` binary, so that new pages cost the same here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Checks and measures a GPU, stage by stage
#[derive(Parser)]
#[command(name = "slicegpt-gpu-kit", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the stages: name, seconds each may take, seconds it needs at least
    Plan {
        /// Minutes of the whole run
        #[arg(long, default_value_t = 6.0)]
        minutes: f64,
    },
    /// Print the device to test: the best hardware device, else a software rasteriser
    Pick {
        /// The binary `slicegpt` [default: in the folder of this one]
        #[arg(long)]
        slicegpt: Option<PathBuf>,
    },
    /// Run one stage; each result is one JSON line on stdout
    Stage {
        /// Name of the stage, as `plan` prints it
        name: String,
        /// Device to test, as `slicegpt devices` names it
        #[arg(long)]
        device: String,
        /// Seconds after which the stage stops by itself
        #[arg(long)]
        seconds: u64,
        /// Folder with families, models and text
        #[arg(long)]
        fixtures: PathBuf,
        /// Folder for models that are made and cut
        #[arg(long)]
        scratch: PathBuf,
        /// The binary `slicegpt` [default: in the folder of this one]
        #[arg(long)]
        slicegpt: Option<PathBuf>,
    },
    /// Make results.json and results.md from the files of the stages
    Assemble {
        /// Folder with the files of the stages, where the results are written too
        folder: PathBuf,
        /// Device that was tested
        #[arg(long, default_value = "")]
        device: String,
        /// When the run began
        #[arg(long, default_value = "")]
        started: String,
        /// Minutes of the whole run
        #[arg(long, default_value_t = 6.0)]
        minutes: f64,
        /// The file kit.json of the kit
        #[arg(long)]
        kit: Option<PathBuf>,
    },
    /// Print the problems in results.json; the exit code is 2 if there are any
    Verdict {
        /// The results.json that `assemble` wrote
        results: PathBuf,
    },
    /// Make a page for each device, and the table of devices in docs/devices.md
    Page {
        /// The results.json of one or more runs
        #[arg(required = true)]
        results: Vec<PathBuf>,
        /// Folder of the documents
        #[arg(long)]
        docs: PathBuf,
    },
}

fn main() -> ExitCode {
    let name = std::env::args_os().next().map(PathBuf::from);
    if name.as_ref().and_then(|name| name.file_stem()).is_some_and(|name| name == "slicegpt") {
        return slicegpt_cli::run();
    }
    // SAFETY: no thread has been started yet.
    unsafe { slicegpt_device::quiet_without_screen() };
    match run(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If stderr cannot be written to, the exit code still reports the failure.
            let _ = writeln!(io::stderr().lock(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<()> {
    let mut stdout = io::stdout();
    match command {
        Command::Plan { minutes } => {
            ensure!(minutes > 0.0, "--minutes {minutes}: a number above 0 is needed");
            for stage in STAGES {
                let limit = limit_seconds(stage, minutes);
                writeln!(stdout, "{} {limit} {}", stage.name, stage.least)?;
            }
            Ok(())
        }
        Command::Pick { slicegpt } => {
            let device = stages::pick(&program(slicegpt)?, Duration::from_secs(30))?;
            Ok(writeln!(stdout, "{device}")?)
        }
        Command::Stage { name, device, seconds, fixtures, scratch, slicegpt } => {
            end_with_parent();
            let limit = Duration::from_secs(seconds);
            std::fs::create_dir_all(&scratch)
                .with_context(|| format!("cannot make {}", scratch.display()))?;
            let context = Context {
                program: program(slicegpt)?,
                device,
                fixtures,
                scratch,
                deadline: Deadline::after(limit),
            };
            stages::run(&name, &context, &mut Log::stdout())
        }
        Command::Assemble { folder, device, started, minutes, kit } => {
            let kit = match kit {
                Some(path) => serde_json::from_str(
                    &std::fs::read_to_string(&path)
                        .with_context(|| format!("cannot read {}", path.display()))?,
                )?,
                None => Value::Null,
            };
            let stages = Vec::new();
            let mut results = Results { schema: SCHEMA, kit, device, started, minutes, stages };
            results.collect(&folder)?;
            results.write(&folder.join("results.json"))?;
            write_whole(&folder.join("results.md"), &page::markdown(&results))
        }
        Command::Verdict { results } => {
            let problems = Results::read(&results)?.problems();
            problems.iter().try_for_each(|problem| writeln!(stdout, "- {problem}"))?;
            match problems.len() {
                0 => Ok(writeln!(stdout, "every check that was made passed")?),
                1 => bail!("1 problem"),
                count => bail!("{count} problems"),
            }
        }
        Command::Page { results, docs } => {
            for path in page::publish(&results, &docs)? {
                writeln!(stdout, "wrote {}", path.display())?;
            }
            Ok(())
        }
    }
}

/// The binary `slicegpt`, at `path` or in the folder of this one.
fn program(path: Option<PathBuf>) -> Result<Program> {
    let path = match path {
        Some(path) => path,
        None => {
            let here = std::env::current_exe().context("cannot find this program")?;
            here.with_file_name(format!("slicegpt{}", std::env::consts::EXE_SUFFIX))
        }
    };
    if !path.is_file() {
        bail!("{}: no such program; name it with --slicegpt", path.display());
    }
    Ok(Program::at(path))
}

/// Ends this process when the script that started it ends, on systems that support it.
fn end_with_parent() {
    #[cfg(target_os = "linux")]
    // SAFETY: a system call with numbers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
}
