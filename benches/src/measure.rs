//! [`measure`]: times a kernel. It does not know what the kernel does.

use std::time::{Duration, Instant};

use slicegpt_device::{DeviceError, guard};

use crate::{Kernel, Outcome};

/// The seconds of each run of a kernel, and the result of the first run.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The seconds in ascending order, at least three.
    pub seconds: Vec<f64>,
    /// The result.
    pub outcome: Outcome,
}

impl Measured {
    /// The fastest run, which other programs disturbed least.
    pub fn least(&self) -> f64 {
        self.seconds[0]
    }

    /// The median run.
    pub fn median(&self) -> f64 {
        let middle = self.seconds.len() / 2;
        match self.seconds.len() % 2 {
            1 => self.seconds[middle],
            _ => (self.seconds[middle - 1] + self.seconds[middle]) / 2.0,
        }
    }

    /// The slowest run.
    pub fn greatest(&self) -> f64 {
        self.seconds[self.seconds.len() - 1]
    }
}

const FEWEST: usize = 3;
const MOST: usize = 25;

/// Runs `kernel` once to warm up (devices compile and tune shaders then), then at least three
/// times, until `patience` has passed or it has run 25 times.
///
/// # Errors
///
/// If the device cannot run it.
pub fn measure(kernel: &Kernel, patience: Duration) -> Result<Measured, DeviceError> {
    guard(|| {
        let outcome = kernel.prepare()()();
        let began = Instant::now();
        let mut seconds = Vec::new();
        while seconds.len() < FEWEST || (seconds.len() < MOST && began.elapsed() < patience) {
            let run = kernel.prepare();
            let start = Instant::now();
            let output = run();
            seconds.push(start.elapsed().as_secs_f64());
            drop(output);
        }
        seconds.sort_by(f64::total_cmp);
        Measured { seconds, outcome }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Checksum, Work};

    fn kernel(panic: Option<&'static str>) -> Kernel {
        Kernel {
            group: "test",
            name: "",
            shape: String::new(),
            work: Work::default(),
            tolerance: 0.0,
            unavailable: None,
            prepare: Box::new(move || {
                if let Some(message) = panic {
                    panic!("{message}");
                }
                Box::new(|| Box::new(|| Outcome::of([3.0, 4.0])))
            }),
        }
    }

    #[test]
    fn a_kernel_is_run_several_times() {
        let measured = measure(&kernel(None), Duration::ZERO).unwrap();
        assert_eq!(measured.seconds.len(), FEWEST);
        assert!(measured.least() <= measured.median() && measured.median() <= measured.greatest());
        assert_eq!(measured.outcome.checksum, Checksum::of([3.0, 4.0]));
    }

    #[test]
    fn a_failure_of_the_device_is_an_error() {
        let error = measure(&kernel(Some("Device lost: gone")), Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("Device lost"), "{error}");
    }
}
