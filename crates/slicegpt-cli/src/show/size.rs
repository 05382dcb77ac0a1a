//! Sizes with units, parsed and shown.

pub use slicegpt_report::{show_bytes, show_count, show_percent};

/// Parses `5GB`, `500MB`, `1.5GiB` or a plain number of bytes. As in transformers, `GB` is 10^9.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1.0,
        "K" | "KB" => 1e3,
        "M" | "MB" => 1e6,
        "G" | "GB" => 1e9,
        "T" | "TB" => 1e12,
        "KIB" => 1024.0,
        "MIB" => 1024f64.powi(2),
        "GIB" => 1024f64.powi(3),
        "TIB" => 1024f64.powi(4),
        other => return Err(format!("unknown unit `{other}`; write e.g. 5GB or 500MiB")),
    };
    match number.parse::<f64>() {
        Ok(number) if number * unit >= 1.0 => Ok((number * unit) as u64),
        _ => Err("a size above 0 is needed, e.g. 5GB or 500MiB".into()),
    }
}

/// Parses `5B`, `750M`, `1.5k` or a plain number of parameters.
pub fn parse_count(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_uppercase().as_str() {
        "" => 1.0,
        "K" => 1e3,
        "M" => 1e6,
        "B" | "G" => 1e9,
        "T" => 1e12,
        other => return Err(format!("unknown unit `{other}`; write e.g. 5B or 750M")),
    };
    match number.parse::<f64>() {
        Ok(number) if number * unit >= 1.0 => Ok((number * unit) as u64),
        _ => Err("a number above 0 is needed, e.g. 5B or 750M".into()),
    }
}

/// The distinct values among widths.
pub fn show_widths(widths: &[usize]) -> String {
    let distinct: std::collections::BTreeSet<_> = widths.iter().collect();
    distinct.into_iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("5GB", 5_000_000_000), ("1.5 GiB", 1_610_612_736), ("17", 17), ("2k", 2000)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes));
        }
        for text in ["", "GB", "0", "-5GB", "5XB", "1e9"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
        assert_eq!(parse_count("5B"), Ok(5_000_000_000));
        assert_eq!(parse_count("1.5k"), Ok(1500));
        assert!(parse_count("5GB").is_err() && parse_count("").is_err());
    }
}
