//! The axis of a chart: its range and its ticks.

pub struct Axis {
    low: f64,
    high: f64,
    is_logarithmic: bool,
}

/// Above this ratio of the largest to the smallest value, the axis is logarithmic.
const FAR_APART: f64 = 4.0;

/// The margin at both ends, as a fraction of the axis.
const MARGIN: f64 = 0.05;

/// The approximate number of ticks that fit.
const TICKS: f64 = 6.0;

impl Axis {
    /// A linear axis that covers the values, with a margin at both ends.
    pub fn linear(values: &[f64]) -> Self {
        let (least, greatest) = ends(values).unwrap_or((0.0, 1.0));
        // A single value is in the middle.
        let span = if greatest > least { greatest - least } else { greatest.abs().max(1e-9) };
        let low = least - MARGIN * span;
        // No value is negative.
        let low = if least >= 0.0 { low.max(0.0) } else { low };
        Self { low, high: greatest + MARGIN * span, is_logarithmic: false }
    }

    /// As [`Axis::linear`], or logarithmic if the values are far apart.
    pub fn fitting(values: &[f64]) -> Self {
        match ends(values) {
            Some((least, greatest)) if least > 0.0 && are_far_apart(least, greatest) => {
                let margin = (greatest / least).powf(MARGIN);
                Self { low: least / margin, high: greatest * margin, is_logarithmic: true }
            }
            _ => Self::linear(values),
        }
    }

    pub fn is_logarithmic(&self) -> bool {
        self.is_logarithmic
    }

    /// The position of a value on the axis, from 0 to 1, clamped to these ends.
    pub fn part(&self, value: f64) -> f64 {
        let part = if self.is_logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        part.clamp(0.0, 1.0)
    }

    /// Round values within the range, and their labels.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        if self.is_logarithmic { self.logarithmic_ticks() } else { self.linear_ticks() }
    }

    fn linear_ticks(&self) -> Vec<(f64, String)> {
        let step = round_step((self.high - self.low) / TICKS);
        let decimals = decimals(step);
        let range = (self.low / step).ceil() as i64..=(self.high / step).floor() as i64;
        let tick = |count| step * count as f64;
        range.map(tick).map(|value| (value, format!("{value:.decimals$}"))).collect()
    }

    /// Ticks at 1, 2 and 5 times powers of ten; at every digit if these are few, only at powers of
    /// ten if they are many.
    fn logarithmic_ticks(&self) -> Vec<(f64, String)> {
        let powers = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let at = |factors: &[i32]| -> Vec<f64> {
            let powers = powers.clone().map(|power| 10_f64.powi(power));
            let values =
                powers.flat_map(|power| factors.iter().map(move |f| f64::from(*f) * power));
            values.filter(|value| (self.low..=self.high).contains(value)).collect()
        };
        let values = match at(&[1, 2, 5]) {
            few if few.len() < 4 => at(&[1, 2, 3, 4, 5, 6, 7, 8, 9]),
            many if many.len() > 12 => at(&[1]),
            values => values,
        };
        let label = |value: f64| {
            let decimals = decimals(value);
            (value, format!("{value:.decimals$}"))
        };
        values.into_iter().map(label).collect()
    }
}

/// Whether two positive values are too far apart for a linear axis.
pub fn are_far_apart(one: f64, other: f64) -> bool {
    one.max(other) > FAR_APART * one.min(other)
}

fn ends(values: &[f64]) -> Option<(f64, f64)> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    Some((finite().reduce(f64::min)?, finite().reduce(f64::max)?))
}

/// `step` rounded up to 1, 2 or 5 times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powi(least.log10().floor() as i32);
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= least);
    factor.unwrap_or(10.0) * power
}

/// The number of decimals of a value with one significant digit.
fn decimals(value: f64) -> usize {
    // Powers of ten are not exact.
    (-(value.log10() + 1e-9).floor()).max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        let rows: [(&[f64], &[&str]); 6] = [
            (&[12.5, 19.1], &["14", "16", "18"]),
            (&[0.0, 0.31], &["0.0", "0.1", "0.2", "0.3"]),
            (&[12.9, 75.0], &["20", "30", "40", "50", "60", "70", "80"]),
            (&[12.9, 700.0], &["20", "50", "100", "200", "500"]),
            (&[0.004, 0.8], &["0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]),
            (&[1e-4, 1e4], &["0.0001", "0.001", "0.01", "0.1", "1", "10", "100", "1000", "10000"]),
        ];
        for (values, expected) in rows {
            let axis = Axis::fitting(values);
            assert_eq!(labels(&axis), expected, "{values:?}");
            assert!(axis.ticks().iter().all(|(at, _)| (0.0..=1.0).contains(&axis.part(*at))));
        }
    }

    #[test]
    fn only_values_far_apart_are_shown_by_their_logarithm() {
        assert!(!Axis::fitting(&[10.0, 40.0]).is_logarithmic());
        assert!(Axis::fitting(&[10.0, 41.0]).is_logarithmic());
        // Zero has no logarithm.
        assert!(!Axis::fitting(&[0.0, 41.0]).is_logarithmic());
        let axis = Axis::fitting(&[1.0, 100.0]);
        assert!((axis.part(10.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn every_value_has_a_place() {
        for values in [&[][..], &[5.0], &[0.0], &[0.0, 0.0], &[f64::NAN, 3.0, 4.0], &[1.0, 1e9]] {
            let axis = Axis::fitting(values);
            for value in values.iter().copied().filter(|value| value.is_finite()) {
                assert!((0.0..=1.0).contains(&axis.part(value)), "{values:?}");
            }
            assert!(axis.ticks().len() < 20, "{values:?}");
        }
        assert_eq!(Axis::linear(&[10.0, 20.0]).part(-1.0), 0.0);
        assert_eq!(Axis::fitting(&[1.0, 100.0]).part(0.0), 0.0);
    }
}
