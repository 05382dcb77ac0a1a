//! `slicegpt bench`: prefill and decode speed of models, side by side.
//!
//! Every model runs in a worker process that keeps it loaded, so that a peak of memory is that of
//! one model. This process gives orders to the workers in turn, so that other load on the machine
//! affects all models alike.

mod capacity;
mod holding;
mod plan;
mod results;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::json;
use slicegpt_core::Observer;
use slicegpt_models::DecoderSpec;

use self::capacity::Capacity;
use self::holding::Holding;
use self::plan::{Case, Phase};
use self::results::{Measured, Results};
use self::worker::{Worker, serve};
use crate::args::options::positive;
use crate::services::model::Described;
use crate::show::output;
use crate::show::progress::{self, Progress, note, warn};
use crate::show::size::parse_bytes;

/// Prefill lengths by default.
const PREFILL: &[usize] = &[128, 512, 2048];

/// Decoded tokens by default.
const DECODE: usize = 128;

/// Arguments of `slicegpt bench`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directories, GGUF files, or org/name[@revision] on the Hub; dense or
    /// sliced. Others are compared with the first
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<PathBuf>,
    /// Prefill lengths, in tokens; 0 for no prefill [default: 128,512,2048, as the context allows]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = tokens)]
    prefill: Vec<usize>,
    /// Tokens to decode; 0 for no decode [default: 128, or half of the context]
    #[arg(long, value_name = "N", value_parser = tokens)]
    decode: Option<usize>,
    /// Tokens in the KV cache before the decode [default: the shortest of --prefill]
    #[arg(long, value_name = "N", value_parser = positive)]
    context: Option<usize>,
    /// Batch sizes
    #[arg(
        long,
        value_name = "N,..",
        value_delimiter = ',',
        value_parser = positive,
        default_value = "1,8,32"
    )]
    batch: Vec<usize>,
    /// Measurements of each case, after a warm-up
    #[arg(long, value_name = "N", value_parser = positive, default_value_t = 5)]
    repeat: usize,
    /// Memory of one device, for the largest batch and the number of devices that the model needs
    /// [default: that of the device]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    memory: Option<u64>,
    #[command(flatten)]
    holding: Holding,
    /// Format of the results
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Print one JSON object, as --format json does
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Another program to measure, which takes the same orders on stdin
    #[arg(long, value_name = "NAME=COMMAND", hide = true)]
    beside: Vec<String>,
    /// Take orders about one model from stdin
    #[arg(long, hide = true)]
    worker: bool,
}

/// Format of the results.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table
    Table,
    /// CSV, one line per case
    Csv,
    /// One JSON object
    Json,
}

