//! The head of a page: the device, its driver, the machine, the kit and the day.

use serde_json::Value;

use super::figures::bytes;
use crate::Results;

/// The entry of the device in the output of `slicegpt devices`.
fn info(results: &Results) -> Option<&Value> {
    let backends = results.fact("devices")?["backends"].as_array()?;
    let mut devices = backends.iter().flat_map(|it| it["devices"].as_array().into_iter().flatten());
    devices.find(|info| info["name"] == results.device.as_str())
}

/// The model of the device, as it reports it.
pub fn model(results: &Results) -> String {
    let model = info(results).and_then(|info| info["model"].as_str());
    model.map_or_else(|| format!("Device {}", results.device), str::to_owned)
}

/// Whether the device is a software rasteriser.
pub fn is_software(results: &Results) -> bool {
    info(results).is_some_and(|info| info["software"] == true)
}

/// The driver, on one line.
pub fn driver_line(results: &Results) -> String {
    let smi = results.fact("nvidia-smi").and_then(|rows| rows[0]["driver_version"].as_str());
    let driver = results.fact("driver").and_then(Value::as_str);
    match (driver, smi) {
        (Some(driver), Some(smi)) if !driver.contains(smi) => format!("{driver}, NVIDIA {smi}"),
        (Some(driver), _) => driver.to_owned(),
        (None, Some(smi)) => format!("NVIDIA {smi}"),
        (None, None) => "unknown".into(),
    }
}

/// The day of the run.
pub fn day(results: &Results) -> &str {
    let day = results.started.split('T').next().unwrap_or_default();
    if day.is_empty() { "unknown" } else { day }
}

/// Device, driver, host, date and kit, as a list.
pub fn about(results: &Results) -> String {
    let memory = info(results).and_then(|info| info["memory_bytes"].as_u64());
    let host = results.fact("host");
    let host = host.map_or_else(
        || "unknown".into(),
        |host| {
            let text = |key: &str| host[key].as_str().unwrap_or("unknown").to_owned();
            format!(
                "{}, {} cores, {}, {}",
                text("processor"),
                host["cores"],
                bytes(host["memory_bytes"].as_u64()),
                text("system")
            )
        },
    );
    let kit = |key: &str| results.kit[key].as_str().unwrap_or("unknown");
    format!(
        "- Device: `{}`, {}, memory {}\n- Driver: {}\n- Host: {host}\n- Date: {}, {} minutes\n\
         - Kit: slicegpt {}, commit {}, feature `{}`",
        results.device,
        model(results),
        bytes(memory),
        driver_line(results),
        day(results),
        results.minutes,
        kit("version"),
        kit("commit"),
        kit("features"),
    )
}

/// The output of the driver's tools.
pub fn driver(results: &Results) -> String {
    let mut text = String::new();
    if let Some(rows) = results.fact("nvidia-smi").and_then(Value::as_array) {
        text.push_str("## Output of nvidia-smi\n");
        for row in rows {
            for (key, value) in row.as_object().into_iter().flatten() {
                text.push_str(&format!("\n- {key}: {}", value.as_str().unwrap_or_default()));
            }
        }
    }
    text
}
