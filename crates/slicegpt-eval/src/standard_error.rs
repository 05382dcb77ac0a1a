//! The mean of values over sequences, and its standard error.

/// The mean and its standard error: NaN for no values, an error of zero for one value.
pub fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (mean, (variance / count).sqrt())
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn the_error_is_that_of_a_sample() {
        let (mean, error) = mean_and_error(&[1.0, 2.0, 3.0, 4.0]);
        assert_relative_eq!(mean, 2.5);
        // The sum of squares is 5, over n - 1 = 3 and again over n = 4.
        assert_relative_eq!(error, (5.0f64 / 12.0).sqrt());
    }

    #[test]
    fn one_value_has_no_error_and_none_has_no_mean() {
        assert_eq!(mean_and_error(&[7.0]), (7.0, 0.0));
        assert!(mean_and_error(&[]).0.is_nan());
    }
}
