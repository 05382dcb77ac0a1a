//! A study as JSON: all results, and how they were made.

use anyhow::Result;
use serde_json::{Value, json};

use super::plan::{Plan, Source};
use super::results::{Dense, RunResult, Score, Study};
use super::setting::Setting;

pub fn value(setting: &Setting, plan: &Plan, study: &Study) -> Result<Value> {
    let names = |sources: &[Source]| -> Vec<String> {
        sources.iter().map(|source| source.name.clone()).collect()
    };
    let cuts =
        plan.cuts.iter().map(|cut| json!({ "method": cut.method, "options": cut.options() }));
    Ok(json!({
        "machine": setting.machine.to_json(),
        "versions": setting.versions.to_json(),
        "options": {
            "models": names(&plan.models),
            "calibration": names(&plan.calibrations),
            "eval_texts": names(&plan.texts),
            "cuts": cuts.collect::<Vec<_>>(),
            "seeds": plan.seeds,
            "samples": plan.samples,
            "seqlen": plan.seqlen,
            "max_eval_samples": plan.max_eval_samples,
            "device": plan.device,
        },
        "protocols": study.protocols(),
        "dense": study.dense.iter().map(dense).collect::<Result<Vec<_>>>()?,
        "runs": study.runs.iter().map(run).collect::<Result<Vec<_>>>()?,
    }))
}

fn dense(dense: &Dense) -> Result<Value> {
    let mut value = json!({ "model": dense.model, "text": dense.text });
    match &dense.found {
        Ok(found) => value["perplexity"] = serde_json::to_value(found)?,
        Err(error) => value["error"] = error.as_str().into(),
    }
    Ok(value)
}

fn run(run: &RunResult) -> Result<Value> {
    let mut value = json!({
        "model": run.model,
        "calibration": run.calibration,
        "seed": run.seed,
        "method": run.cut.method,
        "options": run.cut.options(),
    });
    match &run.found {
        Ok(found) => {
            value["compress"] = found.report.clone();
            value["scores"] = found.scores.iter().map(score).collect::<Result<_>>()?;
        }
        Err(error) => value["error"] = error.as_str().into(),
    }
    Ok(value)
}

fn score(score: &Score) -> Result<Value> {
    let mut value = json!({ "text": score.text, "is_calibration": score.is_calibration });
    match &score.found {
        Ok((perplexity, divergence)) => {
            value["perplexity"] = serde_json::to_value(perplexity)?;
            value["divergence"] = serde_json::to_value(divergence)?;
        }
        Err(error) => value["error"] = error.as_str().into(),
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::plan;
    use super::super::results::tests::example;
    use super::*;

    #[test]
    fn everything_is_kept() {
        let value = value(&Setting::example(), &plan(), &example()).unwrap();
        assert_eq!(value["machine"]["commit"], "abc");
        assert_eq!(value["versions"]["burn"], "0.22.1");
        assert_eq!(value["options"]["cuts"][1]["options"][4], "--slice-head");
        assert_eq!(value["options"]["max_eval_samples"], 10);
        assert_eq!(value["protocols"][1], "KL(base || model)");
        assert_eq!(value["dense"][0]["perplexity"]["nll_standard_error"], 0.01);
        let run = &value["runs"][0];
        assert_eq!(run["compress"]["calibration"]["digest"], "digest 1");
        assert_eq!(run["scores"][0]["perplexity"]["perplexity"], 22.0);
        assert_eq!(run["scores"][1]["divergence"]["kl_standard_error"], 0.001);
        assert_eq!(value["runs"][3]["error"], "no such size");
        assert_eq!(value["runs"][4]["scores"][0]["error"], "eval kl: overflow");
    }
}
