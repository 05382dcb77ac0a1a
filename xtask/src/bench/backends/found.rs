//! The devices of this machine, from `slicegpt devices --json`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The names of the devices to measure: `wanted`, or all if it is empty.
pub fn devices(slicegpt: &Path, wanted: &[String]) -> Result<Vec<String>> {
    let output = Command::new(slicegpt)
        .args(["devices", "--json"])
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", slicegpt.display()))?;
    ensure!(output.status.success(), "`slicegpt devices` failed: see its message above");
    let report: Value =
        serde_json::from_slice(&output.stdout).context("`slicegpt devices` printed no JSON")?;
    choose(&names(&report), wanted)
}

fn names(report: &Value) -> Vec<String> {
    let backends = report["backends"].as_array().into_iter().flatten();
    let devices = backends.flat_map(|backend| backend["devices"].as_array().into_iter().flatten());
    devices.filter_map(|device| device["name"].as_str().map(str::to_owned)).collect()
}

fn choose(there: &[String], wanted: &[String]) -> Result<Vec<String>> {
    if wanted.is_empty() {
        return Ok(there.to_vec());
    }
    for name in wanted {
        ensure!(
            there.contains(name),
            "no device `{name}` here: there are {} (features: --features)",
            there.join(", ")
        );
    }
    Ok(wanted.to_vec())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn devices_are_chosen_among_those_that_are_there() {
        let report = json!({ "backends": [
            { "name": "cpu", "devices": [{ "name": "cpu" }] },
            { "name": "wgpu", "devices": [{ "name": "wgpu:0" }, { "name": "wgpu:1" }] },
            { "name": "cuda", "devices": [] },
        ] });
        let there = names(&report);
        assert_eq!(there, ["cpu", "wgpu:0", "wgpu:1"]);
        assert_eq!(choose(&there, &[]).unwrap(), there);
        assert_eq!(choose(&there, &["wgpu:1".to_owned()]).unwrap(), ["wgpu:1"]);
        let error = choose(&there, &["cuda:0".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("cpu, wgpu:0, wgpu:1"), "{error}");
    }
}
