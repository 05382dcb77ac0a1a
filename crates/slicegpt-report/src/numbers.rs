//! Numbers as text for people.

/// A number of parameters, such as `1.10 B` or `949 K`.
pub fn show_count(count: u64) -> String {
    scaled(count, &["", " K", " M", " B", " T"])
}

/// A number of bytes in decimal units, such as `2.20 GB`.
pub fn show_bytes(bytes: u64) -> String {
    scaled(bytes, &[" B", " kB", " MB", " GB", " TB"])
}

fn scaled(number: u64, units: &[&str]) -> String {
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = match value {
        _ if unit == 0 => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}{}", units[unit])
}

/// A fraction in percent, such as `25.0 %` or `-12.8 %`.
pub fn show_percent(fraction: f64) -> String {
    format!("{:.1} %", fraction * 100.0)
}

/// Widths: `96`, or `88 to 112` where they differ.
pub(crate) fn show_range(widths: &[usize]) -> String {
    match (widths.iter().min(), widths.iter().max()) {
        (Some(least), Some(most)) if least == most => least.to_string(),
        (Some(least), Some(most)) => format!("{least} to {most}"),
        _ => "-".into(),
    }
}

/// A number with about three digits: `0.0123`, `12.3`, `1230`, or `1.2e-7` where it is tiny.
pub(crate) fn show_number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        x if !(1e-4..1e6).contains(&x) => format!("{value:.1e}"),
        x => {
            let decimals = (2.0 - x.log10().floor()).clamp(0.0, 6.0) as usize;
            format!("{value:.decimals$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (bytes, text) in [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (999_999, "1.00 MB")] {
            assert_eq!(show_bytes(bytes), text);
        }
        assert_eq!(show_count(1_100_048_384), "1.10 B");
        assert_eq!(show_percent(-0.128), "-12.8 %");
        assert_eq!(show_range(&[96, 96]), "96");
        assert_eq!(show_range(&[112, 96, 128]), "96 to 128");
        for (value, text) in
            [(0.0, "0"), (12.345, "12.3"), (1234.5, "1234"), (0.01234, "0.0123"), (2e-7, "2.0e-7")]
        {
            assert_eq!(show_number(value), text);
        }
    }
}
