//! The options that say what to cut, as a plan.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;
use slicegpt_checkpoint::Dtype;
use slicegpt_compress::{self as compress, FixedSizes, FreeAxes, HeadTying, Plan, PlanError, Size};
use slicegpt_models::DecoderSpec;
use slicegpt_slice::PlanError as ScheduleError;

use crate::args::options::{option, positive};
use crate::show::size::{parse_bytes, parse_count};

/// Bytes of a file of widths that are read. Widths of 8000 layers have a tenth of it.
const MAX_PLAN: u64 = 1 << 20;

/// What to cut.
#[derive(Args, Clone)]
#[command(next_help_heading = "What to cut")]
pub struct Cut {
    /// How the directions to keep are found
    #[arg(long, value_enum, default_value_t = Method::Shared)]
    pub method: Method,
    /// Keep this fraction of the parameters, counted on the checkpoint as given [default: 0.75]
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true, group = "size")]
    keep_params: Option<f64>,
    /// Keep at most this many parameters, such as 5B
    #[arg(long, value_name = "COUNT", value_parser = parse_count, group = "size")]
    target_params: Option<u64>,
    /// Keep at most this many bytes of weights, such as 10GB
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, group = "size")]
    target_bytes: Option<u64>,
    /// Cut this fraction of the width of the stream, in [0, 1), and nothing else: the nominal
    /// sparsity of the paper
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true, group = "size")]
    sparsity: Option<f64>,
    /// The number of layers that stay (shared). This and the next three fix one axis each; with a
    /// size the other axes are searched, without one they stay as they are
    #[arg(long, value_name = "N", value_parser = positive)]
    keep_layers: Option<usize>,
    /// Width of the stream (shared)
    #[arg(long, value_name = "N", value_parser = positive)]
    hidden_size: Option<usize>,
    /// Width of the MLPs (shared)
    #[arg(long, value_name = "N", value_parser = positive, visible_alias = "mlp-width")]
    intermediate_size: Option<usize>,
    /// Key and value heads of every layer, each with its query heads (shared)
    #[arg(long, value_name = "N", value_parser = positive)]
    kv_heads: Option<usize>,
    /// The axes that may be cut to reach the size, with commas between them (shared) [default: all
    /// that the model has and no option fixes]
    #[arg(long, value_enum, value_name = "AXES", value_delimiter = ',')]
    axes: Option<Vec<AxisName>>,
    /// Fraction to cut at the last block, with --sparsity at the first and linear between
    /// (per-layer)
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true, requires = "sparsity")]
    sparsity_end: Option<f64>,
    /// Widths per cut, as JSON: a list, or an object with `widths` (what `plan --json` prints)
    /// (per-layer)
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["size", "sparsity_end", "slice_head", "round_to"]
    )]
    plan: Option<PathBuf>,
    /// Round the width of the stream to a multiple of this [default: 8, and the number of heads
    /// where the family needs it]
    #[arg(long, value_name = "N")]
    round_to: Option<usize>,
    /// Round the widths of stream and MLPs to a multiple of this: 256 for llama.cpp's K-quants
    /// (shared)
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with = "round_to")]
    align: Option<usize>,
    /// Also cut the stream that the head reads (per-layer; shared always does)
    #[arg(long)]
    slice_head: bool,
    /// Equal widths for all MLPs, or wider ones where channels are more important (shared). Models
    /// that stay in their family need equal widths [default: uniform for these, free for the
    /// others]
    #[arg(long, value_enum, value_name = "HOW")]
    mlp_widths: Option<MlpWidths>,
    /// Whether the head is the embedding (shared; per-layer unties it)
    #[arg(long, value_enum, default_value_t = HeadName::Auto)]
    head: HeadName,
}

/// An axis of the size of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AxisName {
    /// The number of layers
    Layers,
    /// The width of the stream
    Stream,
    /// The width of the MLPs
    Mlp,
    /// Key and value heads, with their query heads
    Heads,
}

/// Method by which the directions to keep are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// One basis for the whole model, no shortcut matrices: models like Llama stay in their family
    Shared,
    /// One basis per cut, with shortcut matrices between them: the method of the paper
    PerLayer,
}

impl From<Method> for compress::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Shared => Self::Shared,
            Method::PerLayer => Self::PerLayer,
        }
    }
}

/// Whether the head is the embedding.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HeadName {
    /// As in the checkpoint
    Auto,
    /// It stays the embedding
    Tied,
    /// It becomes a separate matrix
    Untied,
}

/// Whether MLPs have equal widths.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MlpWidths {
    /// All equal
    Uniform,
    /// By the importance of their channels
    Free,
}

impl From<HeadName> for HeadTying {
    fn from(name: HeadName) -> Self {
        match name {
            HeadName::Auto => Self::Auto,
            HeadName::Tied => Self::Tied,
            HeadName::Untied => Self::Untied,
        }
    }
}

impl From<MlpWidths> for compress::MlpWidths {
    fn from(name: MlpWidths) -> Self {
        match name {
            MlpWidths::Uniform => Self::Uniform,
            MlpWidths::Free => Self::Free,
        }
    }
}

impl Cut {
    /// The plan, for a model whose weights are written as `dtype`.
    pub fn plan(&self, dtype: Dtype) -> Result<Plan> {
        Ok(Plan {
            method: self.method.into(),
            size: self.size(dtype)?,
            fixed: FixedSizes {
                layers: self.keep_layers,
                hidden_size: self.hidden_size,
                kv_heads: self.kv_heads,
                intermediate_size: self.intermediate_size,
            },
            axes: self.axes.as_ref().map(|axes| {
                use AxisName::{Heads, Layers, Mlp, Stream};
                FreeAxes::of([Layers, Stream, Mlp, Heads].map(|axis| axes.contains(&axis)))
            }),
            round_to: self.round_to,
            align: self.align,
            slice_head: self.slice_head,
            mlp_widths: self.mlp_widths.map(Into::into),
            head: self.head.into(),
            ..Plan::default()
        })
    }

    /// What `plan` means for the model that `spec` describes.
    pub fn resolve(&self, plan: &Plan, spec: &DecoderSpec) -> Result<compress::Cut> {
        let cut = plan.resolve(spec).map_err(|error| {
            let nothing = matches!(error, PlanError::Schedule(ScheduleError::Nothing { .. }));
            let error = anyhow!(error.message(&option));
            if nothing { error.context("lower --sparsity or --round-to") } else { error }
        });
        match &self.plan {
            Some(path) => cut.with_context(|| path.display().to_string()),
            None => cut,
        }
    }

    fn size(&self, dtype: Dtype) -> Result<Option<Size>> {
        let per_parameter = dtype.size() as u64;
        Ok(match (&self.plan, self.keep_params, self.target_params, self.target_bytes) {
            (Some(path), ..) => Some(Size::PerCut(read_plan(path)?)),
            (_, Some(keep), ..) => Some(Size::KeepParams(keep)),
            (_, _, Some(params), _) => Some(Size::TargetParams(params)),
            (_, _, _, Some(bytes)) => Some(Size::TargetBytes { bytes, per_parameter }),
            (None, None, None, None) => {
                self.sparsity.map(|start| Size::Sparsity { start, end: self.sparsity_end })
            }
        })
    }
}

fn read_plan(path: &Path) -> Result<Vec<usize>> {
    let at = || path.display().to_string();
    let text = slicegpt_limits::read_text(path, MAX_PLAN).with_context(at)?;
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
