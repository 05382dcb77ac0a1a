//! The arguments of `slicegpt eval tasks`.

use std::path::PathBuf;
use std::str::FromStr;

use crate::args::options::DtypeName;
use crate::args::running::Running;

/// Arguments of `slicegpt eval tasks`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directory, GGUF file, or org/name[@revision] on the Hub; dense or
    /// sliced
    pub model: PathBuf,
    /// Tasks, separated by commas: piqa, hellaswag, winogrande, arc_easy, arc_challenge,
    /// lambada_openai, mmlu
    #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
    pub tasks: Vec<String>,
    /// Directory with the data: TASK.jsonl or TASK_SPLIT.jsonl (or .json) for each task
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Number of few-shot examples before each question
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = shots)]
    pub num_fewshot: usize,
    /// Score only the first N documents of each task, or this fraction of them, below 1
    #[arg(long, value_name = "N")]
    pub limit: Option<Limit>,
    /// Leave out documents with an answer that exceeds the context, and report their number; by
    /// default the first of them is an error
    #[arg(long)]
    pub skip_too_long: bool,
    #[command(flatten)]
    pub running: Running,
    /// Type of weights in memory [default: as stored on the CPU, float32 elsewhere]
    #[arg(long, value_enum, value_name = "TYPE", help_heading = "Device")]
    pub weights: Option<DtypeName>,
    /// Write prompts and likelihoods to this file, one JSON object per document
    #[arg(long, value_name = "FILE.jsonl")]
    pub log_samples: Option<PathBuf>,
    /// Print one JSON object, with the names of lm-evaluation-harness
    #[arg(long)]
    pub json: bool,
}

/// The number of documents to score.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    First(usize),
    Fraction(f64),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text.parse::<usize>(), text.parse::<f64>()) {
            (Ok(count), _) if count > 0 => Ok(Self::First(count)),
            (Err(_), Ok(part)) if part > 0.0 && part < 1.0 => Ok(Self::Fraction(part)),
            _ => Err("a whole number above 0, or a fraction between 0 and 1, is needed".into()),
        }
    }
}

impl Limit {
    /// The number of documents to score, of `count`.
    pub fn of(limit: Option<Self>, count: usize) -> usize {
        match limit {
            Some(Self::First(most)) => most.min(count),
            Some(Self::Fraction(part)) => (count as f64 * part).ceil() as usize,
            None => count,
        }
    }
}

fn shots(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number <= 1000);
    number.ok_or_else(|| "a whole number from 0 to 1000 is needed".into())
}
