//! Statistics over runs that differ only in the seed.

use super::plan::{Cut, Plan};
use super::results::RunResult;

/// The mean and the spread of several values.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    pub mean: f64,
    /// The sample standard deviation; `None` for a single value.
    pub deviation: Option<f64>,
    pub count: usize,
}

/// A method at one size on one text, over seeds.
pub struct Point<'a> {
    pub calibration: &'a str,
    pub cut: Cut,
    pub text: &'a str,
    pub is_calibration: bool,
    /// The real reduction of the number of parameters.
    pub reduction: Spread,
    pub perplexity: Spread,
    pub kl: Spread,
    pub agreement: Spread,
}

impl Spread {
    /// `None` if there are no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (count > 1).then(|| (squares / (count - 1) as f64).sqrt());
        Some(Self { mean, deviation, count })
    }

    /// The same in another unit.
    pub fn over(&self, unit: f64) -> Self {
        let deviation = self.deviation.map(|deviation| deviation / unit);
        Self { mean: self.mean / unit, deviation, count: self.count }
    }

    /// One standard deviation below and above the mean.
    pub fn ends(&self) -> [f64; 2] {
        let deviation = self.deviation.unwrap_or(0.0);
        [self.mean - deviation, self.mean + deviation]
    }
}

/// The points of one model, by calibration text and scored text in the order of the plan, then by
/// real reduction. There is no point where no seed succeeded.
pub fn points<'a>(plan: &'a Plan, runs: &[RunResult], model: &str) -> Vec<Point<'a>> {
    let mut points = Vec::new();
    for calibration in &plan.calibrations {
        let runs: Vec<_> = runs
            .iter()
            .filter(|run| run.model == model && run.calibration == calibration.name)
            .collect();
        for text in plan.scored(calibration) {
            let on_text = plan.cuts.iter().filter_map(|&cut| {
                let scores: Vec<_> = runs
                    .iter()
                    .filter(|run| run.cut == cut)
                    .filter_map(|run| run.found.as_ref().ok())
                    .filter_map(|compressed| {
                        let score = compressed.scores.iter().find(|it| it.text == text.name)?;
                        let (perplexity, divergence) = score.found.as_ref().ok()?;
                        Some((&compressed.summary, perplexity, divergence))
                    })
                    .collect();
                Some(Point {
                    calibration: &calibration.name,
                    cut,
                    text: &text.name,
                    is_calibration: text.name == calibration.name,
                    reduction: Spread::of(scores.iter().map(|(it, ..)| it.real_reduction))?,
                    perplexity: Spread::of(scores.iter().map(|(_, it, _)| it.perplexity))?,
                    kl: Spread::of(scores.iter().map(|(.., it)| it.kl))?,
                    agreement: Spread::of(scores.iter().map(|(.., it)| it.top1_agreement))?,
                })
            });
            let mut on_text: Vec<_> = on_text.collect();
            on_text.sort_by(|one, other| one.reduction.mean.total_cmp(&other.reduction.mean));
            points.extend(on_text);
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::super::plan::Method;
    use super::super::plan::tests::plan;
    use super::super::results::tests::example;
    use super::*;

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let spread = Spread::of([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((spread.mean, spread.count), (5.0, 8));
        let expected = (32.0_f64 / 7.0).sqrt();
        assert!((spread.deviation.unwrap() - expected).abs() < 1e-12, "{spread:?}");
        assert_eq!(Spread::of([3.0]).unwrap().deviation, None);
        assert_eq!(Spread::of([3.0]).unwrap().ends(), [3.0, 3.0]);
        assert_eq!(Spread::of([]), None);
        let halves = Spread::of([2.0, 4.0]).unwrap().over(2.0);
        assert_eq!(halves, Spread::of([1.0, 2.0]).unwrap());
    }

    #[test]
    fn seeds_are_taken_together_and_calibration_texts_apart() {
        let (plan, study) = (plan(), example());
        let points = points(&plan, &study.runs, "model");
        let keys: Vec<_> =
            points.iter().map(|it| (it.calibration, it.text, it.cut.method)).collect();
        use Method::{PerLayer, Shared};
        // The smaller reduction first.
        let expected = [
            ("train.txt", "valid.txt", PerLayer),
            ("train.txt", "valid.txt", Shared),
            ("train.txt", "train.txt", PerLayer),
            ("train.txt", "train.txt", Shared),
            ("web.txt", "valid.txt", PerLayer),
            ("web.txt", "valid.txt", Shared),
            ("web.txt", "web.txt", PerLayer),
            ("web.txt", "web.txt", Shared),
        ];
        assert_eq!(keys, expected);
        // Seeds 1 and 2 gave 22 and 24.
        let shared = &points[1];
        assert_eq!(shared.perplexity, Spread::of([22.0, 24.0]).unwrap());
        assert_eq!(shared.kl.mean, 0.02);
        assert!(!shared.is_calibration && points[3].is_calibration);
        assert_eq!(points[3].perplexity.mean, 22.0);
        // One run and one score failed: one seed is left.
        assert_eq!((points[0].perplexity.mean, points[0].perplexity.count), (22.0, 1));
        assert_eq!((points[5].perplexity.mean, points[5].perplexity.count), (24.0, 1));
        assert!(super::points(&plan, &study.runs, "other").is_empty());
    }
}
