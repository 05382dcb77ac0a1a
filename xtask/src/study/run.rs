//! Runs `slicegpt` for a study, one process at a time.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::plan::{Plan, Run, Source};
use super::results::{Compressed, Dense, Divergence, Perplexity, RunResult, Score, Study};

/// Runs `slicegpt` with these arguments and returns its JSON or its error message.
pub type Slicegpt<'a> = &'a dyn Fn(&[OsString]) -> Result<Value, String>;

/// Runs the whole plan. Compressed models are written to `out`, each in place of the last. `say`
/// gets a line after each run.
pub fn study(plan: &Plan, out: &Path, slicegpt: Slicegpt<'_>, say: &dyn Fn(String)) -> Study {
    let mut study = Study { dense: Vec::new(), runs: Vec::new() };
    for model in &plan.models {
        for text in plan.all_texts() {
            let found = perplexity(plan, &model.path, text, slicegpt);
            let said = match &found {
                Ok(found) => format!("perplexity {:.3}", found.perplexity),
                Err(error) => format!("failed: {error}"),
            };
            say(format!("{}, dense, on {}: {said}", model.name, text.name));
            let (model, text) = (model.name.clone(), text.name.clone());
            study.dense.push(Dense { model, text, found });
        }
    }
    let runs = plan.runs();
    let count = runs.len();
    for (index, run) in runs.into_iter().enumerate() {
        let began = Instant::now();
        let result = RunResult {
            model: run.model.name.clone(),
            calibration: run.calibration.name.clone(),
            seed: run.seed,
            cut: run.cut,
            found: compress(plan, &run, out, slicegpt),
        };
        let seconds = began.elapsed().as_secs_f64();
        say(format!("[{}/{count}] {} ({seconds:.1} s)", index + 1, line(&result)));
        study.runs.push(result);
    }
    study
}

/// The binary at `path`.
pub fn program(path: &Path) -> impl Fn(&[OsString]) -> Result<Value, String> {
    move |args| {
        let output = Command::new(path)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot start {}: {error}", path.display()))?;
        if !output.status.success() {
            let message = message(&String::from_utf8_lossy(&output.stderr));
            return Err(message.unwrap_or_else(|| format!("it ended with {}", output.status)));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("it printed no JSON: {error}"))
    }
}

/// The error message in the output of a program, or its last line.
fn message(stderr: &str) -> Option<String> {
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines().rev().find_map(|line| line.strip_prefix("error: "));
    error.or_else(|| lines().next_back()).map(str::to_owned)
}

fn compress(
    plan: &Plan,
    run: &Run<'_>,
    out: &Path,
    slicegpt: Slicegpt<'_>,
) -> Result<Compressed, String> {
    let mut args: Vec<OsString> = vec!["compress".into(), run.model.path.clone().into()];
    args.extend(["--out".into(), out.into(), "--force".into(), "--json".into()]);
    args.extend(["--calibration".into(), run.calibration.path.clone().into()]);
    args.extend(["--samples".into(), plan.samples.to_string().into()]);
    args.extend(["--seqlen".into(), plan.seqlen.to_string().into()]);
    args.extend(["--seed".into(), run.seed.to_string().into()]);
    args.extend(run.cut.options().into_iter().map(OsString::from));
    args.extend(device(plan));
    let mut report = slicegpt(&args)?;
    let summary = read("compress", report.clone())?;
    // A temporary path is of no interest to a reader.
    report.as_object_mut().and_then(|report| report.shift_remove("out"));
    let score = |text: &Source| Score {
        text: text.name.clone(),
        is_calibration: text.name == run.calibration.name,
        found: perplexity(plan, out, text, slicegpt).and_then(|perplexity| {
            Ok((perplexity, divergence(plan, &run.model.path, out, text, slicegpt)?))
        }),
    };
    let scores = plan.scored(run.calibration).map(score).collect();
    Ok(Compressed { summary, report, scores })
}

