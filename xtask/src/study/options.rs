//! The options of `cargo xtask study`, checked before anything runs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::plan::{Cut, Method, Plan, Source};

const KEEP: &[f64] = &[0.9, 0.8, 0.75, 0.7];
const SPARSITY: &[f64] = &[0.1, 0.2, 0.3, 0.4];

/// Compares the methods of `slicegpt compress` over models, calibration texts and seeds:
/// perplexity, KL divergence from the dense model, and real size.
///
/// Writes study.csv, study.json, study.md and a chart per model.
#[derive(clap::Args)]
pub struct Args {
    /// Hugging Face checkpoint directories.
    #[arg(long = "model", value_name = "DIR", required = true, num_args = 1..)]
    models: Vec<PathBuf>,
    /// Texts to calibrate on, one at a time. Each is scored too, which shows over-fitting.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    calibration: Vec<PathBuf>,
    /// More texts to score on.
    #[arg(long = "eval-text", value_name = "FILE", required = true, num_args = 1..)]
    texts: Vec<PathBuf>,
    /// Methods to compare.
    #[arg(
        long = "method",
        value_enum,
        value_name = "METHOD",
        value_delimiter = ',',
        default_value = "shared,per-layer"
    )]
    methods: Vec<Method>,
    /// Fractions of the parameters to keep, for method `shared` [default: 0.9,0.8,0.75,0.7]
    #[arg(long, value_name = "FRACTION", value_delimiter = ',', allow_negative_numbers = true)]
    keep: Vec<f64>,
    /// Fractions of the stream width to cut, also in the head, for method `per-layer` [default:
    /// 0.1,0.2,0.3,0.4]
    #[arg(long, value_name = "FRACTION", value_delimiter = ',', allow_negative_numbers = true)]
    sparsity: Vec<f64>,
    /// Seeds that choose the calibration sequences.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,2,3")]
    seeds: Vec<u64>,
    /// Number of sequences to calibrate on.
    #[arg(long, value_name = "N", default_value_t = 128)]
    samples: usize,
    /// Tokens per sequence, in calibration and evaluation.
    #[arg(long, value_name = "N", default_value_t = 256)]
    seqlen: usize,
    /// Score only the first N sequences of each text.
    #[arg(long, value_name = "N")]
    max_eval_samples: Option<usize>,
    /// The device, as in `slicegpt --device`.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// The output folder [default: docs/study of the workspace]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

impl Args {
    /// The plan, or what is wrong with the options.
    pub fn plan(&self) -> Result<Plan> {
        distinct("--method", &self.methods)?;
        distinct("--seeds", &self.seeds)?;
        for (option, number) in [
            ("--samples", Some(self.samples)),
            ("--seqlen", Some(self.seqlen)),
            ("--max-eval-samples", self.max_eval_samples),
        ] {
            ensure!(number != Some(0), "{option} 0: there would be nothing to measure");
        }
        let models = sources("--model", &self.models)?;
        for model in &models {
            let config = model.path.join("config.json");
            ensure!(config.is_file(), "--model {}: there is no config.json", model.path.display());
        }
        let calibrations = sources("--calibration", &self.calibration)?;
        let texts = sources("--eval-text", &self.texts)?;
        for source in calibrations.iter().chain(&texts) {
            ensure!(source.path.is_file(), "{} is not a file", source.path.display());
        }
        for text in &texts {
            if let Some(same) = calibrations.iter().find(|other| other.name == text.name) {
                bail!(
                    "--eval-text {} has the name of --calibration {}: rename one if they differ; a \
                     calibration text is scored anyway",
                    text.path.display(),
                    same.path.display()
                );
            }
        }
        Ok(Plan {
            models,
            calibrations,
            texts,
            cuts: self.cuts()?,
            seeds: self.seeds.clone(),
            samples: self.samples,
            seqlen: self.seqlen,
            max_eval_samples: self.max_eval_samples,
            device: self.device.clone(),
        })
    }

    fn cuts(&self) -> Result<Vec<Cut>> {
        let mut cuts = Vec::new();
        for (method, option, given, default) in [
            (Method::Shared, "--keep", &self.keep, KEEP),
            (Method::PerLayer, "--sparsity", &self.sparsity, SPARSITY),
        ] {
            if !self.methods.contains(&method) {
                ensure!(
                    given.is_empty(),
                    "{option} is for method {method}, which --method leaves out"
                );
                continue;
            }
            distinct(option, given)?;
            let fractions = if given.is_empty() { default } else { given };
            for &fraction in fractions {
                let range = method.fractions();
                ensure!(range.contains(fraction), "{option} {fraction} is not in {range}");
                cuts.push(Cut { method, fraction });
            }
        }
        Ok(cuts)
    }
}

