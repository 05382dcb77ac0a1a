//! A study as Markdown.

use std::fmt::Write as _;

use super::aggregate::{Point, Spread, points};
use super::chart;
use super::plan::{Plan, Source};
use super::results::Study;
use super::setting::Setting;

pub fn markdown(setting: &Setting, plan: &Plan, study: &Study) -> String {
    let Setting { machine, versions } = setting;
    let mut text = format!(
        "# Methods, compared\n\n\
         Written by `cargo xtask study`; do not edit. Every run is in study.csv and study.json.\n\n\
         - Machine: {}\n\
         - Date: {}, commit {}\n\
         - Versions: slicegpt {}, Burn {}, {}\n\n",
        machine.summary(),
        machine.date,
        machine.commit,
        versions.slicegpt,
        versions.burn,
        machine.rustc,
    );
    protocol(&mut text, plan, study);
    for model in &plan.models {
        // Writing to a string cannot fail.
        _ = writeln!(
            text,
            "\n## {}\n\n![Perplexity and KL of each method against real reduction](<{}>)",
            model.name,
            chart::file_name(&model.name)
        );
        let points = points(plan, &study.runs, &model.name);
        for scored in &plan.texts {
            let title = format!("On `{}`", scored.name);
            let rows = points.iter().filter(|point| point.text == scored.name);
            table(&mut text, study, model, &title, &[scored], &rows.collect::<Vec<_>>());
        }
        let texts: Vec<_> = plan.calibrations.iter().collect();
        let rows = points.iter().filter(|point| point.is_calibration);
        let title = "On the calibration text itself";
        table(&mut text, study, model, title, &texts, &rows.collect::<Vec<_>>());
    }
    failures(&mut text, study);
    text
}

fn protocol(text: &mut String, plan: &Plan, study: &Study) {
    let most = match plan.max_eval_samples {
        Some(most) => format!("the first {most} sequences"),
        None => "all sequences".to_owned(),
    };
    let seeds = plan.seeds.len();
    _ = writeln!(
        text,
        "Each run calibrates on {} sequences of {} tokens, which the seed chooses, and is scored \
         on {most} of {} tokens of each text. Numbers are means over the seeds ({seeds}) +- the \
         standard deviation; each calibration text has its own rows. The reduction is the real \
         one: the fraction of the parameters of the given checkpoint that is removed, where \
         shortcut matrices and an untied head count as parameters. KL and top-1 agreement compare \
         with the dense model. The whole calibration text is scored, of which a run has seen only \
         the sequences it calibrated on.\n",
        plan.samples, plan.seqlen, plan.seqlen
    );
    for protocol in study.protocols() {
        _ = writeln!(text, "- {}", protocol.strip_prefix("Protocol: ").unwrap_or(protocol));
    }
}

/// The rows of the dense model, then those of the points.
fn table(
    text: &mut String,
    study: &Study,
    model: &Source,
    title: &str,
    texts: &[&Source],
    points: &[&Point<'_>],
) {
    _ = write!(
        text,
        "\n### {title}\n\n\
         | calibrated on | method | asked for | real reduction, % | perplexity | KL, nats | \
         same top token, % | seeds |\n\
         |---|---|---|---:|---:|---:|---:|---:|\n"
    );
    for scored in texts {
        let perplexity = study.dense(&model.name, &scored.name);
        let perplexity = perplexity.map_or("failed".to_owned(), |it| digits(it.perplexity, 4));
        // In a table of several texts, the text is another run's calibration text.
        let on = if texts.len() > 1 { scored.name.as_str() } else { "" };
        _ = writeln!(text, "| {on} | dense | | 0 | {perplexity} | 0 | 100 | |");
    }
    for point in points {
        _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            point.calibration,
            point.cut.method,
            point.cut.asked(),
            shown(point.reduction.over(0.01), 3),
            shown(point.perplexity, 4),
            shown(point.kl, 3),
            shown(point.agreement.over(0.01), 3),
            point.perplexity.count,
        );
    }
}

