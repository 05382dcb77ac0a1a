//! How far results are apart.

/// The largest absolute difference of two equally long lists.
///
/// # Panics
///
/// If they are not equally long.
pub fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "lists of different length");
    // `f64::max` would drop a NaN.
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |worst, x| if x > worst || x.is_nan() { x } else { worst })
}

/// `|a - b| / |b|`.
pub fn relative(a: f64, b: f64) -> f64 {
    (a - b).abs() / b.abs()
}