fn sources(option: &str, paths: &[PathBuf]) -> Result<Vec<Source>> {
    let mut sources: Vec<Source> = Vec::new();
    for path in paths {
        let name = name(path).with_context(|| format!("{option} {}", path.display()))?;
        if let Some(other) = sources.iter().find(|other| other.name == name) {
            bail!(
                "{option}: {} and {} are both named `{name}`; give them different names",
                other.path.display(),
                path.display()
            );
        }
        sources.push(Source { name, path: path.clone() });
    }
    Ok(sources)
}

/// The last part of the canonical path, because `.` has no name.
fn name(path: &Path) -> Result<String> {
    let real = path.canonicalize().context("cannot be read")?;
    Ok(real.file_name().context("has no name")?.to_string_lossy().into_owned())
}

fn distinct<T: PartialEq + std::fmt::Display>(option: &str, values: &[T]) -> Result<()> {
    for (index, value) in values.iter().enumerate() {
        ensure!(!values[..index].contains(value), "{option} lists {value} twice");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;
    use tempfile::TempDir;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    /// A model `m`, a directory `empty`, and texts `a.txt`, `b.txt` and `other/a.txt`.
    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in ["m", "empty", "other/m"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        for path in ["m/config.json", "other/m/config.json", "a.txt", "b.txt", "other/a.txt"] {
            fs::write(folder.path().join(path), "{}").unwrap();
        }
        folder
    }

    /// The required options, then `line`, in which `@` stands for the folder.
    fn plan(folder: &TempDir, line: &str) -> Result<Plan> {
        let line = line.replace('@', &format!("{}/", folder.path().display()));
        let words = std::iter::once("study").chain(line.split_whitespace());
        Cli::try_parse_from(words)?.args.plan()
    }

    const NEEDED: &str = "--model @m --calibration @a.txt --eval-text @b.txt";

    #[test]
    fn what_is_not_said_has_a_default() {
        let folder = folder();
        let plan = plan(&folder, NEEDED).unwrap();
        assert_eq!((plan.models[0].name.as_str(), plan.texts[0].name.as_str()), ("m", "b.txt"));
        let cuts: Vec<_> = plan.cuts.iter().map(Cut::to_string).collect();
        assert_eq!(cuts.len(), KEEP.len() + SPARSITY.len());
        assert_eq!(cuts[0], "shared, keep-params 0.9");
        assert_eq!(cuts[7], "per-layer, sparsity 0.4");
        assert_eq!(plan.seeds, [1, 2, 3]);
        assert_eq!((plan.samples, plan.seqlen, plan.max_eval_samples), (128, 256, None));
    }

    #[test]
    fn several_values_may_follow_one_option() {
        let folder = folder();
        let line = "--model @m --calibration @a.txt @b.txt --eval-text @m/config.json --method \
                    per-layer --sparsity 0,0.5 --seeds 7";
        let plan = plan(&folder, line).unwrap();
        assert_eq!(plan.calibrations.len(), 2);
        let fractions: Vec<_> = plan.cuts.iter().map(|cut| (cut.method, cut.fraction)).collect();
        assert_eq!(fractions, [(Method::PerLayer, 0.0), (Method::PerLayer, 0.5)]);
    }

    #[test]
    fn what_cannot_be_run_is_refused_by_name() {
        let folder = folder();
        let rows = [
            ("--model @empty --calibration @a.txt --eval-text @b.txt", "no config.json"),
            ("--model @none --calibration @a.txt --eval-text @b.txt", "--model"),
            ("--model @m @other/m --calibration @a.txt --eval-text @b.txt", "named `m`"),
            ("--model @m --calibration @none.txt --eval-text @b.txt", "none.txt"),
            ("--model @m --calibration @m --eval-text @b.txt", "is not a file"),
            ("--model @m --calibration @a.txt @other/a.txt --eval-text @b.txt", "named `a.txt`"),
            ("--model @m --calibration @a.txt --eval-text @other/a.txt", "scored anyway"),
        ];
        for (line, words) in rows {
            let error = format!("{:#}", plan(&folder, line).err().unwrap());
            assert!(error.contains(words), "{line}: {error}");
        }
        let rows = [
            ("--keep 1.2", "--keep 1.2 is not in (0, 1]"),
            ("--keep 0", "--keep 0 is not in (0, 1]"),
            ("--sparsity 1", "--sparsity 1 is not in [0, 1)"),
            ("--sparsity -0.1", "--sparsity -0.1 is not in [0, 1)"),
            ("--sparsity NaN", "--sparsity NaN is not in"),
            ("--seeds 1,1", "--seeds lists 1 twice"),
            ("--keep 0.9,0.90", "--keep lists 0.9 twice"),
            ("--method shared,shared", "--method lists shared twice"),
            ("--method shared --sparsity 0.1", "--sparsity is for method per-layer"),
            ("--samples 0", "--samples 0"),
            ("--max-eval-samples 0", "--max-eval-samples 0"),
        ];
        for (options, words) in rows {
            let error = plan(&folder, &format!("{NEEDED} {options}")).err().unwrap().to_string();
            assert!(error.contains(words), "{options}: {error}");
        }
    }
}
