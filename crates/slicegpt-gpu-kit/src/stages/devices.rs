//! The machine, its devices and their drivers, as facts.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use slicegpt_device::Host;

use super::context::Context;
use crate::{Line, Log, Program};

/// The query for `nvidia-smi`.
const NVIDIA: &str = "name,driver_version,memory.total,compute_cap,power.limit,clocks.max.sm,\
     clocks.max.memory,pcie.link.gen.current,pcie.link.width.current,ecc.mode.current";

pub fn run(context: &Context, log: &mut Log<'_>) -> Result<()> {
    let mut fact = |name: &str, value: Value| log.put(&Line::Fact { name: name.into(), value });
    let Host { processor, cores, memory_bytes, system } = Host::this();
    fact(
        "host",
        json!({
            "processor": processor, "cores": cores, "memory_bytes": memory_bytes, "system": system,
        }),
    )?;
    fact("devices", context.program.devices(context.deadline.left())?)?;
    let opened = slicegpt_device::open(context.device.parse()?);
    if let Some(driver) = opened.ok().and_then(|opened| slicegpt_device::driver(&opened.info)) {
        fact("driver", driver.into())?;
    }
    let query = format!("--query-gpu={NVIDIA}");
    if let Some(text) = output("nvidia-smi", &[&query, "--format=csv,noheader"]) {
        let names = NVIDIA.split(',').map(str::trim);
        let rows = text.lines().map(|line| {
            let values = line.split(',').map(|value| Value::from(value.trim()));
            names.clone().map(str::to_owned).zip(values).collect::<serde_json::Map<_, _>>()
        });
        fact("nvidia-smi", rows.map(Value::Object).collect())?;
    }
    if let Some(text) = output("vulkaninfo", &["--summary"]) {
        fact("vulkaninfo", text.into())?;
    }
    Ok(())
}

/// The device to test: the best hardware device, else a software rasteriser.
///
/// # Errors
///
/// If the machine has no device that the binary was built for; the message lists the backends.
pub fn pick(program: &Program, limit: Duration) -> Result<String> {
    let listed = program.devices(limit)?;
    if let Some(auto) = listed["auto"].as_str().filter(|auto| !auto.starts_with("cpu")) {
        return Ok(auto.to_owned());
    }
    let backends = listed["backends"].as_array().context("no list of backends")?;
    let others = || backends.iter().filter(|backend| backend["name"] != "cpu");
    let mut devices = others().filter_map(|backend| backend["devices"][0]["name"].as_str());
    if let Some(device) = devices.next() {
        return Ok(device.to_owned());
    }
    let compiled = others().filter(|backend| backend["compiled"] == true);
    let shown = compiled.map(|backend| {
        let name = backend["name"].as_str().unwrap_or_default();
        match backend["problem"].as_str() {
            Some(problem) => format!("{name}: {problem}"),
            None => format!("{name}: no device"),
        }
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() {
        bail!("this kit was built without a GPU backend; make it with --features")
    } else {
        bail!("no GPU to test: {}; is the driver installed?", shown.join("; "))
    }
}

/// The output of a program, if it exists and succeeds.
fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
