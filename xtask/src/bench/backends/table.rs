//! The comparison as Markdown.

use std::fmt::Write as _;

use super::agreement::Compared;
use super::results::{DeviceResults, KernelResult, Numbers, keys};
use crate::machine::Machine;
use crate::versions::Versions;

pub fn markdown(
    machine: &Machine,
    versions: &Versions,
    devices: &[DeviceResults],
    compared: &[Compared],
) -> String {
    let mut text = format!(
        "# Backends, measured\n\n\
         Written by `cargo xtask bench backends`; do not edit.\n\n\
         - Machine: {}\n\
         - Date: {}, commit {}\n\
         - Versions: slicegpt {}, Burn {}, {}\n\n\
         ![The fraction of the device's limit that each kernel reaches](backends.svg)\n\n",
        machine.summary(),
        machine.date,
        machine.commit,
        versions.slicegpt,
        versions.burn,
        machine.rustc,
    );
    for device in devices.iter().filter(|device| device.software) {
        // Writing to a string cannot fail.
        _ = writeln!(
            text,
            "**{} is a software rasteriser, {}, which runs on the CPU.** It shows that this path \
             works and agrees, and how near its kernels come to the limits of that program; it \
             says nothing about the speed of a GPU.\n",
            device.name, device.model
        );
    }
    limits(&mut text, devices);
    grams(&mut text, devices);
    kernels(&mut text, devices);
    agreement(&mut text, devices, compared);
    text
}

fn limits(text: &mut String, devices: &[DeviceResults]) {
    text.push_str(
        "## Limits\n\n\
         The fastest of square matrix products of several sizes, and of three element-wise \
         operations on large tensors (bytes read and bytes written).\n\n\
         | device | model | float32 GFLOP/s | float64 GFLOP/s | float64 on the host | GB/s |\n\
         |---|---|---:|---:|---:|---:|\n",
    );
    for device in devices {
        let giga = |rate: f64| significant(rate / 1e9);
        let limits = &device.limits;
        _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            device.name,
            device.model,
            giga(limits.float32),
            limits.float64.map_or("-".to_owned(), giga),
            giga(limits.host),
            giga(limits.bytes),
        );
    }
}

/// The cost of sums to double-precision accuracy, next to plain products.
fn grams(text: &mut String, devices: &[DeviceResults]) {
    text.push_str(
        "\n## Covariances: cost and error of each way\n\n\
         *plain* is `x.cast(t).transpose().matmul(x.cast(t))` in Burn; *float64* (on the host) and \
         *split-f32* are `Covariance::new(width, ...)` of this project, which compute one \
         triangle. The error is the difference from the plain product in float64 on the host, \
         in the Frobenius norm, relative to that product.\n\n\
         | tokens x width | way | device | ms | times plain float32 | times plain float64 | \
         error |\n\
         |---|---|---|---:|---:|---:|---:|\n",
    );
    for (device, kernel) in rows(devices, |kernel| kernel.group == "gram") {
        let Ok(numbers) = &kernel.numbers else { continue };
        let times = |name: &str| {
            let plain = device.kernel(["gram", name, &kernel.shape])?.numbers.as_ref().ok()?;
            Some(format!("{:.2}", numbers.seconds[0] / plain.seconds[0]))
        };
        let times = |name: &str| times(name).unwrap_or_else(|| "-".to_owned());
        let error = match numbers.error {
            Some(0.0) => "0".to_owned(),
            Some(error) => format!("{error:.1e}"),
            None => "-".to_owned(),
        };
        _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {error} |",
            kernel.shape,
            kernel.name,
            device.name,
            milliseconds(numbers),
            times("plain float32"),
            times("plain float64"),
        );
    }
}

fn kernels(text: &mut String, devices: &[DeviceResults]) {
    text.push_str(
        "\n## All kernels\n\n\
         Milliseconds are the least / median / greatest of several runs after one that warms up. \
         The last column is the time that the measured limits allow, divided by the least measured \
         time. The limits allow all products of the kernel at the fastest rate of a square \
         product, or all bytes of its inputs and outputs at the fastest rate of a copy, whichever \
         takes longer. Above 100 %, data were in a cache, or a copy is slower than a read.\n\n\
         | kernel | shape | device | ms | rate | bound by | of the limit |\n\
         |---|---|---|---:|---:|---|---:|\n",
    );
    for (device, kernel) in rows(devices, |_| true) {
        _ = match &kernel.numbers {
            Ok(numbers) => writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {:.0} % |",
                kernel.title(),
                kernel.shape,
                device.name,
                milliseconds(numbers),
                rate(kernel, numbers),
                if kernel.bound_by_bytes { "bytes" } else { "products" },
                100.0 * numbers.fraction,
            ),
            Err(reason) => writeln!(
                text,
                "| {} | {} | {} | skipped: {reason} | | | |",
                kernel.title(),
                kernel.shape,
                device.name
            ),
        };
    }
}

