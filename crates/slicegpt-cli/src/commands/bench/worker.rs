//! A worker process with one model: it takes orders on stdin, one JSON object per line, and answers
//! on stdout.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use slicegpt_checkpoint::Checkpoint;
use slicegpt_generate::Engine;
use slicegpt_models::Cache;

use super::holding::Holding;
use super::plan::{Case, Phase};
use crate::services::device::Target;
use crate::services::generation::load_engine;
use crate::services::gguf;
use crate::services::hub::{WEIGHTS, located};
use crate::services::memory::{peak_rss_bytes, reset_peak};
use crate::services::model::Opened;
use crate::show::error::one_line;
use crate::show::progress::{self, Interrupted};

/// The message of a worker after its model was loaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// Name of the device, as a value of `--device`.
    pub device: String,
    /// Model of the device.
    pub device_model: String,
    /// Memory of the device, in bytes.
    #[serde(default)]
    pub device_memory: Option<u64>,
    /// The type of its weights.
    pub weights: String,
    /// Bytes of one element of a weight.
    #[serde(default)]
    pub weight_bytes: usize,
    /// Bytes of one element of the KV cache.
    #[serde(default)]
    pub cache_bytes: usize,
}

/// An order to a worker.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Order {
    #[serde(flatten)]
    case: Case,
    /// Whether memory is measured. Cached memory is then freed first, and allocating it again takes
    /// time.
    memory: bool,
}

/// One measurement.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// Seconds from the first operation on the device to the last result on the host.
    pub seconds: f64,
    /// Peak resident set size meanwhile, in bytes.
    #[serde(default)]
    pub peak_rss: Option<u64>,
    /// Memory reserved on the device, in bytes.
    #[serde(default)]
    pub device_memory: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reply {
    Ready(Hello),
    Measured(Measurement),
    Failed(String),
}

/// A worker process, as its parent sees it.
pub struct Worker {
    name: String,
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    hello: Hello,
}

impl Worker {
    /// Starts a worker that loads `model`.
    pub fn start(model: &Path, holding: &Holding) -> Result<Self> {
        let program =
            std::env::current_exe().context("cannot find this program to start it again")?;
        // A model of the Hub is downloaded here, so that all workers use the same commit, whose
        // shapes are known here.
        // A GGUF file is opened there.
        let directory = if gguf::is_file(model) { model.into() } else { located(model, WEIGHTS)? };
        let mut command = Command::new(program);
        command.args(["bench", "--worker"]).arg(directory).args(holding.words());
        Self::spawn(model.display().to_string(), command)
    }

    /// Starts another program that takes the same orders.
    pub fn beside(name: &str, command: &str) -> Result<Self> {
        let mut words = command.split_whitespace();
        let mut command = Command::new(words.next().context("--beside: a command is needed")?);
        command.args(words);
        Self::spawn(name.into(), command)
    }

    fn spawn(name: String, mut command: Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("no stdout")?);
        let hello = Hello {
            device: String::new(),
            device_model: String::new(),
            device_memory: None,
            weights: String::new(),
            weight_bytes: 0,
            cache_bytes: 0,
        };
        let mut worker = Self { name, child, orders, answers, hello };
        match worker.reply()? {
            Reply::Ready(hello) => worker.hello = hello,
            Reply::Measured(_) | Reply::Failed(_) => bail!("{}: answered out of turn", worker.name),
        }
        Ok(worker)
    }

    /// The model or the program.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its device and types.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Measures once: time, or `memory`.
    pub fn measure(&mut self, case: Case, memory: bool) -> Result<Measurement> {
        let order = serde_json::to_string(&Order { case, memory })? + "\n";
        let orders = self.orders.as_mut().context("already stopped")?;
        // If the worker has ended, the reason is reported below.
        let _ = orders.write_all(order.as_bytes()).and_then(|()| orders.flush());
        match self.reply()? {
            Reply::Measured(answer) => Ok(answer),
            Reply::Ready(_) | Reply::Failed(_) => bail!("{}: answered out of turn", self.name),
        }
    }

    fn reply(&mut self) -> Result<Reply> {
        let mut line = String::new();
        self.answers.read_line(&mut line).with_context(|| self.name.clone())?;
        progress::check()?;
        if line.is_empty() {
            let status = self.child.wait()?;
            bail!("{}: its process ended ({status}); is there memory enough?", self.name);
        }
        match serde_json::from_str(&line) {
            Ok(Reply::Failed(error)) => Err(anyhow!(error)),
            Ok(reply) => Ok(reply),
            Err(_) => bail!("{}: answered `{}`", self.name, line.trim()),
        }
    }

    /// Ends the worker.
    pub fn stop(mut self) -> Result<()> {
        drop(self.orders.take());
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It ends when its stdin is closed, and is killed after an error.
        if self.orders.take().is_some() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// The worker: loads `model` and carries out orders.
pub fn serve(model: &Path, holding: &Holding) -> Result<ExitCode> {
    match answer_all(model, holding) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // The parent process reports it.
        Err(error) if error.is::<Interrupted>() => Ok(ExitCode::from(130)),
        Err(error) => {
            tell(&Reply::Failed(one_line(&error)))?;
            Ok(ExitCode::from(2))
        }
    }
}

