//! `slicegpt plan`: the result of slicing, predicted from `config.json` alone, and with `--search`
//! what shapes of a size cost, measured.

mod search;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use slicegpt_checkpoint::Dtype;
use slicegpt_compress::{self as compress, Plan, Shape, SharedCut, Split, cut_spec};
use slicegpt_models::DecoderSpec;

use crate::args::cut::{Cut, Method};
use crate::args::options::DtypeName;
use crate::args::text::SEQLEN;
use crate::services::device::enough_on_cpu;
use crate::services::estimate;
use crate::services::model::Described;
use crate::show::output;
use crate::show::progress::note;
use crate::show::size::{show_bytes, show_count, show_percent, show_widths};
use search::{Options, Search};

/// Arguments of `slicegpt plan`.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directory, GGUF file, or org/name[@revision] on the Hub; without
    /// --search only its config.json is read
    model: PathBuf,
    #[command(flatten)]
    cut: Cut,
    /// Type of the written weights [default: as in config.json]
    #[arg(long, value_enum)]
    dtype: Option<DtypeName>,
    /// Measure the shapes of the size asked for, as `compress` does before it cuts: reads the
    /// weights and the calibration text, and writes nothing
    #[arg(long)]
    search: bool,
    #[command(flatten)]
    measured: Options,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The predicted result of a plan.