fn perplexity(
    plan: &Plan,
    model: &Path,
    text: &Source,
    slicegpt: Slicegpt<'_>,
) -> Result<Perplexity, String> {
    evaluate(plan, "ppl", &[model], text, slicegpt)
}

fn divergence(
    plan: &Plan,
    base: &Path,
    model: &Path,
    text: &Source,
    slicegpt: Slicegpt<'_>,
) -> Result<Divergence, String> {
    evaluate(plan, "kl", &[base, model], text, slicegpt)
}

fn evaluate<T: DeserializeOwned>(
    plan: &Plan,
    what: &str,
    models: &[&Path],
    text: &Source,
    slicegpt: Slicegpt<'_>,
) -> Result<T, String> {
    let mut args: Vec<OsString> = vec!["eval".into(), what.into()];
    args.extend(models.iter().map(OsString::from));
    args.extend(["--text".into(), text.path.clone().into(), "--json".into()]);
    args.extend(["--seqlen".into(), plan.seqlen.to_string().into()]);
    if let Some(most) = plan.max_eval_samples {
        args.extend(["--max-samples".into(), most.to_string().into()]);
    }
    args.extend(device(plan));
    let command = format!("eval {what}");
    let report = slicegpt(&args).map_err(|error| format!("{command}: {error}"))?;
    read(&command, report)
}

fn device(plan: &Plan) -> impl Iterator<Item = OsString> + '_ {
    plan.device.iter().flat_map(|device| ["--device".into(), device.into()])
}

/// A NaN, such as the perplexity of a model that overflows, is `null` in JSON, and an error here.
fn read<T: DeserializeOwned>(command: &str, report: Value) -> Result<T, String> {
    serde_json::from_value(report)
        .map_err(|error| format!("`slicegpt {command}` printed something else: {error}"))
}

/// A run and its result.
fn line(run: &RunResult) -> String {
    let mut line = run.title();
    match &run.found {
        Err(error) => _ = write!(line, ": failed: {error}"),
        Ok(compressed) => {
            _ = write!(line, ": {:.1} % smaller", 100.0 * compressed.summary.real_reduction);
            for score in &compressed.scores {
                _ = match &score.found {
                    Ok((perplexity, divergence)) => write!(
                        line,
                        "; {}: perplexity {:.3}, KL {:.4}",
                        score.text, perplexity.perplexity, divergence.kl
                    ),
                    Err(error) => write!(line, "; {}: failed: {error}", score.text),
                };
            }
        }
    }
    line
}

#[cfg(test)]
pub mod tests {
    use std::cell::RefCell;

    use serde_json::json;

    use super::super::plan::tests::plan;
    use super::*;

