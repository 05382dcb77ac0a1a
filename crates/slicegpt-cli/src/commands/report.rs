//! `slicegpt report`: the effects of slicing on models, as one page.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use slicegpt_checkpoint::{Checkpoint, Dtype, Staging};
use slicegpt_provenance::Manifest;
use slicegpt_report::{DenseModel, Measured, ModelSummary, Report, Score, SlicedModel, scores};

use crate::services::card;
use crate::services::gguf;
use crate::services::hub::outlined;
use crate::services::model::{Described, Opened};
use crate::show::output;
use crate::show::progress::note;

/// Arguments of `slicegpt report`.
#[derive(clap::Args)]
pub struct Args {
    /// Directories that `slicegpt compress` or `import` wrote
    #[arg(required = true, value_name = "DIR")]
    directories: Vec<PathBuf>,
    /// HTML page to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The dense model that they were made from, for its size and results: Hugging Face checkpoint
    /// directory, GGUF file, or org/name[@revision] on the Hub
    #[arg(long, value_name = "MODEL")]
    base: Option<PathBuf>,
    /// Output of `eval ppl`, `eval kl`, `eval tasks` or `bench` with --json, about these models or
    /// the base
    #[arg(long, value_name = "FILE", num_args = 1..)]
    results: Vec<PathBuf>,
    /// Heading [default: the model that was cut]
    #[arg(long)]
    title: Option<String>,
    /// Replace the page if it exists
    #[arg(long)]
    force: bool,
}

/// Name of the page until it is moved into place.
const PAGE: &str = "report.html";

/// How to get results, for a page without any.
const ADVICE: &str = "`compress --eval-text TEXT` compares with the dense model; `eval \
                      ppl`, `eval kl` and `eval tasks` with `--json` make files for --results.";

/// The first bytes of pages that this program writes.
const MARK: &str = "<meta name=\"generator\" content=\"slicegpt ";

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    let ours = |start: &[u8]| String::from_utf8_lossy(start).contains(MARK);
    output::check_free(&args.out, args.force, ours, "page of slicegpt")?;
    let mut runs = Vec::new();
    for directory in &args.directories {
        let at = directory.display();
        Staging::check_file(&args.out, directory).with_context(|| format!("--out, {at}"))?;
        runs.push(sliced(directory)?);
    }
    distinguish(&mut runs, &args.directories);
    let base = args.base.as_deref().map(dense).transpose()?;
    if let Some(base) = &base {
        check_base(base, &runs, &args.directories)?;
    }
    let tool = format!("slicegpt {}", env!("CARGO_PKG_VERSION"));
    let advice = Some(ADVICE.to_string());
    let mut report = Report { title: args.title.clone(), base, runs, tool, advice };
    for file in &args.results {
        add_results(&mut report, file, &args)?;
    }
    let page = report.to_html()?;
    let staging = Staging::for_file(&args.out, &args.directories[0])?;
    let staged = staging.path().join(PAGE);
    std::fs::write(&staged, page).with_context(|| staged.display().to_string())?;
    staging.commit_file(PAGE)?;
    note(format!("wrote {}", args.out.display()));
    Ok(ExitCode::SUCCESS)
}

/// A sliced model, from its directory.
fn sliced(directory: &Path) -> Result<SlicedModel> {
    let at = directory.display();
    if gguf::is_file(directory) {
        bail!("{at}: a GGUF file does not say how it was made; give what `compress` wrote");
    }
    let (_, manifest) = Checkpoint::describe(directory)?;
    let Some(manifest) = manifest else {
        bail!(
            "{at}: was not made by `slicegpt compress` or `import`: there is no slicegpt section \
             in config.json and no {}; a dense model is given as --base",
            Manifest::FILE
        );
    };
    let record = Checkpoint::record(directory)?;
    let opened = Opened::open(directory)?;
    let described = Described::read(directory)?;
    let model = model(&opened, card::name(&described));
    Ok(SlicedModel { model, manifest, record, scores: Vec::new() })
}

/// The dense model, from its config and the headers of its files.
fn dense(path: &Path) -> Result<DenseModel> {
    let outline = outlined(path)?;
    let described = Described::read(&outline.directory)?;
    let opened = Opened::open(&outline.directory)?;
    let name = match path.symlink_metadata() {
        Ok(_) => card::name(&described),
        Err(_) => path.to_string_lossy().into_owned(),
    };
    if opened.checkpoint.manifest().is_some() {
        bail!("--base {}: is itself the output of slicegpt; give the dense model", path.display());
    }
    Ok(DenseModel { model: model(&opened, name), scores: Vec::new() })
}

