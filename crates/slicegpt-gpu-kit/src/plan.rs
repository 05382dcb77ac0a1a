//! The stages of a run, in the order of their importance, and how long each may take.

/// One stage of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name, and that of its files.
    pub name: &'static str,
    /// Its title on pages.
    pub title: &'static str,
    /// Time limit in seconds, in a run of six minutes.
    pub seconds: u64,
    /// Seconds it needs at least; with less time left it is skipped.
    pub least: u64,
}

/// All stages. The limits add up to more than the run, because few stages use theirs up.
pub const STAGES: &[Stage] = &[
    stage("devices", "The machine and its devices", 20, 3),
    stage("precision", "Sums and products against float64", 45, 5),
    stage("families", "Every family: logits, rotation", 75, 10),
    stage("methods", "Both methods, against the CPU", 90, 10),
    stage("limits", "Peak rates of the device", 40, 5),
    stage("faults", "Requests that cannot be met", 30, 5),
    stage("compress-1b", "Compressing the 1.1 B shape", 75, 15),
    stage("speed-1b", "Speed of the 1.1 B shape, dense and cut", 45, 10),
    stage("compress-7b", "Compressing the 7 B shape", 150, 45),
    stage("kernels", "Kernels", 60, 15),
];

const fn stage(name: &'static str, title: &'static str, seconds: u64, least: u64) -> Stage {
    Stage { name, title, seconds, least }
}

/// Minutes of the run that the limits of [`STAGES`] are for.
const MINUTES: f64 = 6.0;

/// Time limit of a stage in seconds, in a run of `minutes`.
pub fn limit_seconds(stage: &Stage, minutes: f64) -> u64 {
    let scaled = stage.seconds as f64 * minutes / MINUTES;
    (scaled as u64).max(stage.least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_scale_with_the_run() {
        let stage = STAGES[3];
        assert_eq!(limit_seconds(&stage, 6.0), stage.seconds);
        assert_eq!(limit_seconds(&stage, 12.0), 2 * stage.seconds);
        assert_eq!(limit_seconds(&stage, 0.1), stage.least);
        for (index, stage) in STAGES.iter().enumerate() {
            assert!(stage.least <= stage.seconds);
            assert!(STAGES[..index].iter().all(|other| other.name != stage.name));
        }
    }
}
