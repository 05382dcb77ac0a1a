//! Distances between a result and what was expected.

/// The largest absolute difference between two lists of the same length; NaN if one of them has a
/// NaN.
///
/// # Panics
///
/// If the lengths differ.
pub fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "lists of different length");
    // `f64::max` would drop a NaN.
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |worst, x| if x > worst || x.is_nan() { x } else { worst })
}

/// Whether `found` is within `tolerance` of `expected`, relative to the larger of the two. Never
/// true for a NaN.
pub fn is_close(found: f64, expected: f64, tolerance: f64) -> bool {
    approx::relative_eq!(found, expected, max_relative = tolerance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closeness_is_relative() {
        assert!(is_close(1000.0, 1000.9, 1e-3));
        assert!(!is_close(1.0, 1.1, 1e-3));
        assert!(!is_close(f64::NAN, f64::NAN, 1.0));
    }

    #[test]
    fn a_nan_is_never_a_small_difference() {
        assert_eq!(largest_difference(&[1.0, 2.0], &[1.5, 2.0]), 0.5);
        assert!(largest_difference(&[1.0, f64::NAN, 3.0], &[1.0, 2.0, 3.0]).is_nan());
    }
}
