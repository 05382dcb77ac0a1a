//! Numbers as Python writes them.

/// As Python's `repr` of a float.
pub fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    // Rust's shortest digits are Python's.
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    format!("{digits}{}", power(exponent))
}

/// An exponent of at least two digits.
pub fn power(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("e{sign}{:02}", exponent.abs())
}

/// As Python's `round` to an integer: halves to even.
pub fn round_half_even(value: f64) -> f64 {
    value.round_ties_even()
}

/// The integer that a float is without its fraction.
pub fn truncate(value: f64) -> Option<i128> {
    let whole = value.trunc();
    (whole.is_finite() && whole.abs() < 1e38).then_some(whole as i128)
}
