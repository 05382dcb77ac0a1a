//! Agreement of the device with the CPU: checks by group, and the reactions to faults.

use super::figures::cell;
use crate::{Check, Fault, Line, Results};

fn check(line: &Line) -> Option<&Check> {
    match line {
        Line::Check(check) => Some(check),
        _ => None,
    }
}

fn fault(line: &Line) -> Option<&Fault> {
    match line {
        Line::Fault(fault) => Some(fault),
        _ => None,
    }
}

fn failure(line: &Line) -> Option<(&str, &str)> {
    match line {
        Line::Failed { name, reason } => Some((name, reason)),
        _ => None,
    }
}

/// The number of checks that passed, and of all checks.
pub fn counts(results: &Results) -> [usize; 2] {
    let checks: Vec<_> = results.lines().filter_map(check).collect();
    [checks.iter().filter(|check| check.passed).count(), checks.len()]
}

/// A summary in one sentence, and the failures.
pub fn summary(results: &Results) -> String {
    let [passed, count] = counts(results);
    let mut text = match count {
        0 => "Agreement with the CPU was not checked.".to_owned(),
        _ if passed == count => format!("All {count} checks against the CPU passed."),
        _ => format!("**{} of {count} checks against the CPU did not pass.**", count - passed),
    };
    let failures: Vec<_> = results.lines().filter_map(failure).collect();
    if !failures.is_empty() {
        text.push_str(&format!("\n\n**{} failed:**\n", failures.len()));
        for (name, reason) in failures {
            text.push_str(&format!("\n- {}: {}", cell(name), cell(reason)));
        }
    }
    let faults = results.lines().filter_map(fault);
    let unexpected = faults.filter(|fault| !fault.passed).count();
    if unexpected > 0 {
        text.push_str(&format!("\n\n**{unexpected} faults were not handled as expected.**"));
    }
    text
}

/// A row for each group with its largest difference and the tolerance; then the checks that did not
/// pass.
pub fn checks(results: &Results) -> String {
    let checks: Vec<_> = results.lines().filter_map(check).collect();
    if checks.is_empty() {
        return String::new();
    }
    let mut groups: Vec<&str> = Vec::new();
    for check in &checks {
        if !groups.contains(&check.group.as_str()) {
            groups.push(&check.group);
        }
    }
    let mut text = String::from(
        "## Agreement\n\n\
         The largest difference of each kind. *Covariance*, *directions* and *moments*: from \
         float64 on the CPU; *product*: in units of the error allowed for rounding to float32; \
         *logits*: from transformers; *rotation*: from the dense model; *perplexity* and \
         *spectrum*: relative to the CPU; *half precision*: relative to float32 on the device; \
         *text*: 1 if it differs from that on the CPU.\n\n\
         | kind | checks | passed | largest difference | tolerance | where |\n\
         |---|---:|---:|---:|---:|---|\n",
    );
    for group in groups {
        let members: Vec<_> = checks.iter().filter(|check| check.group == group).collect();
        let passed = members.iter().filter(|check| check.passed).count();
        let size = |check: &Check| check.difference.unwrap_or(f64::INFINITY) / check.tolerance;
        let worst = members.iter().max_by(|a, b| size(a).total_cmp(&size(b)));
        let Some(worst) = worst else { continue };
        text.push_str(&format!(
            "| {group} | {} | {passed} | {} | {} | {} |\n",
            members.len(),
            difference(worst),
            small(worst.tolerance),
            cell(&worst.name),
        ));
    }
    let wrong: Vec<_> = checks.iter().filter(|check| !check.passed).collect();
    if !wrong.is_empty() {
        text.push_str("\nNot passed:\n");
        for check in wrong {
            text.push_str(&format!(
                "\n- {}, {}: {}, and {} is allowed",
                check.group,
                cell(&check.name),
                difference(check),
                small(check.tolerance)
            ));
        }
    }
    text.trim_end().to_owned()
}

fn difference(check: &Check) -> String {
    check.difference.map_or_else(|| "not a number".into(), small)
}

fn small(value: f64) -> String {
    if value == 0.0 || (0.01..1000.0).contains(&value) {
        format!("{value}").chars().take(6).collect()
    } else {
        format!("{value:.1e}")
    }
}

/// The reactions to requests that cannot be met.
pub fn faults(results: &Results) -> String {
    let faults: Vec<_> = results.lines().filter_map(fault).collect();
    if faults.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "## Faults\n\n| request | expected | status | message | |\n|---|---|---:|---|---|\n",
    );
    for fault in faults {
        let status = fault.status.map_or_else(|| "-".into(), |status| status.to_string());
        let verdict = if fault.passed { "as expected" } else { "**not as expected**" };
        text.push_str(&format!(
            "| {} | {} | {status} | {} | {verdict} |\n",
            cell(&fault.name),
            cell(&fault.expected),
            cell(&fault.said)
        ));
    }
    text.trim_end().to_owned()
}
