//! [`format`]: Python's format specifications, as in `'{:>8.2f}'`.

use crate::budget::{Budget, MAX_BYTES};
use crate::error::{Result, fail};
use crate::format::digits;
use crate::value::Value;
use crate::value::number::float;
use crate::value::repr::text;
use crate::value::writer::Writer;

/// `[[fill]align][sign][#][0][width][grouping][.precision][type]`
#[derive(Debug)]
struct Spec {
    fill: char,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    zero: bool,
    width: usize,
    grouping: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

/// `value` as `spec` says.
pub fn format(value: &Value, spec: &str, budget: &Budget) -> Result<String> {
    if let Value::Undefined(missing) = value {
        return missing.fail();
    }
    if spec.is_empty() {
        return Ok(text(value, budget)?.into_owned());
    }
    let spec = parse(spec)?;
    match value {
        Value::Text(text) => {
            if !matches!(spec.kind, None | Some('s'))
                || spec.sign.is_some()
                || spec.alternate
                || spec.grouping.is_some()
                || spec.align == Some('=')
            {
                return fail!("invalid format specification for a str");
            }
            let text: String = match spec.precision {
                Some(count) => text.chars().take(count).collect(),
                None => text.to_string(),
            };
            padded("", &text, &spec, '<', budget)
        }
        Value::Bool(_) if spec.kind.is_none() => {
            let plain = Value::Int(value.as_int().unwrap_or(0));
            number(&plain, &spec, budget)
        }
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => number(value, &spec, budget),
        _ => fail!("unsupported format string passed to {}", value.kind()),
    }
}

fn parse(spec: &str) -> Result<Spec> {
    let characters: Vec<char> = spec.chars().collect();
    let mut at = 0;
    let aligns = |c: Option<&char>| matches!(c, Some('<' | '>' | '^' | '='));
    let mut parsed = Spec {
        fill: ' ',
        align: None,
        sign: None,
        alternate: false,
        zero: false,
        width: 0,
        grouping: None,
        precision: None,
        kind: None,
    };
    if aligns(characters.get(1)) {
        (parsed.fill, parsed.align, at) = (characters[0], Some(characters[1]), 2);
    } else if aligns(characters.first()) {
        (parsed.align, at) = (Some(characters[0]), 1);
    }
    if let Some(sign @ ('+' | '-' | ' ')) = characters.get(at) {
        (parsed.sign, at) = (Some(*sign), at + 1);
    }
    if characters.get(at) == Some(&'#') {
        (parsed.alternate, at) = (true, at + 1);
    }
    if characters.get(at) == Some(&'0') {
        (parsed.zero, at) = (true, at + 1);
    }
    let count = |at: &mut usize| {
        let digits: String = characters[*at..].iter().take_while(|c| c.is_ascii_digit()).collect();
        *at += digits.len();
        (!digits.is_empty()).then(|| digits.parse().unwrap_or(MAX_BYTES + 1).min(MAX_BYTES + 1))
    };
    parsed.width = count(&mut at).unwrap_or(0);
    if let Some(grouping @ (',' | '_')) = characters.get(at) {
        (parsed.grouping, at) = (Some(*grouping), at + 1);
    }
    if characters.get(at) == Some(&'.') {
        at += 1;
        parsed.precision = count(&mut at);
        if parsed.precision.is_none() {
            return fail!("format specifier missing precision");
        }
    }
    parsed.kind = characters.get(at).copied();
    if characters.len() > at + 1 { fail!("invalid format specifier '{spec}'") } else { Ok(parsed) }
}

fn number(value: &Value, spec: &Spec, budget: &Budget) -> Result<String> {
    let kind = spec.kind;
    let (negative, prefix, digits) = match (value.as_int(), kind) {
        (Some(whole), None | Some('d' | 'n' | 'b' | 'o' | 'x' | 'X')) => {
            if spec.precision.is_some() {
                return fail!("precision not allowed in integer format specifier");
            }
            let kind = kind.unwrap_or('d');
            let prefix = match kind {
                'b' | 'o' | 'x' | 'X' if spec.alternate => format!("0{kind}"),
                _ => String::new(),
            };
            (whole < 0, prefix, digits::whole(whole, kind))
        }
        (Some(code), Some('c')) => {
            let Some(character) = u32::try_from(code).ok().and_then(char::from_u32) else {
                return fail!("%c arg not in range(0x110000)");
            };
            return padded("", &character.to_string(), spec, '<', budget);
        }
        _ => {
            let number = value.as_float().unwrap_or(f64::NAN);
            let negative = number.is_sign_negative() && !number.is_nan();
            (negative, String::new(), real(number, value.as_int().is_some(), spec)?)
        }
    };
    let sign = match (negative, spec.sign) {
        (true, _) => "-",
        (_, Some('+')) => "+",
        (_, Some(' ')) => " ",
        _ => "",
    };
    let group = if matches!(kind, Some('b' | 'o' | 'x' | 'X')) { 4 } else { 3 };
    let lead = format!("{sign}{prefix}");
    let fills = spec.zero && spec.align.is_none() || spec.align == Some('=') && spec.fill == '0';
    let digits = match spec.grouping {
        None => digits,
        Some(separator) => {
            let least = if fills { spec.width.saturating_sub(lead.len()) } else { 0 };
            budget.text(least)?;
            grouped(&digits, separator, group, least)
        }
    };
    padded(&lead, &digits, spec, '>', budget)
}

fn real(number: f64, whole: bool, spec: &Spec) -> Result<String> {
    let kind = spec.kind;
    let precision = spec.precision;
    let digits = match kind {
        None if precision.is_none() => float(number.abs()),
        // As 'g', with at least one digit after the point.
        None => {
            let precision = precision.unwrap_or(6).max(1);
            let digits = digits::real(number, 'g', precision, spec.alternate)?;
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            if plain && !whole { digits + ".0" } else { digits }
        }
        Some('%') => {
            let percent = number * 100.0;
            digits::real(percent, 'f', precision.unwrap_or(6), spec.alternate)? + "%"
        }
        Some(kind @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'n')) => {
            let lower = if kind == 'n' { 'g' } else { kind.to_ascii_lowercase() };
            digits::real(number, lower, precision.unwrap_or(6), spec.alternate)?
        }
        Some(kind) => return fail!("unknown format code '{kind}' for a number"),
    };
    let upper = matches!(kind, Some('E' | 'F' | 'G'));
    Ok(if upper { digits.to_ascii_uppercase() } else { digits })
}

