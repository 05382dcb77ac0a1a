//! [`Stages`]: where the time of a calibration was spent.

use std::time::{Duration, Instant};

/// The time spent in each stage of a calibration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Running sublayers, including the projection of their inputs.
    pub forward: Duration,
    /// Summing covariances and moments.
    pub gram: Duration,
    /// Computing eigenvectors.
    pub eigen: Duration,
    /// Rewriting weights.
    pub edit: Duration,
    /// Moving signals to where they are stored, and back.
    pub stream: Duration,
}

impl std::ops::AddAssign for Stages {
    fn add_assign(&mut self, other: Self) {
        let Self { forward, gram, eigen, edit, stream } = other;
        self.forward += forward;
        self.gram += gram;
        self.eigen += eigen;
        self.edit += edit;
        self.stream += stream;
    }
}

/// Adds the time that `work` takes to `stage`.
pub(crate) fn timed<T>(stage: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *stage += start.elapsed();
    result
}
