//! The results of `backend-bench` on one device, read from its JSON.

use anyhow::{Context, Result};
use serde_json::Value;

/// The results of all kernels on one device.
pub struct DeviceResults {
    pub name: String,
    pub model: String,
    /// Whether it is a software device.
    pub software: bool,
    pub limits: Limits,
    pub kernels: Vec<KernelResult>,
    /// The JSON as `backend-bench` printed it.
    pub report: Value,
}

/// The measured limits of the device, per second.
pub struct Limits {
    pub float32: f64,
    pub float64: Option<f64>,
    pub host: f64,
    pub bytes: f64,
}

pub struct KernelResult {
    pub group: String,
    pub name: String,
    pub shape: String,
    pub operations: f64,
    pub bytes: f64,
    /// Whether it is memory-bound; else it is compute-bound.
    pub bound_by_bytes: bool,
    pub tolerance: f64,
    /// The measurements, or why the kernel was skipped.
    pub numbers: Result<Numbers, String>,
}

#[derive(Clone, Debug)]
pub struct Numbers {
    /// Seconds: minimum, median, maximum.
    pub seconds: [f64; 3],
    /// The seconds at the limits of the device, divided by the minimum seconds.
    pub fraction: f64,
    /// The relative difference from the result in float64.
    pub error: Option<f64>,
    pub norm: f64,
    pub projection: f64,
}

impl DeviceResults {
    pub fn parse(report: Value) -> Result<Self> {
        let device = &report["device"];
        let limits = &report["limits"];
        let kernels = report["kernels"].as_array().context("backend-bench listed no kernels")?;
        Ok(Self {
            name: text(device, "name")?,
            model: text(device, "model")?,
            software: device["software"] == true,
            limits: Limits {
                float32: number(limits, "float32_flops")?,
                float64: limits["float64_flops"].as_f64(),
                host: number(limits, "host_float64_flops")?,
                bytes: number(limits, "copy_bytes")?,
            },
            kernels: kernels.iter().map(KernelResult::parse).collect::<Result<_>>()?,
            report,
        })
    }

    pub fn kernel(&self, key: [&str; 3]) -> Option<&KernelResult> {
        self.kernels.iter().find(|kernel| kernel.key() == key)
    }

    /// The kernels that were not skipped.
    pub fn measured(&self) -> impl Iterator<Item = (&KernelResult, &Numbers)> {
        self.kernels.iter().filter_map(|kernel| Some((kernel, kernel.numbers.as_ref().ok()?)))
    }
}

impl KernelResult {
    fn parse(kernel: &Value) -> Result<Self> {
        let operations = ["float32_operations", "float64_operations", "host_float64_operations"]
            .into_iter()
            .map(|key| number(kernel, key))
            .sum::<Result<_>>()?;
        Ok(Self {
            group: text(kernel, "group")?,
            name: text(kernel, "name")?,
            shape: text(kernel, "shape")?,
            operations,
            bytes: number(kernel, "bytes")?,
            bound_by_bytes: text(kernel, "bound")? == "bytes",
            tolerance: number(kernel, "tolerance")?,
            numbers: match kernel["skipped"].as_str() {
                Some(reason) => Err(reason.to_owned()),
                None => Ok(Numbers::parse(kernel)?),
            },
        })
    }

    /// The name and shape that identify the kernel on every device.
    pub fn key(&self) -> [&str; 3] {
        [&self.group, &self.name, &self.shape]
    }

    /// The name to show, without the shape.
    pub fn title(&self) -> String {
        match self.name.as_str() {
            "" => self.group.clone(),
            name => format!("{}, {name}", self.group),
        }
    }
}

impl Numbers {
    fn parse(kernel: &Value) -> Result<Self> {
        let seconds = &kernel["seconds"];
        let checksum = &kernel["checksum"];
        Ok(Self {
            seconds: [
                number(seconds, "least")?,
                number(seconds, "median")?,
                number(seconds, "greatest")?,
            ],
            fraction: number(kernel, "fraction")?,
            error: kernel["error"].as_f64(),
            norm: number(checksum, "norm")?,
            projection: number(checksum, "projection")?,
        })
    }
}

/// The kernels that were run or skipped on any device, in their order.
pub fn keys(devices: &[DeviceResults]) -> Vec<[&str; 3]> {
    let mut keys = Vec::new();
    for kernel in devices.iter().flat_map(|device| &device.kernels) {
        if !keys.contains(&kernel.key()) {
            keys.push(kernel.key());
        }
    }
    keys
}

fn number(value: &Value, key: &str) -> Result<f64> {
    value[key].as_f64().with_context(|| format!("backend-bench wrote no number `{key}`"))
}

fn text(value: &Value, key: &str) -> Result<String> {
    let text = value[key].as_str().with_context(|| format!("backend-bench wrote no `{key}`"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;

    /// Two kernels on a device: one with checksum `norm`, and one that the device cannot run.
    pub fn device(name: &str, norm: f64) -> DeviceResults {
        let kernel = |name: &str, rest: Value| {
            let mut kernel = json!({
                "group": "gram", "name": name, "shape": "2048 x 256", "tolerance": 1e-3,
                "float32_operations": 2e9, "float64_operations": 0.0,
                "host_float64_operations": 0.0, "bytes": 1e6, "bound": "products",
            });
            let fields = kernel.as_object_mut().unwrap();
            fields.extend(rest.as_object().cloned().into_iter().flatten());
            kernel
        };
        let measured = json!({
            "seconds": { "least": 0.01, "median": 0.02, "greatest": 0.03, "runs": 3 },
            "fraction": 0.5, "error": 1.5e-7,
            "checksum": { "norm": norm, "projection": 1.0 },
        });
        let report = json!({
            "device": {
                "name": name, "model": "Model", "float64": false, "software": name != "cpu",
            },
            "quick": true,
            "limits": {
                "float32_flops": 4e11, "float64_flops": null, "host_float64_flops": 1e11,
                "copy_bytes": 1e10,
            },
            "kernels": [
                kernel("plain float32", measured),
                kernel("plain float64", json!({ "skipped": "the device has no float64" })),
            ],
        });
        DeviceResults::parse(report).unwrap()
    }

    #[test]
    fn a_report_is_read() {
        let device = device("wgpu:0", 2.0);
        assert!(device.software);
        assert_eq!(device.limits.float64, None);
        let kernel = device.kernel(["gram", "plain float32", "2048 x 256"]).unwrap();
        assert_eq!(kernel.numbers.as_ref().unwrap().seconds, [0.01, 0.02, 0.03]);
        assert_eq!(kernel.operations, 2e9);
        let skipped = device.kernel(["gram", "plain float64", "2048 x 256"]).unwrap();
        assert_eq!(skipped.numbers.as_ref().unwrap_err(), "the device has no float64");
        assert_eq!(device.measured().count(), 1);
    }
}