/// The digits before the point in groups, with zeros up to a length of `least`.
fn grouped(digits: &str, separator: char, group: usize, least: usize) -> String {
    let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
    // An exponent belongs to what follows the digits.
    let end = if group == 3 { digits.find(['.', 'e', '%']).unwrap_or(end) } else { end };
    let (whole, rest) = digits.split_at(end);
    if whole.is_empty() {
        return digits.to_string();
    }
    let mut count = whole.len();
    while count + (count - 1) / group + rest.len() < least {
        count += 1;
    }
    let mut grouped = String::new();
    for place in (0..count).rev() {
        let digit = whole.len().checked_sub(place + 1).map(|at| &whole[at..=at]);
        grouped.push_str(digit.unwrap_or("0"));
        if place > 0 && place % group == 0 {
            grouped.push(separator);
        }
    }
    grouped + rest
}

/// `lead` and `body` in the width of `spec`.
fn padded(lead: &str, body: &str, spec: &Spec, align: char, budget: &Budget) -> Result<String> {
    let mut writer = Writer::new(budget);
    let length = lead.len() + body.chars().count();
    let missing = spec.width.saturating_sub(length);
    let numeric = align == '>';
    let (align, fill) = match (spec.align, spec.zero) {
        (Some(align), true) if spec.fill == ' ' => (align, '0'),
        (Some(align), _) => (align, spec.fill),
        (None, true) => (if numeric { '=' } else { '<' }, '0'),
        (None, false) => (align, ' '),
    };
    let fill = fill.to_string();
    let before = match align {
        '>' => missing,
        '^' => missing / 2,
        _ => 0,
    };
    writer.repeat(&fill, before)?;
    writer.push(lead)?;
    if align == '=' {
        writer.repeat(&fill, missing)?;
    }
    writer.push(body)?;
    if matches!(align, '<' | '^') {
        writer.repeat(&fill, missing - before)?;
    }
    Ok(writer.finish())
}