/// A parser of a number of tokens, 0 included.
fn tokens(text: &str) -> Result<usize, String> {
    if text == "0" { Ok(0) } else { positive(text) }
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    if args.worker {
        return serve(&args.models[0], &args.holding);
    }
    let described: Vec<Described> =
        args.models.iter().map(|model| Described::read(model)).collect::<Result<_>>()?;
    let cases = cases(&args, &described)?;
    // The workers, each with the shapes of its model, if they are known here.
    let mut workers: Vec<(Worker, Option<&DecoderSpec>)> = Vec::new();
    for holding in args.holding.each()? {
        let others = workers.len();
        for (model, described) in args.models.iter().zip(&described) {
            note(format!("loading {}", model.display()));
            let worker = Worker::start(model, &holding)?;
            let device = &worker.hello().device;
            if workers[..others].iter().any(|(other, _)| other.hello().device == *device) {
                bail!("--device: {} is {device}, which is named too", holding.devices[0]);
            }
            workers.push((worker, Some(&described.spec)));
        }
    }
    for program in &args.beside {
        let (name, command) = program.split_once('=').context("--beside NAME=COMMAND")?;
        workers.push((Worker::beside(name, command)?, None));
    }
    let rounds = args.repeat + 1;
    let progress = Progress::start("measuring", cases.len() * workers.len() * rounds);
    let mut measured: Vec<Measured> = Vec::new();
    for case in &cases {
        let mut all: Vec<Vec<worker::Measurement>> = workers.iter().map(|_| Vec::new()).collect();
        for round in 0..rounds {
            for ((worker, _), measurements) in workers.iter_mut().zip(&mut all) {
                progress.message(format!("{}: {case}", worker.name()));
                // The first round is the warm-up: it allocates memory and compiles kernels.
                measurements.push(worker.measure(*case, round == 0)?);
                let _ = progress.step();
                progress::check()?;
            }
        }
        measured.extend(workers.iter().zip(&all).map(|((worker, spec), measurements)| {
            Measured::new(worker.name(), *spec, worker.hello(), *case, measurements)
        }));
    }
    progress.finish();
    let longest = cases.iter().map(Case::longest).max().unwrap_or(0);
    let capacity = workers.iter().filter_map(|(worker, spec)| {
        // The memory that was available before the first worker started.
        let same =
            workers.iter().filter(|(other, _)| other.hello().device == worker.hello().device);
        let memory =
            args.memory.or(same.filter_map(|(other, _)| other.hello().device_memory).max());
        Some(Capacity::new((*spec)?, worker.name(), worker.hello(), longest, memory))
    });
    let results = Results { measured, capacity: capacity.collect(), repeat: args.repeat };
    for (worker, _) in workers {
        worker.stop()?;
    }
    let format = if args.json { Format::Json } else { args.format };
    match format {
        Format::Json => output::print(Some(results.to_json(&machine())), &[], &[], None)?,
        Format::Csv => output::write(&results.to_csv()?)?,
        Format::Table => output::write(results.to_table().as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The cases: every combination that fits the context of all models.
fn cases(args: &Args, described: &[Described]) -> Result<Vec<Case>> {
    let contexts = described.iter().map(|described| described.spec.context_length);
    let (shortest, model) =
        contexts.zip(&args.models).min_by_key(|(length, _)| *length).expect("one");
    let asked = !args.prefill.is_empty();
    let wanted = if asked { &args.prefill[..] } else { PREFILL };
    let too_long = |tokens: usize, option: &str| {
        format!(
            "{option}: {tokens} tokens are more than the context of {}, {shortest} tokens",
            model.display()
        )
    };
    let mut cases = Vec::new();
    let mut lengths: Vec<usize> = wanted.iter().copied().filter(|tokens| *tokens > 0).collect();
    match lengths.iter().find(|tokens| **tokens > shortest) {
        Some(tokens) if asked => bail!("{}", too_long(*tokens, "--prefill")),
        Some(_) => {
            lengths.retain(|tokens| *tokens <= shortest);
            if lengths.is_empty() {
                lengths.push(shortest);
            }
            warn(format!(
                "{}: lengths beyond its context of {shortest} are left out",
                model.display()
            ));
        }
        None => {}
    }
    for tokens in &lengths {
        cases.extend(args.batch.iter().map(|batch| Case {
            phase: Phase::Prefill,
            context: 0,
            tokens: *tokens,
            batch: *batch,
        }));
    }
    let decode = args.decode.unwrap_or(DECODE.min(shortest / 2));
    if decode > 0 {
        let fewest = lengths.iter().copied().min().unwrap_or(1);
        let context = args.context.unwrap_or(fewest.min(shortest.saturating_sub(decode).max(1)));
        if context + decode > shortest {
            bail!("{}", too_long(context + decode, "--context and --decode"));
        }
        cases.extend(args.batch.iter().map(|batch| Case {
            phase: Phase::Decode,
            context,
            tokens: decode,
            batch: *batch,
        }));
    }
    if cases.is_empty() {
        bail!("--prefill 0 --decode 0: nothing is left to measure");
    }
    Ok(cases)
}

/// The machine, apart from the device.
fn machine() -> serde_json::Value {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    json!({
        "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        "threads": rayon::current_num_threads(),
        "unix_time": seconds,
        "tool_version": format!("slicegpt {}", env!("CARGO_PKG_VERSION")),
    })
}
