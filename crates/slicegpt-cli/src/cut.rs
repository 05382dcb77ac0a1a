//! What to cut, as it is typed, and what that means for a model.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;
use slicegpt_checkpoint::Dtype;
use slicegpt_core::Widths;
use slicegpt_models::DecoderSpec;
use slicegpt_slice::{Grid, Schedule, Split};

use crate::options::positive;
use crate::size::{parse_bytes, parse_count, show_count, show_percent};

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
    /// Keep at most so many parameters, such as 5B
    #[arg(long, value_name = "COUNT", value_parser = parse_count, group = "size")]
    target_params: Option<u64>,
    /// Keep at most so many bytes of weights, such as 10GB
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, group = "size")]
    target_bytes: Option<u64>,
    /// Cut this fraction of the stream's width, in [0, 1), and nothing else: nominal, as in the paper
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true, group = "size")]
    sparsity: Option<f64>,
    /// Keep the stream so wide (shared)
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with = "size")]
    hidden_size: Option<usize>,
    /// Keep the MLPs so wide inside (shared)
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with = "size")]
    intermediate_size: Option<usize>,
    /// Fraction to cut at the last block, --sparsity being that at the first: linear by depth
    /// (per-layer)
    #[arg(long, value_name = "FRACTION", allow_negative_numbers = true, requires = "sparsity")]
    sparsity_end: Option<f64>,
    /// Widths per cut, as JSON: a list, or an object with `widths` (what `plan --json` prints)
    /// (per-layer)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["size", "sparsity_end", "slice_head", "round_to"])]
    plan: Option<PathBuf>,
    /// Keep the stream a multiple of this wide [default: 8, and what the heads ask for]
    #[arg(long, value_name = "N")]
    round_to: Option<usize>,
    /// Keep stream and MLPs a multiple of this wide: 256 for llama.cpp's K-quants (shared)
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with = "round_to")]
    align: Option<usize>,
    /// Cut the stream that the head reads too (per-layer; shared always does)
    #[arg(long)]
    slice_head: bool,
    /// Whether all MLPs become equally wide, or those wider that are worth more (shared). Models that stay
    /// of their family need equal widths [default: uniform for these, free for the others]
    #[arg(long, value_enum, value_name = "HOW")]
    mlp_widths: Option<MlpWidths>,
    /// Whether the head is the embedding (shared; per-layer unties it)
    #[arg(long, value_enum, default_value_t = HeadName::Auto)]
    head: HeadName,
}

/// How the directions to keep are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// One basis for the whole model, no shortcut matrices: Llama and its relatives stay what they are
    Shared,
    /// One basis per cut, with shortcut matrices between them: the paper
    PerLayer,
}

impl Method {
    /// Its name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::PerLayer => "per-layer",
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
    /// It gets a matrix of its own
    Untied,
}

/// How wide the MLPs of a model are, beside each other.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MlpWidths {
    /// All alike
    Uniform,
    /// By what their channels are worth
    Free,
}

/// What is asked for, of a model.
pub enum Wanted {
    /// A width at every cut.
    PerLayer(Widths),
    /// One basis.
    Shared {
        /// One split, or those of one size, the widest stream first.
        splits: Vec<Split>,
        /// Whether the head is the embedding.
        tied: bool,
        /// MLP widths differ from block to block, by as many channels at a time; nothing where all are
        /// alike.
        free: Option<usize>,
    },
}

/// By how much the size may miss what was asked for, as a fraction of the parameters.
const SLACK: f64 = 0.005;

/// Parameters kept where nothing is asked for.
const KEEP: f64 = 0.75;

impl Cut {
    /// What is asked for, of the model `spec`, whose weights are written as `dtype`.
    pub fn wanted(&self, spec: &DecoderSpec, dtype: Dtype) -> Result<Wanted> {
        self.refuse_misfits()?;
        match self.method {
            Method::PerLayer => self.per_layer(spec, dtype).map(Wanted::PerLayer),
            Method::Shared => self.shared(spec, dtype),
        }
    }

    /// The fraction of the stream asked to be cut, where one number says it.
    pub fn nominal(&self) -> Option<f64> {
        match (self.sparsity, self.sparsity_end) {
            (Some(start), Some(end)) => Some((start + end) / 2.0),
            (sparsity, _) => sparsity,
        }
    }