fn failures(text: &mut String, study: &Study) {
    let failures = study.failures();
    if failures.is_empty() {
        return;
    }
    text.push_str("\n## What failed\n\n");
    for failure in failures {
        _ = writeln!(text, "- {}", failure.replace('\n', " "));
    }
}

/// The mean with this many significant digits, and the deviation with the same number of decimals,
/// or more if it would be shown as zero.
fn shown(spread: Spread, significant: i32) -> String {
    let mean = digits(spread.mean, significant);
    match spread.deviation {
        None => mean,
        Some(0.0) => format!("{mean} +- 0"),
        Some(deviation) => {
            let decimals = decimals(spread.mean, significant).max(decimals(deviation, 1));
            format!("{mean} +- {deviation:.decimals$}")
        }
    }
}

fn digits(value: f64, significant: i32) -> String {
    let decimals = decimals(value, significant);
    format!("{value:.decimals$}")
}

fn decimals(value: f64, significant: i32) -> usize {
    // No value here is known better than to a millionth.
    let magnitude = value.abs().max(1e-6).log10().floor() as i32;
    (significant - 1 - magnitude).clamp(0, 6) as usize
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::plan;
    use super::super::results::tests::example;
    use super::*;

    #[test]
    fn methods_stand_beside_each_other_on_every_text() {
        let text = markdown(&Setting::example(), &plan(), &example());
        for row in [
            "- Machine: CPU, 2 cores, 16 GiB, Linux",
            "- Date: 2026-01-01, commit abc",
            "Each run calibrates on 128 sequences of 256 tokens",
            "scored on the first 10 sequences of 256 tokens",
            "- exp of the mean",
            "- KL(base || model)",
            "## model\n\n![Perplexity and KL of each method against real reduction](<model.svg>)",
            "### On `valid.txt`",
            "|  | dense | | 0 | 10.00 | 0 | 100 | |",
            "| train.txt | shared | keep-params 0.8 | 20.0 +- 0 | 23.00 +- 1.41 | \
             0.0200 +- 0 | 90.0 +- 0 | 2 |",
            "| train.txt | per-layer | sparsity 0.2 | 19.0 | 22.00 | 0.200 | 90.0 | 1 |",
            "### On the calibration text itself",
            "| web.txt | dense | | 0 | 10.00 |",
            "| web.txt | shared | keep-params 0.8 | 20.0 +- 0 | 22.00 +- 1.41 |",
            "## What failed\n\n- model, calibrated on train.txt, seed 2, per-layer, \
             sparsity 0.2: no such size\n",
        ] {
            assert!(text.contains(row), "{row}\nin\n{text}");
        }
        let [on_valid, on_itself] = ["valid.txt`", "itself"].map(|title| text.find(title).unwrap());
        assert!(on_valid < on_itself, "{text}");
    }

    #[test]
    fn nothing_is_said_of_failures_where_there_are_none() {
        let mut study = example();
        study.runs.retain(|run| {
            let found = run.found.as_ref();
            found.is_ok_and(|found| found.scores.iter().all(|score| score.found.is_ok()))
        });
        let text = markdown(&Setting::example(), &plan(), &study);
        assert!(!text.contains("failed"), "{text}");
    }

    #[test]
    fn numbers_keep_their_digits() {
        let rows = [(1234.5, "1234"), (18.963, "18.96"), (0.012346, "0.01235"), (0.0, "0.000000")];
        for (value, expected) in rows {
            assert_eq!(digits(value, 4), expected);
        }
        for (deviation, expected) in
            [(Some(0.123), "2.00 +- 0.12"), (Some(0.0007), "2.00 +- 0.0007"), (None, "2.00")]
        {
            assert_eq!(shown(Spread { mean: 2.0, deviation, count: 2 }, 3), expected);
        }
    }
}