fn answer_all(model: &Path, holding: &Holding) -> Result<()> {
    let opened = Opened::open(model)?;
    let target = holding.running().open()?;
    let (engine, weights) = load_engine(opened, &target, holding.weights.map(Into::into))?;
    let cache_bytes = if target.is_cpu() { 4 } else { weights.size() };
    tell(&Reply::Ready(Hello {
        device: target.info.name.to_string(),
        device_model: target.info.model.clone(),
        device_memory: target.info.memory_bytes,
        weights: weights.torch_name().into(),
        weight_bytes: weights.size(),
        cache_bytes,
    }))?;
    let mut random = ChaCha8Rng::seed_from_u64(0);
    for line in std::io::stdin().lock().lines() {
        let order: Order = serde_json::from_str(&line?)?;
        target.doing(order.case.to_string());
        let answer = target.run(|| measure(&engine, &target, order, &mut random))?;
        tell(&Reply::Measured(answer))?;
        progress::check()?;
    }
    Ok(())
}

fn tell(reply: &Reply) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(reply)?).and_then(|()| stdout.flush())?;
    Ok(())
}

/// One measurement. Tokens differ every time, because some devices cache results.
fn measure(
    engine: &Engine<Checkpoint>,
    target: &Target,
    Order { case, memory }: Order,
    random: &mut ChaCha8Rng,
) -> Result<Measurement> {
    let Case { phase, context, tokens, batch } = case;
    let vocab_size = engine.spec().vocab_size as u32;
    let mut some = |count: usize| -> Vec<u32> {
        (0..count).map(|_| random.random_range(0..vocab_size)).collect()
    };
    if memory {
        // Memory that larger cases reserved does not belong to this one.
        target.device.memory_cleanup();
    }
    let caches: Vec<Cache> = (0..batch).map(|_| Cache::with_capacity(case.longest())).collect();
    let next = |ids: &[Vec<u32>]| {
        let sequences: Vec<(&[u32], &Cache)> = ids.iter().map(Vec::as_slice).zip(&caches).collect();
        engine.next_logits(&sequences)
    };
    let before = match phase {
        Phase::Prefill => Vec::new(),
        Phase::Decode => {
            let prompts: Vec<Vec<u32>> = (0..batch).map(|_| some(context)).collect();
            next(&prompts)?
        }
    };
    let prompts: Vec<Vec<u32>> = match phase {
        Phase::Prefill => (0..batch).map(|_| some(tokens)).collect(),
        Phase::Decode => Vec::new(),
    };
    if memory {
        reset_peak();
    }
    let start = Instant::now();
    match phase {
        Phase::Prefill => drop(next(&prompts)?),
        Phase::Decode => {
            let mut logits = before;
            for _ in 0..tokens {
                let ids: Vec<Vec<u32>> = logits.iter().map(|row| vec![greatest(row)]).collect();
                logits = next(&ids)?;
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let device_memory = if target.is_cpu() || !memory {
        None
    } else {
        target.device.memory_pool_usage().map(|usage| usage.bytes_reserved)
    };
    let peak_rss = if memory { peak_rss_bytes() } else { None };
    Ok(Measurement { seconds, peak_rss, device_memory })
}

/// The most likely token.
fn greatest(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or(0, |(token, _)| token as u32)
}
