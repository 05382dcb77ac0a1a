//! Arguments that several commands share, and raw arguments to typed ones.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;
use slicegpt_checkpoint::Dtype;
use slicegpt_core::Widths;
use slicegpt_models::DecoderSpec;
use slicegpt_slice::Schedule;

/// What to cut.
#[derive(Args, Clone)]
#[command(next_help_heading = "What to cut")]
pub struct Cut {
    /// How the directions to keep are found: one basis per cut, with shortcut matrices (the paper)
    #[arg(long, value_enum, default_value_t = Method::PerLayer)]
    pub method: Method,
    /// Fraction of the stream's width to cut, in [0, 1)
    #[arg(long, value_name = "FRACTION", default_value_t = 0.25, allow_negative_numbers = true)]
    pub sparsity: f64,
    /// Fraction to cut at the last block, --sparsity being that at the first: linear by depth
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true)]
    pub sparsity_end: Option<f64>,
    /// Widths per cut, as JSON: a list, or an object with `widths` (what `plan --json` prints)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sparsity", "sparsity_end", "slice_head", "round_to"])]
    pub plan: Option<PathBuf>,
    /// Round widths down to a multiple of this
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub round_to: usize,
    /// Cut the stream that the head reads too
    #[arg(long)]
    pub slice_head: bool,
}

/// How the directions to keep are found.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// One basis per cut, with shortcut matrices between them: the paper
    PerLayer,
}

impl Method {
    /// Its name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerLayer => "per-layer",
        }
    }
}

impl Cut {
    /// The widths asked for, of a model.
    pub fn widths(&self, spec: &DecoderSpec) -> Result<Widths> {
        let widths = self.schedule()?.widths(spec.hidden_size, spec.layers, spec.depth());
        match &self.plan {
            Some(path) => widths.with_context(|| path.display().to_string()),
            None => Ok(widths?),
        }
    }

    fn schedule(&self) -> Result<Schedule> {
        match &self.plan {
            Some(path) => read_plan(path).map(Schedule::Widths),
            None => Ok(Schedule::Linear {
                start: self.sparsity,
                end: self.sparsity_end.unwrap_or(self.sparsity),
                round_to: self.round_to,
                slice_head: self.slice_head,
            }),
        }
    }

    /// The fraction asked for, where one number says it.
    pub fn nominal(&self) -> Option<f64> {
        match (&self.plan, self.sparsity_end) {
            (None, None) => Some(self.sparsity),
            (None, Some(end)) => Some((self.sparsity + end) / 2.0),
            (Some(_), _) => None,
        }
    }
}

fn read_plan(path: &Path) -> Result<Vec<usize>> {
    let at = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(at)?;
    let json: Value = serde_json::from_str(&text).with_context(at)?;
    let list = json.get("widths").unwrap_or(&json).as_array();
    let widths = list.and_then(|list| {
        list.iter().map(|width| Some(width.as_u64()? as usize)).collect::<Option<Vec<_>>>()
    });
    match widths {
        Some(widths) => Ok(widths),
        None => bail!("{}: a plan is a list of whole numbers, or an object with `widths`", at()),
    }
}

/// The type weights are written as.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DtypeName {
    /// float32
    F32,
    /// float16
    F16,
    /// bfloat16
    Bf16,
}

impl From<DtypeName> for Dtype {
    fn from(name: DtypeName) -> Self {
        match name {
            DtypeName::F32 => Self::F32,
            DtypeName::F16 => Self::F16,
            DtypeName::Bf16 => Self::Bf16,
        }
    }
}

/// A number that is at least 0.
pub fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 => Ok(number),
        _ => Err("a number of at least 0 is needed, e.g. 1e-4".into()),
    }
}

/// A whole number above 0, of something there may be many of: small enough that two of them
/// multiply.
pub fn positive(text: &str) -> Result<usize, String> {
    const MOST: usize = 1 << 24;
    match text.parse::<usize>() {
        Ok(number) if (1..=MOST).contains(&number) => Ok(number),
        _ => Err(format!("a whole number from 1 to {MOST} is needed")),
    }
}
