//! Numbers with units for readers, and text for the cells of tables.

/// A number with three digits and an SI prefix, such as `494 TFLOP/s`.
pub fn rate(value: f64, unit: &str) -> String {
    let steps = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let (size, prefix) = steps.into_iter().find(|(size, _)| value >= *size).unwrap_or((1.0, ""));
    format!("{} {prefix}{unit}", digits(value / size))
}

/// A number of bytes, with decimal prefixes.
pub fn bytes(value: Option<u64>) -> String {
    value.map_or_else(|| "-".into(), |value| rate(value as f64, "B"))
}

/// A number with three digits.
pub fn digits(value: f64) -> String {
    match value {
        value if !value.is_finite() => "-".into(),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// A fraction, in percent.
pub fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{} %", digits(100.0 * value)))
}

/// Seconds, short ones in milliseconds.
pub fn seconds(value: f64) -> String {
    if value < 0.1 { format!("{} ms", digits(1e3 * value)) } else { format!("{} s", digits(value)) }
}

/// Text in one cell of a table.
pub fn cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(rate(494.5e12, "FLOP/s"), "494 TFLOP/s");
        assert_eq!(rate(3.35e12, "B/s"), "3.35 TB/s");
        assert_eq!(rate(12.0, "B"), "12.0 B");
        assert_eq!(bytes(Some(17_179_869_184)), "17.2 GB");
        assert_eq!(percent(Some(0.5123)), "51.2 %");
        assert_eq!([seconds(0.0021), seconds(21.0)], ["2.10 ms", "21.0 s"]);
        assert_eq!(cell("a | b\nc"), "a \\| b c");
    }
}