fn model(opened: &Opened, name: String) -> ModelSummary {
    let Opened { spec, bytes, dtype, .. } = opened;
    ModelSummary {
        name,
        model_type: spec.model_type.to_string(),
        hidden_size: spec.hidden_size,
        intermediate_sizes: (0..spec.layers).map(|block| spec.intermediate_size(block)).collect(),
        sublayers: spec.sublayers_per_block(),
        parameters: spec.parameters() as u64,
        bytes: *bytes,
        dtype: Dtype::torch_name(*dtype).into(),
    }
}

/// Replaces equal names by paths.
fn distinguish(runs: &mut [SlicedModel], directories: &[PathBuf]) {
    let names: Vec<String> = runs.iter().map(|run| run.model.name.clone()).collect();
    for (run, directory) in runs.iter_mut().zip(directories) {
        if names.iter().filter(|name| **name == run.model.name).count() > 1 {
            run.model.name = directory.to_string_lossy().into_owned();
        }
    }
}

/// Refuses a base that the models cannot have been made from.
fn check_base(base: &DenseModel, runs: &[SlicedModel], directories: &[PathBuf]) -> Result<()> {
    for (run, directory) in runs.iter().zip(directories) {
        let [before, parameters] = [run.manifest.params_before, base.model.parameters];
        if before != parameters {
            bail!(
                "{}: was made of a model with {before} parameters, and --base {} has {parameters}",
                directory.display(),
                base.model.name
            );
        }
    }
    Ok(())
}

/// Adds the results in a file to the models that they are about.
fn add_results(report: &mut Report, file: &Path, args: &Args) -> Result<()> {
    let at = || format!("--results {}", file.display());
    let text = slicegpt_limits::read(file, slicegpt_limits::MAX_DESCRIPTION).with_context(at)?;
    let json: Value = serde_json::from_slice(&text).with_context(at)?;
    for Measured { model, mut score } in scores(&json).with_context(at)? {
        if let Score::Kl { base, .. } = &mut score {
            *base = base.take().filter(|base| !is_dense(report, base, file, args));
        }
        let Some(found) = place(report, &model, file, args) else {
            bail!(
                "{}: is about {model}, which is none of the models of this page; give its \
                 directory, or the dense model as --base",
                at()
            );
        };
        found.push(score);
    }
    Ok(())
}

/// A model as a file of results names it.
struct Named<'a> {
    words: &'a OsStr,
    /// Its path, relative to this directory and to that of the results, if it exists.
    places: [Option<PathBuf>; 2],
}

impl<'a> Named<'a> {
    /// The model that is called `model` in `file`.
    fn new(model: &'a str, file: &Path) -> Self {
        let beside = file.parent().unwrap_or(Path::new("")).join(model);
        let places = [Path::new(model), &beside].map(|path| path.canonicalize().ok());
        Self { words: OsStr::new(model), places }
    }

    /// Whether `path` is written in the same way.
    fn says(&self, path: &Path) -> bool {
        path.as_os_str() == self.words
    }

    /// Whether `path` is the same directory.
    fn is_at(&self, path: &Path) -> bool {
        path.canonicalize().is_ok_and(|real| self.places.contains(&Some(real)))
    }

    /// Whether it does not exist any more, and `path` has the same last part.
    fn may_be(&self, path: &Path) -> bool {
        self.places.iter().all(Option::is_none) && self.ends_in(path.file_name())
    }

    fn ends_in(&self, name: Option<&OsStr>) -> bool {
        Path::new(self.words).file_name() == name
    }
}

/// Whether `model` is the dense model of this page: that of --base, or else the one that the
/// outputs name.
fn is_dense(report: &Report, model: &str, file: &Path, args: &Args) -> bool {
    let named = Named::new(model, file);
    match &args.base {
        Some(base) => named.says(base) || named.is_at(base) || named.may_be(base),
        None => {
            let mut records = report.runs.iter().filter_map(|run| run.record.as_ref());
            records.any(|record| named.ends_in(Some(OsStr::new(&record.dense.name))))
        }
    }
}

/// The scores of a model, by the path under which it was measured: written in the same way, the
/// same directory, or, if that does not exist any more, the only one with the same last part.
fn place<'a>(
    report: &'a mut Report,
    model: &str,
    file: &Path,
    args: &Args,
) -> Option<&'a mut Vec<Score>> {
    let paths: Vec<&Path> =
        args.directories.iter().chain(&args.base).map(PathBuf::as_path).collect();
    let named = Named::new(model, file);
    let first = |test: &dyn Fn(&Path) -> bool| paths.iter().position(|path| test(path));
    let only = || {
        let mut found = paths.iter().enumerate().filter(|(_, path)| named.may_be(path));
        let (index, _) = found.next()?;
        found.next().is_none().then_some(index)
    };
    let index = first(&|path| named.says(path)).or_else(|| first(&|path| named.is_at(path)));
    let index = index.or_else(only)?;
    match report.runs.get_mut(index) {
        Some(run) => Some(&mut run.scores),
        None => report.base.as_mut().map(|base| &mut base.scores),
    }
}