fn agreement(text: &mut String, devices: &[DeviceResults], compared: &[Compared]) {
    if devices.len() < 2 {
        return;
    }
    text.push_str(
        "\n## Agreement\n\n\
         Differences between the results of two devices: of their norms, or of their sums under \
         random signs, whichever is greater, relative to the norm.\n\n\
         | kernel | devices | difference | allowed |\n\
         |---|---|---:|---:|\n",
    );
    for compared in compared {
        let [first, second] = &compared.devices;
        let verdict = if compared.agree() { "" } else { " **apart**" };
        _ = writeln!(
            text,
            "| {} | {first}, {second} | {:.1e}{verdict} | {:.0e} |",
            compared.kernel, compared.difference, compared.tolerance
        );
    }
}

/// A row for each kernel and device, with the devices of one kernel below each other.
fn rows(
    devices: &[DeviceResults],
    wanted: impl Fn(&KernelResult) -> bool,
) -> Vec<(&DeviceResults, &KernelResult)> {
    let mut rows = Vec::new();
    for key in keys(devices) {
        for device in devices {
            rows.extend(device.kernel(key).filter(|it| wanted(it)).map(|kernel| (device, kernel)));
        }
    }
    rows
}

fn milliseconds(numbers: &Numbers) -> String {
    let [least, median, greatest] = numbers.seconds.map(|seconds| significant(1e3 * seconds));
    format!("{least} / {median} / {greatest}")
}

fn rate(kernel: &KernelResult, numbers: &Numbers) -> String {
    let seconds = 1e9 * numbers.seconds[0];
    if kernel.bound_by_bytes {
        format!("{} GB/s", significant(kernel.bytes / seconds))
    } else {
        format!("{} GFLOP/s", significant(kernel.operations / seconds))
    }
}

/// Three significant digits, or all digits before the decimal point.
fn significant(value: f64) -> String {
    let digits = match value.abs() {
        x if x >= 100.0 => 0,
        x if x >= 10.0 => 1,
        x if x >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::super::agreement::compare;
    use super::super::results::tests::device;
    use super::*;

    #[test]
    fn every_kernel_has_a_row_on_every_device() {
        let machine = Machine::example();
        let versions = Versions { slicegpt: "0.1.0".to_owned(), burn: "0.22.1".to_owned() };
        let devices = [device("cpu", 100.0), device("wgpu:0", 101.0)];
        let text = markdown(&machine, &versions, &devices, &compare(&devices));
        for row in [
            "- Versions: slicegpt 0.1.0, Burn 0.22.1, rustc 1",
            "**wgpu:0 is a software rasteriser, Model, which",
            "| cpu | Model | 400 | - | 100 | 10.0 |",
            "| 2048 x 256 | plain float32 | cpu | 10.0 / 20.0 / 30.0 | 1.00 | - | 1.5e-7 |",
            "| gram, plain float32 | 2048 x 256 | wgpu:0 | 10.0 / 20.0 / 30.0 | 200 GFLOP/s | \
             products | 50 % |",
            "| gram, plain float64 | 2048 x 256 | cpu | skipped: the device has no float64 | | | |",
            "| gram, plain float32 2048 x 256 | cpu, wgpu:0 | 1.0e-2 **apart** | 1e-3 |",
        ] {
            assert!(text.contains(row), "{row}\nin\n{text}");
        }
        assert!(!text.contains("**cpu is a software"), "{text}");
        let alone = markdown(&machine, &versions, &devices[..1], &[]);
        assert!(!alone.contains("## Agreement"), "{alone}");
    }

    #[test]
    fn numbers_keep_three_digits() {
        for (value, text) in [(1234.5, "1234"), (12.34, "12.3"), (1.234, "1.23"), (0.1234, "0.123")]
        {
            assert_eq!(significant(value), text);
        }
    }
}
