//! Digits of numbers in the formats of Python and C: `e`, `f`, `g`.

use crate::error::{Result, fail};
use crate::value::number::power;

/// Digits after the point that may be asked for.
const MAX_PRECISION: usize = 1000;

/// The digits of `value` without its sign.
///
/// `kind` is `e`, `f` or `g`. `alternate` keeps the point, and the zeros of `g`.
pub fn real(value: f64, kind: char, precision: usize, alternate: bool) -> Result<String> {
    if precision > MAX_PRECISION {
        return fail!("text too long: more than {MAX_PRECISION} digits after the point");
    }
    let value = value.abs();
    if value.is_nan() {
        return Ok("nan".into());
    }
    if value.is_infinite() {
        return Ok("inf".into());
    }
    Ok(match kind {
        'e' => scientific(value, precision, alternate),
        'g' => general(value, precision.max(1), alternate),
        _ => {
            let digits = format!("{value:.precision$}");
            if alternate && precision == 0 { digits + "." } else { digits }
        }
    })
}

fn scientific(value: f64, precision: usize, alternate: bool) -> String {
    let (digits, exponent) = parts(value, precision);
    let point = if alternate && precision == 0 { "." } else { "" };
    format!("{digits}{point}{}", power(exponent))
}

fn parts(value: f64, precision: usize) -> (String, i32) {
    let text = format!("{value:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    (digits.to_string(), exponent.parse().unwrap_or(0))
}

/// `precision` digits in all, with an exponent where the number is very small or very large.
fn general(value: f64, precision: usize, alternate: bool) -> String {
    let (digits, exponent) = parts(value, precision - 1);
    let last = i32::try_from(precision).unwrap_or(i32::MAX);
    if (-4..last).contains(&exponent) {
        let after = usize::try_from(last - 1 - exponent).unwrap_or(0);
        return shortened(format!("{value:.after$}"), alternate);
    }
    shortened(digits, alternate) + &power(exponent)
}

fn shortened(digits: String, alternate: bool) -> String {
    match (alternate, digits.contains('.')) {
        (true, true) => digits,
        (true, false) => digits + ".",
        (false, true) => digits.trim_end_matches('0').trim_end_matches('.').to_string(),
        (false, false) => digits,
    }
}

/// The digits of `value` without its sign, in base 2, 8, 10 or 16 for `b`, `o`, `d`, `x` and `X`.
pub fn whole(value: i128, kind: char) -> String {
    let value = value.unsigned_abs();
    match kind {
        'b' => format!("{value:b}"),
        'o' => format!("{value:o}"),
        'x' => format!("{value:x}"),
        'X' => format!("{value:X}"),
        _ => value.to_string(),
    }
}