    /// Options that mean nothing with the method.
    fn refuse_misfits(&self) -> Result<()> {
        let shared = [
            ("--hidden-size", self.hidden_size.is_some()),
            ("--intermediate-size", self.intermediate_size.is_some()),
            ("--align", self.align.is_some()),
            ("--head tied", self.head == HeadName::Tied),
            ("--mlp-widths", self.mlp_widths.is_some()),
        ];
        let per_layer = [
            ("--sparsity-end", self.sparsity_end.is_some()),
            ("--plan", self.plan.is_some()),
            ("--slice-head", self.slice_head),
        ];
        let (misfits, other) = match self.method {
            Method::PerLayer => (shared.as_slice(), Method::Shared),
            Method::Shared => (per_layer.as_slice(), Method::PerLayer),
        };
        match misfits.iter().find(|(_, given)| *given) {
            Some((option, _)) => bail!("{option} needs --method {}", other.name()),
            None => Ok(()),
        }
    }

    /// The parameters to keep, where a size is asked for.
    fn most(&self, spec: &DecoderSpec, dtype: Dtype) -> Result<Option<u64>> {
        let before = spec.parameters() as u64;
        let most = match (self.keep_params, self.target_params, self.target_bytes) {
            (Some(keep), ..) if !(keep > 0.0 && keep <= 1.0) => {
                bail!("--keep-params {keep} is not in (0, 1]: it is the fraction to keep")
            }
            (Some(keep), ..) => (keep * before as f64).round() as u64,
            (_, Some(params), _) => params,
            (_, _, Some(bytes)) => bytes / dtype.size() as u64,
            (None, None, None) => return Ok(None),
        };
        if most > before {
            bail!(
                "{} parameters are asked for, but the model has only {}; nothing is to be cut",
                show_count(most),
                show_count(before)
            );
        }
        Ok(Some(most))
    }

    /// Whether no more is to be kept than was asked for.
    fn is_bound(&self) -> bool {
        self.target_params.is_some() || self.target_bytes.is_some()
    }

    fn per_layer(&self, spec: &DecoderSpec, dtype: Dtype) -> Result<Widths> {
        let constant = |sparsity: f64| Schedule::Linear {
            start: sparsity,
            end: self.sparsity_end.unwrap_or(sparsity),
            round_to: self.round_to.unwrap_or(ROUND_TO),
            slice_head: self.slice_head,
        };
        let widths =
            |schedule: Schedule| schedule.widths(spec.hidden_size, spec.layers, spec.depth());
        if let Some(path) = &self.plan {
            let plan = Schedule::Widths(read_plan(path)?);
            return widths(plan).with_context(|| path.display().to_string());
        }
        let Some(most) = self.most(spec, dtype)? else {
            return Ok(widths(constant(self.sparsity.unwrap_or(1.0 - KEEP)))?);
        };
        let step = self.round_to.unwrap_or(ROUND_TO).max(1);
        let kept = |width: usize| widths(constant(1.0 - width as f64 / spec.hidden_size as f64));
        let mut best: Option<(u64, Widths)> = None;
        for width in (step..=spec.hidden_size).step_by(step) {
            let widths = kept(width)?;
            let count = spec.in_per_layer_bases(widths.clone()).parameters() as u64;
            // What is above a bound is only named, where nothing is below.
            let miss = |count: u64| (self.is_bound() && count > most, count.abs_diff(most));
            if best.as_ref().is_none_or(|(other, _)| miss(count) < miss(*other)) {
                best = Some((count, widths));
            }
        }
        let (count, widths) = best.context("--round-to is larger than the hidden size")?;
        self.check_size(spec, most, count, "--round-to")?;
        Ok(widths)
    }

    /// The widest split that may be taken: all of the model, or with `--align` as much as is a multiple.
    fn widest(&self, full: Split) -> Result<Split> {
        let Some(step) = self.align else { return Ok(full) };
        let Split { width, intermediate } = full;
        if step > width.min(intermediate) {
            bail!(
                "--align {step}: the stream is {width} wide and the MLPs {intermediate}; give less"
            );
        }
        Ok(Split { width: width / step * step, intermediate: intermediate / step * step })
    }