struct Forecast {
    plan: Plan,
    dense: DecoderSpec,
    /// The first of the possible results.
    sliced: DecoderSpec,
    /// The splits of all possible results, in one basis.
    splits: Vec<Split>,
    /// The types of the weights, before and after.
    dtypes: [Dtype; 2],
    samples: usize,
    seqlen: usize,
    /// Estimated peak memory of a compression, in bytes.
    peak: u64,
}

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    if args.search {
        args.measured.calibration.check()?;
    } else if args.measured.calibration.names_texts() {
        bail!("--calibration: a forecast reads no text; add --search to measure shapes");
    }
    let described = Described::read(&args.model)?;
    let (forecast, cut) = Forecast::new(&args, &described)?;
    if args.search {
        let search = Search::run(&args.measured, (&args.model, described), &forecast.plan, &cut)?;
        return forecast.show_search(&search, &cut, args.json);
    }
    let count = forecast.splits.len();
    let several = (count > 1).then(|| {
        format!(
            "{count} shapes have this size; the first is shown, with the narrowest MLPs. \
             `compress` measures which is best; --keep-layers, --hidden-size, --kv-heads and \
             --intermediate-size fix an axis each."
        )
    });
    let json = args.json.then(|| forecast.json());
    let rows = forecast.rows(&forecast.splits);
    output::print(json, &rows, &["", "before", "after"], several.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

impl Forecast {
    fn new(args: &Args, described: &Described) -> Result<(Self, compress::Cut)> {
        refuse_sliced(described)?;
        let stored = described.dtype();
        let dense = described.spec.clone();
        let dtype = args.dtype.map_or(stored, Dtype::from);
        let plan = args.cut.plan(dtype)?;
        let cut = args.cut.resolve(&plan, &dense)?;
        let sliced = cut_spec(&dense, &first_shape(&cut, &dense));
        let seqlen =
            args.measured.calibration.cutting.seqlen.unwrap_or(SEQLEN).min(dense.context_length);
        let samples = args.measured.calibration.count(&plan, &dense, seqlen);
        let batch_size =
            args.measured.running.batch_size().unwrap_or_else(|| enough_on_cpu(seqlen));
        let refit = args.cut.method == Method::Shared;
        let forecast = Self {
            plan,
            sliced,
            splits: match &cut {
                compress::Cut::PerLayer(_) => Vec::new(),
                compress::Cut::Shared(SharedCut { splits, .. }) => splits.clone(),
            },
            dtypes: [stored, dtype],
            samples,
            seqlen,
            peak: estimate::peak(&dense, samples, seqlen, batch_size, refit),
            dense,
        };
        Ok((forecast, cut))
    }

    /// The forecast of the shape that a search takes, and what it measured.
    fn show_search(
        mut self,
        search: &Search,
        cut: &compress::Cut,
        as_json: bool,
    ) -> Result<ExitCode> {
        let taken = search.searched.split;
        if let compress::Cut::Shared(SharedCut { tied, free, .. }) = cut {
            self.sliced = cut_spec(&self.dense, &of_split(&self.dense, taken, (*tied, *free)));
        }
        let mut json = self.json();
        json["search"] = search.json();
        let header = ["", "before", "after"];
        output::print(as_json.then_some(json), &self.rows(&[taken]), &header, None)?;
        let rows = search.rows();
        if as_json {
            return Ok(ExitCode::SUCCESS);
        }
        if rows.is_empty() {
            note("only one shape has this size, so nothing was measured");
            return Ok(ExitCode::SUCCESS);
        }
        let rows: Vec<_> =
            rows.iter().map(|(first, cells)| (first.as_str(), cells.clone())).collect();
        output::print(None, &rows, &Search::HEADER, Some("*: the shape that `compress` takes"))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Widths of the stream of the first candidate.
    fn widths(&self) -> Vec<usize> {
        (0..self.sliced.cuts()).map(|cut| self.sliced.width(cut)).collect()
    }

    /// Parameters before and after.
    fn parameters(&self) -> [u64; 2] {
        [&self.dense, &self.sliced].map(|spec| spec.parameters() as u64)
    }

    /// Bytes of the weights before and after.
    fn bytes(&self) -> [u64; 2] {
        let [before, after] = self.parameters();
        [before * self.dtypes[0].size() as u64, after * self.dtypes[1].size() as u64]
    }

    fn reduction(&self) -> f64 {
        let [before, after] = self.parameters();
        1.0 - after as f64 / before as f64
    }

    fn json(&self) -> Value {
        let sliced = &self.sliced;
        let ([before, after], [bytes_before, bytes_after]) = (self.parameters(), self.bytes());
        json!({
            "method": self.plan.method.name(),
            "nominal_sparsity": self.plan.nominal_sparsity(),
            "real_reduction": self.reduction(),
            "params_before": before,
            "params_after": after,
            "bytes_before": bytes_before,
            "bytes_after": bytes_after,
            "dtype": self.dtypes[1].torch_name(),
            "widths": self.widths(),
            "layers": sliced.layers,
            "hidden_size": sliced.width(0),
            "kv_heads": sliced.attention.kv_heads,
            "intermediate_size": sliced.intermediate_size(0),
            "tied": sliced.tied,
            "splits": self.splits.iter().map(split_json).collect::<Vec<_>>(),
            "estimated_peak_bytes": self.peak,
            "samples": self.samples,
            "seqlen": self.seqlen,
        })
    }

    /// The table of the forecast, with the range of the splits `shown`.
    fn rows(&self, shown: &[Split]) -> Vec<(&'static str, Vec<String>)> {
        let Self { dense, sliced, .. } = self;
        let nominal = self.plan.nominal_sparsity().map_or("-".into(), show_percent);
        let row = |before: usize, after: usize, of: fn(&Split) -> usize| {
            vec![
                before.to_string(),
                if shown.is_empty() { after.to_string() } else { from_to(shown, of) },
            ]
        };
        let mut stream = row(dense.hidden_size, sliced.width(0), |split| split.width);
        if shown.len() < 2 {
            stream[1] = show_widths(&self.widths());
        }
        let layers = row(dense.layers, sliced.layers, |split| split.layers);
        let [before, after] = [dense, sliced].map(|spec| spec.attention.kv_heads);
        let heads = row(before, after, |split| split.heads);
        let [before, after] = [dense.mlp.intermediate_size, sliced.intermediate_size(0)];
        let mlp = row(before, after, |split| split.intermediate);
        let after = |value: String| vec![String::new(), value];
        vec![
            ("layers", layers),
            ("stream width", stream),
            ("MLP width", mlp),
            ("key/value heads", heads),
            ("parameters", self.parameters().map(show_count).into()),
            ("bytes", self.bytes().map(show_bytes).into()),
            ("nominal sparsity", after(nominal)),
            ("real reduction", after(show_percent(self.reduction()))),
            ("peak memory (estimate)", after(show_bytes(self.peak))),
        ]
    }
}

fn split_json(split: &Split) -> Value {
    json!({
        "layers": split.layers,
        "hidden_size": split.width,
        "kv_heads": split.heads,
        "intermediate_size": split.intermediate,
    })
}

/// The size of one split, or from the largest to the smallest of several.
fn from_to(splits: &[Split], size: impl Fn(&Split) -> usize) -> String {
    let largest = splits.iter().map(&size).max().unwrap_or_default();
    let smallest = splits.iter().map(&size).min().unwrap_or_default();
    if largest == smallest { largest.to_string() } else { format!("{largest} to {smallest}") }
}

/// The first shape that `dense` may get.
fn first_shape(cut: &compress::Cut, dense: &DecoderSpec) -> Shape {
    match cut {
        compress::Cut::PerLayer(widths) => Shape::per_layer(widths.clone()),
        compress::Cut::Shared(SharedCut { splits, tied, free }) => {
            of_split(dense, splits[0], (*tied, *free))
        }
    }
}

/// The shape of a split, with the head and the widths of MLPs of a cut.
fn of_split(dense: &DecoderSpec, split: Split, (tied, free): (bool, Option<usize>)) -> Shape {
    Shape::of_split(dense, split, tied, free.is_some())
}

/// Refuses a checkpoint that is sliced already: its bases are not known any more.
pub fn refuse_sliced(described: &Described) -> Result<()> {
    if described.spec.slicing.is_some() {
        bail!("the model is sliced already; give the dense checkpoint it was made from");
    }
    Ok(())
}