    fn after<'a>(args: &'a [String], option: &str) -> &'a str {
        let at = args.iter().position(|arg| arg == option);
        at.map_or("", |at| &args[at + 1])
    }

    thread_local! {
        /// The arguments of the last `compress` of [`fake`].
        static LAST: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    /// A fake `slicegpt` whose numbers follow from its arguments: seed 2 is worse by 2 than seed 1,
    /// the calibration text is better by 1 than other texts, and per-layer is ten times as far from
    /// the dense model. It fails to compress per-layer with seed 2 on train.txt, and to compute the
    /// KL divergence on valid.txt of the shared model with seed 1 on web.txt.
    pub fn fake(args: &[OsString]) -> Result<Value, String> {
        let args: Vec<String> = args.iter().map(|arg| arg.to_str().unwrap().to_owned()).collect();
        assert_eq!(after(&args, "--device"), "cpu");
        assert_eq!(after(&args, "--seqlen"), "256");
        let command: Vec<_> = args[..2].iter().map(String::as_str).collect();
        if command == ["compress", "/in/model"] {
            assert_eq!((after(&args, "--samples"), after(&args, "--out")), ("128", "out"));
            LAST.replace(args.clone());
            let (seed, method) = (after(&args, "--seed"), after(&args, "--method"));
            if (seed, method, after(&args, "--calibration")) == ("2", "per-layer", "/in/train.txt")
            {
                return Err("no such size".to_owned());
            }
            return Ok(json!({
                "out": "out", "real_reduction": if method == "shared" { 0.2 } else { 0.19 },
                "params_before": 1000, "params_after": 800, "widths": [96, 96, 96],
                "intermediate_size": 341, "tied": false, "refit": null, "seconds": 1.5,
                "calibration": { "digest": format!("digest {seed}"), "samples": 128 },
            }));
        }
        assert_eq!(after(&args, "--max-samples"), "10");
        let text = after(&args, "--text");
        let last = LAST.take();
        LAST.replace(last.clone());
        let [seed, method, calibration] =
            ["--seed", "--method", "--calibration"].map(|option| after(&last, option));
        if args[2] == "/in/model" && command[1] == "ppl" {
            return Ok(perplexity(10.0));
        }
        let is_calibration = text == calibration;
        match command[1] {
            "ppl" => {
                let seed: f64 = seed.parse().unwrap();
                Ok(perplexity(20.0 + 2.0 * seed - f64::from(u8::from(is_calibration))))
            }
            "kl" => {
                assert_eq!(&args[2..4], ["/in/model", "out"]);
                if (seed, method, text) == ("1", "shared", "/in/valid.txt")
                    && calibration == "/in/web.txt"
                {
                    return Err("overflow".to_owned());
                }
                let kl = if method == "shared" { 0.02 } else { 0.2 };
                Ok(json!({
                    "kl": kl, "kl_standard_error": 0.001, "top1_agreement": 0.9, "tokens": 2560,
                    "protocol": "KL(base || model)",
                }))
            }
            other => panic!("eval {other}"),
        }
    }

    fn perplexity(perplexity: f64) -> Value {
        json!({
            "perplexity": perplexity, "nll": perplexity.ln(), "nll_standard_error": 0.01,
            "tokens": 2550, "samples": 10, "seqlen": 256, "protocol": "exp of the mean",
        })
    }

    #[test]
    fn a_failure_is_kept_and_the_study_goes_on() {
        let lines = RefCell::new(Vec::new());
        let study = study(&plan(), "out".as_ref(), &fake, &|line| lines.borrow_mut().push(line));
        assert_eq!((study.dense.len(), study.runs.len()), (3, 8));
        let failed = study.runs.iter().filter(|run| run.found.is_err());
        assert_eq!(failed.count(), 1);
        let compressed = study.runs[7].found.as_ref().unwrap();
        assert_eq!(compressed.report["params_after"], 800);
        assert!(compressed.report.get("out").is_none());
        let scored: Vec<_> =
            compressed.scores.iter().map(|it| (it.text.as_str(), it.is_calibration)).collect();
        assert_eq!(scored, [("valid.txt", false), ("web.txt", true)]);

        // One line for each text of the dense model and for each run.
        let lines = lines.into_inner();
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[0], "model, dense, on valid.txt: perplexity 10.000");
        let start = "[1/8] model, calibrated on train.txt, seed 1, shared, keep-params 0.8: \
                     20.0 % smaller; valid.txt: perplexity 22.000, KL 0.0200; train.txt: \
                     perplexity 21.000";
        assert!(lines[3].starts_with(start), "{}", lines[3]);
        assert!(lines[6].contains("failed: no such size"), "{}", lines[6]);
    }

    #[test]
    fn a_number_that_is_none_is_an_error() {
        let overflow = perplexity(f64::INFINITY);
        let error = read::<Perplexity>("eval ppl", overflow).unwrap_err();
        assert!(error.contains("eval ppl") && error.contains("null"), "{error}");
    }

    #[test]
    fn the_message_of_a_program_is_its_error() {
        let rows = [
            ("warning: x\nerror: no widths keep 1 K\n", Some("no widths keep 1 K")),
            ("killed\n\n", Some("killed")),
            ("", None),
        ];
        for (stderr, expected) in rows {
            assert_eq!(message(stderr).as_deref(), expected);
        }
        let error = program("/no/such/slicegpt".as_ref())(&[]).unwrap_err();
        assert!(error.contains("/no/such/slicegpt"), "{error}");
    }
}