    fn shared(&self, spec: &DecoderSpec, dtype: Dtype) -> Result<Wanted> {
        let tied = match self.head {
            HeadName::Auto => spec.tied,
            HeadName::Tied if !spec.tied => {
                bail!("--head tied: the head of this model is not its embedding; use --head auto")
            }
            HeadName::Tied => true,
            HeadName::Untied => false,
        };
        let is_free = match self.mlp_widths {
            Some(widths) => widths == MlpWidths::Free,
            None => !spec.is_rms_only(),
        };
        let full = Split { width: spec.hidden_size, intermediate: spec.mlp.intermediate_size };
        let count = |split: Split| shape(spec, split, tied, is_free).parameters() as u64;
        let round_to = match self.align.or(self.round_to) {
            Some(0) => bail!("--round-to is 0: it must be at least 1"),
            Some(step) => step,
            // transformers refuses a Llama whose width is no multiple of its heads.
            None if spec.is_rms_only() => lcm(ROUND_TO, spec.attention.heads),
            None => ROUND_TO,
        };
        let before = spec.parameters() as u64;
        let inner = self.align.unwrap_or_else(|| inner_step(full, before, count));
        let free = is_free.then_some(inner);
        let one = |split: Split| Ok(Wanted::Shared { splits: vec![split], tied, free });
        if self.hidden_size.is_some() || self.intermediate_size.is_some() {
            let width = self.hidden_size.unwrap_or(full.width);
            let intermediate = self.intermediate_size.unwrap_or(full.intermediate);
            for (option, asked, most) in [
                ("--hidden-size", width, full.width),
                ("--intermediate-size", intermediate, full.intermediate),
            ] {
                if asked > most {
                    bail!("{option} {asked}: the model is {most} wide there; give less");
                }
            }
            return one(Split { width, intermediate });
        }
        if let Some(sparsity) = self.sparsity {
            let schedule =
                Schedule::Linear { start: sparsity, end: sparsity, round_to, slice_head: true };
            let width = schedule.widths(full.width, 1, 1)?.head();
            return one(Split { width, ..full });
        }
        let most = self.most(spec, dtype)?.unwrap_or((KEEP * before as f64).round() as u64);
        let slack = (SLACK * before as f64) as u64;
        let widest = self.widest(full)?;
        let grid = Grid { full: widest, step: Split { width: round_to, intermediate: inner } };
        let mut splits = grid.of_size(most, slack, count);
        if splits.is_empty() {
            let nearest = grid.nearest(most, count);
            self.check_size(spec, most, count(nearest), "--round-to or --align")?;
            // A hair above what was asked for, which is near enough.
            splits.push(nearest);
        }
        Ok(Wanted::Shared { splits, tied, free })
    }

    /// Refuses a size that misses what was asked for. Targets are bounds, a part to be kept is a wish.
    fn check_size(&self, spec: &DecoderSpec, asked: u64, nearest: u64, option: &str) -> Result<()> {
        let before = spec.parameters() as f64;
        let miss = asked.abs_diff(nearest) as f64 / before;
        if miss <= SLACK && !(self.is_bound() && nearest > asked) {
            return Ok(());
        }
        let reduction = |count: u64| show_percent(1.0 - count as f64 / before);
        let untied = match spec.tied {
            true => {
                " (an untied head adds a matrix as large as the embedding, so that small cuts grow \
                     the model)"
            }
            false => "",
        };
        bail!(
            "no widths keep {} parameters, a reduction of {}; the nearest possible is {}, a reduction of \
             {}{untied}; ask for that, or change {option}",
            show_count(asked),
            reduction(asked),
            show_count(nearest),
            reduction(nearest)
        )
    }
}

/// What a model becomes with a split; with free MLP widths, as if they were alike.
pub fn shape(spec: &DecoderSpec, split: Split, tied: bool, free: bool) -> DecoderSpec {
    let Split { width, intermediate } = split;
    match free {
        true => spec.in_shared_basis_with_widths(width, vec![intermediate; spec.layers], tied),
        false => spec.in_shared_basis(width, intermediate, tied),
    }
}

/// Widths are multiples of this, where nothing is asked for.
const ROUND_TO: usize = 8;

/// The largest power of two, up to 64, of which one step more or less of MLP width is no more than a
/// thousandth of the model.
fn inner_step(full: Split, before: u64, count: impl Fn(Split) -> u64) -> usize {
    if full.intermediate < 2 {
        return 1;
    }
    let one = count(full) - count(Split { intermediate: full.intermediate - 1, ..full });
    let steps = std::iter::successors(Some(64), |step| Some(step / 2));
    steps
        .take_while(|step| *step > 1)
        .find(|step| step * 1000 * one as usize <= before as usize)
        .unwrap_or(1)
}

fn lcm(a: usize, b: usize) -> usize {
    let gcd = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    a / gcd(a, b) * b
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
