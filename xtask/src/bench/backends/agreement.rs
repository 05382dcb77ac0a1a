//! Checks that devices compute the same: compares the checksums of each kernel with those of the
//! first device that ran it.

use std::fmt;

use serde_json::{Value, json};

use super::results::DeviceResults;

/// One kernel on two devices.
#[derive(Debug, PartialEq)]
pub struct Compared {
    pub kernel: String,
    pub devices: [String; 2],
    /// The difference, relative to the norm of the first.
    pub difference: f64,
    pub tolerance: f64,
}

pub fn compare(devices: &[DeviceResults]) -> Vec<Compared> {
    let mut compared = Vec::new();
    for (index, device) in devices.iter().enumerate() {
        for (kernel, numbers) in device.measured() {
            let first = devices[..index].iter().find_map(|other| {
                let found = other.kernel(kernel.key())?;
                Some((other, found.numbers.as_ref().ok()?))
            });
            let Some((other, reference)) = first else { continue };
            let norm = numbers.norm - reference.norm;
            let projection = numbers.projection - reference.projection;
            let difference = if reference.norm == 0.0 && numbers.norm == 0.0 {
                0.0
            } else if norm.is_nan() || projection.is_nan() {
                // A NaN stays a NaN here: see `agree`.
                f64::NAN
            } else {
                norm.abs().max(projection.abs()) / reference.norm
            };
            compared.push(Compared {
                kernel: format!("{} {}", kernel.title(), kernel.shape),
                devices: [other.name.clone(), device.name.clone()],
                difference,
                tolerance: kernel.tolerance,
            });
        }
    }
    compared
}

impl Compared {
    /// A NaN agrees with nothing.
    pub fn agree(&self) -> bool {
        self.difference <= self.tolerance
    }

    pub fn to_json(&self) -> Value {
        json!({
            "kernel": self.kernel,
            "devices": self.devices,
            "difference": self.difference,
            "tolerance": self.tolerance,
            "agree": self.agree(),
        })
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, devices: [first, second], difference, tolerance } = self;
        write!(
            f,
            "{kernel}: {first} and {second} differ by {difference:.1e}, more than {tolerance:.0e}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::device;
    use super::*;

    fn of(first: f64, second: f64) -> Vec<Compared> {
        compare(&[device("cpu", first), device("wgpu:0", second)])
    }

    #[test]
    fn results_may_differ_within_the_tolerance() {
        // Kernels that a device skipped are not compared.
        let near = of(100.0, 100.05);
        assert_eq!(near.len(), 1);
        assert!(near[0].agree() && near[0].difference > 4e-4, "{near:?}");
        let far = &of(100.0, 100.2)[0];
        assert!(!far.agree());
        let text = far.to_string();
        assert!(text.contains("gram, plain float32 2048 x 256: cpu and wgpu:0"), "{text}");
    }

    #[test]
    fn what_is_no_number_agrees_with_nothing() {
        let mut other = device("wgpu:0", 1.0);
        let numbers = other.kernels[0].numbers.as_mut().unwrap();
        numbers.norm = f64::NAN;
        assert!(!compare(&[device("cpu", 1.0), other])[0].agree());
        assert!(!of(0.0, 1.0)[0].agree());
        assert_eq!(compare(&[device("cpu", 1.0)]), []);
    }
}
