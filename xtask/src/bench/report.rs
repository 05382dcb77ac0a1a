//! The report of a benchmark, as JSON and as Markdown.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::measure::Cost;
use super::workload::{SPARSITY, Workload};
use crate::machine::Machine;

/// A workload and the cost of each of its runs.
pub struct Measured {
    pub workload: &'static Workload,
    pub runs: Vec<Cost>,
}

/// The minimum, the median and the maximum of several runs.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    /// `None` if any run lacks the value.
    fn of(values: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect::<Option<_>>()?;
        values.sort_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            (values[middle - 1] + values[middle]) / 2.0
        };
        Some(Self { min, median, max })
    }

    fn to_json(self) -> Value {
        json!({ "min": self.min, "median": self.median, "max": self.max })
    }
}

impl Measured {
    fn wall(&self) -> Option<Spread> {
        Spread::of(self.runs.iter().map(|run| Some(run.wall_seconds)))
    }

    fn cpu(&self) -> Option<Spread> {
        Spread::of(self.runs.iter().map(|run| run.cpu_seconds))
    }

    fn peak(&self) -> Option<Spread> {
        Spread::of(self.runs.iter().map(|run| run.peak_mib))
    }

    /// A description of the workload, on one line.
    pub fn line(&self) -> String {
        format!(
            "{}: wall {} s, CPU {} s, peak {} MiB (min / median / max of {})",
            self.workload.title,
            spread(self.wall(), 1),
            spread(self.cpu(), 1),
            spread(self.peak(), 0),
            self.runs.len(),
        )
    }
}

pub fn json(machine: &Machine, measured: &[Measured]) -> Value {
    let workloads: Vec<Value> = measured.iter().map(workload_json).collect();
    json!({ "machine": machine.to_json(), "sparsity": SPARSITY, "workloads": workloads })
}

fn workload_json(measured: &Measured) -> Value {
    let workload = measured.workload;
    let runs = measured.runs.iter().map(|run| {
        json!({
            "wall_seconds": run.wall_seconds,
            "cpu_seconds": run.cpu_seconds,
            "peak_mib": run.peak_mib,
        })
    });
    let reference = workload.reference.iter().map(|reference| {
        json!({
            "conditions": reference.conditions,
            "wall_seconds": reference.wall_seconds,
            "cpu_seconds": reference.cpu_seconds,
            "peak_mib": reference.peak_mib,
        })
    });
    json!({
        "name": workload.name,
        "samples": workload.samples,
        "seqlen": workload.seqlen,
        "wall_seconds": measured.wall().map(Spread::to_json),
        "cpu_seconds": measured.cpu().map(Spread::to_json),
        "peak_mib": measured.peak().map(Spread::to_json),
        "runs": runs.collect::<Vec<_>>(),
        "reference": reference.collect::<Vec<_>>(),
    })
}

pub fn markdown(machine: &Machine, measured: &[Measured]) -> String {
    let mut text = format!(
        "# `slicegpt compress`, measured\n\n\
         Written by `cargo xtask bench compress`; do not edit. Sparsity {SPARSITY}, random weights \
         and tokens.\nOne value or least / median / greatest of several runs; memory is the peak \
         resident set of the process.\n\n\
         - Machine: {}\n\
         - Date: {}, commit {}\n\
         - Compiler: {}\n\n\
         | model | tokens | program | wall s | CPU s | peak MiB |\n\
         |---|---:|---|---:|---:|---:|\n",
        machine.summary(),
        machine.date,
        machine.commit,
        machine.rustc,
    );
    for measured in measured {
        let workload = measured.workload;
        let mut row = |program: &str, wall: String, cpu: String, peak: String| {
            let Workload { title, samples, seqlen, .. } = workload;
            // Writing to a string cannot fail.
            _ = writeln!(
                text,
                "| {title} | {samples} x {seqlen} | {program} | {wall} | {cpu} | {peak} |"
            );
        };
        row(
            "slicegpt",
            spread(measured.wall(), 1),
            spread(measured.cpu(), 1),
            spread(measured.peak(), 0),
        );
        for reference in workload.reference {
            row(
                &format!("reference ({})", reference.conditions),
                number(reference.wall_seconds),
                number(Some(reference.cpu_seconds)),
                number(reference.peak_mib),
            );
        }
    }
    text
}

fn number(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

/// A single run has no spread.
fn spread(spread: Option<Spread>, digits: usize) -> String {
    match spread {
        None => "-".to_owned(),
        Some(Spread { min, median, max }) if min == max => format!("{median:.digits$}"),
        Some(Spread { min, median, max }) => {
            format!("{min:.digits$} / {median:.digits$} / {max:.digits$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::workload::WORKLOADS;
    use super::*;

    fn of(values: &[f64]) -> Option<Spread> {
        Spread::of(values.iter().map(|&value| Some(value)))
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(of(&[3.0, 1.0, 2.0]), Some(Spread { min: 1.0, median: 2.0, max: 3.0 }));
        assert_eq!(of(&[4.0, 1.0]), Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
        assert_eq!(of(&[]), None);
        assert_eq!(Spread::of([Some(1.0), None].into_iter()), None);
    }

    #[test]
    fn the_table_sets_the_reference_beside_the_runs() {
        let run = |wall_seconds| Cost { wall_seconds, cpu_seconds: None, peak_mib: Some(900.0) };
        let machine = Machine::example();
        let measured = [Measured { workload: &WORKLOADS[0], runs: vec![run(9.0), run(8.0)] }];
        let text = markdown(&machine, &measured);
        assert!(text.contains("| 16 x 512 | slicegpt | 8.0 / 8.5 / 9.0 | - | 900 |"), "{text}");
        assert!(text.contains("| reference (busy machine) | - | 35 | 1863 |"), "{text}");
        let json = json(&machine, &measured);
        assert_eq!(json["workloads"][0]["wall_seconds"]["median"], 8.5);
        assert_eq!(json["workloads"][0]["cpu_seconds"], Value::Null);
    }
}
