//! [`format`]: Python's `format % values`.

use crate::budget::{Budget, MAX_BYTES};
use crate::error::{Result, fail};
use crate::format::digits;
use crate::value::number::truncate;
use crate::value::repr::{repr, text};
use crate::value::writer::Writer;
use crate::value::{Dict, Value};

/// The text of `format` with its conversions replaced by `values`.
pub fn format(format: &str, values: &Value, budget: &Budget) -> Result<String> {
    let mut writer = Writer::new(budget);
    let mut source = Source::new(values);
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        writer.push(&rest[..at])?;
        rest = conversion(&rest[at + 1..], &mut source, &mut writer, budget)?;
    }
    writer.push(rest)?;
    let names = source.names.is_some();
    match source.rest.next() {
        Some(_) if !names => fail!("not all arguments converted during string formatting"),
        _ => Ok(writer.finish()),
    }
}

/// Where the values come from.
struct Source<'a> {
    names: Option<&'a Dict>,
    rest: std::slice::Iter<'a, Value>,
}

impl<'a> Source<'a> {
    fn new(values: &'a Value) -> Self {
        let (names, rest) = match values {
            Value::Tuple(tuple) => (None, &tuple.items[..]),
            Value::Dict(dict) => (Some(&**dict), std::slice::from_ref(values)),
            _ => (None, std::slice::from_ref(values)),
        };
        Self { names, rest: rest.iter() }
    }

    fn next(&mut self) -> Result<&'a Value> {
        match self.rest.next() {
            Some(Value::Undefined(missing)) => missing.fail(),
            Some(value) => Ok(value),
            None => fail!("not enough arguments for format string"),
        }
    }

    fn named(&self, name: &str, budget: &Budget) -> Result<&'a Value> {
        let Some(dict) = self.names else { return fail!("format requires a mapping") };
        match dict.named(name, budget)? {
            Some(value) => Ok(value),
            None => fail!("no key '{name}'"),
        }
    }
}

/// The flags of a conversion.
#[derive(Default)]
struct Flags {
    left: bool,
    zero: bool,
    sign: &'static str,
    alternate: bool,
}

/// Writes the conversion at the start of `rest`, and gives what follows it.
fn conversion<'f>(
    rest: &'f str,
    source: &mut Source<'_>,
    writer: &mut Writer<'_>,
    budget: &Budget,
) -> Result<&'f str> {
    let (name, mut rest) = key(rest)?;
    let mut flags = Flags::default();
    loop {
        match rest.as_bytes().first() {
            Some(b'-') => flags.left = true,
            Some(b'0') => flags.zero = true,
            Some(b'+') => flags.sign = "+",
            Some(b' ') if flags.sign.is_empty() => flags.sign = " ",
            Some(b' ') => {}
            Some(b'#') => flags.alternate = true,
            _ => break,
        }
        rest = &rest[1..];
    }
    let mut number = |rest: &mut &'f str| -> Result<Option<i128>> {
        if let Some(after) = rest.strip_prefix('*') {
            *rest = after;
            return source.next()?.int("a width").map(Some);
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at(digits);
        *rest = after;
        Ok((!digits.is_empty()).then(|| digits.parse().unwrap_or(i128::MAX)))
    };
    let mut width = number(&mut rest)?.unwrap_or(0);
    if width < 0 {
        (flags.left, width) = (true, width.saturating_neg());
    }
    let precision = match rest.strip_prefix('.') {
        Some(after) => {
            rest = after;
            let precision = number(&mut rest)?.unwrap_or(0).max(0);
            Some(usize::try_from(precision).unwrap_or(usize::MAX))
        }
        None => None,
    };
    rest = rest.trim_start_matches(['h', 'l', 'L']);
    let Some(kind) = rest.chars().next() else { return fail!("incomplete format") };
    let after = &rest[kind.len_utf8()..];
    if kind == '%' {
        writer.push("%")?;
        return Ok(after);
    }
    let value = match name {
        Some(name) => source.named(name, budget)?,
        None => source.next()?,
    };
    let width = usize::try_from(width).unwrap_or(usize::MAX).min(MAX_BYTES + 1);
    let (sign, body) = converted(value, kind, precision, &flags, budget)?;
    let numeric = !matches!(kind, 's' | 'r' | 'a' | 'c');
    padded(sign, &body, width, &flags, numeric, writer)?;
    Ok(after)
}

/// The key in brackets at the start of `rest`, and what follows.
fn key(rest: &str) -> Result<(Option<&str>, &str)> {
    let Some(inner) = rest.strip_prefix('(') else { return Ok((None, rest)) };
    let mut depth = 1;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok((Some(&inner[..at]), &inner[at + 1..]));
        }
    }
    fail!("incomplete format key")
}

/// Sign and prefix, and the rest of a value.
fn converted(
    value: &Value,
    kind: char,
    precision: Option<usize>,
    flags: &Flags,
    budget: &Budget,
) -> Result<(String, String)> {
    let cut = |text: &str| match precision {
        Some(count) => text.chars().take(count).collect(),
        None => text.to_string(),
    };
    match kind {
        's' => Ok((String::new(), cut(&text(value, budget)?))),
        'r' | 'a' => Ok((String::new(), cut(&repr(value, budget)?))),
        'c' => match (value.as_text(), value.as_int()) {
            (Some(text), _) if text.chars().count() == 1 => Ok((String::new(), text.into())),
            (_, Some(code)) => match u32::try_from(code).ok().and_then(char::from_u32) {
                Some(character) => Ok((String::new(), character.into())),
                None => fail!("%c arg not in range(0x110000)"),
            },
            _ => fail!("%c requires an int or a character"),
        },
        'd' | 'i' | 'u' | 'x' | 'X' | 'o' => {
            let floats = matches!(kind, 'd' | 'i' | 'u');
            let whole = match value {
                Value::Float(number) if floats => truncate(*number),
                _ => value.as_int(),
            };
            let Some(whole) = whole else {
                return fail!("%{kind} format: a real number is required, not {}", value.kind());
            };
            let prefix = match kind {
                'x' if flags.alternate => "0x",
                'X' if flags.alternate => "0X",
                'o' if flags.alternate => "0o",
                _ => "",
            };
            let digits = digits::whole(whole, kind);
            let least = precision.unwrap_or(0).min(MAX_BYTES + 1);
            budget.text(least)?;
            let zeros = "0".repeat(least.saturating_sub(digits.len()));
            let sign = if whole < 0 { "-" } else { flags.sign };
            Ok((format!("{sign}{prefix}"), zeros + &digits))
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            let Some(number) = value.as_float() else {
                return fail!("must be real number, not {}", value.kind());
            };
            let lower = kind.to_ascii_lowercase();
            let digits = digits::real(number, lower, precision.unwrap_or(6), flags.alternate)?;
            let digits =
                if kind.is_ascii_uppercase() { digits.to_ascii_uppercase() } else { digits };
            let negative = number.is_sign_negative() && !number.is_nan();
            Ok(((if negative { "-" } else { flags.sign }).to_string(), digits))
        }
        _ => fail!("unsupported format character '{kind}'"),
    }
}

fn padded(
    sign: String,
    body: &str,
    width: usize,
    flags: &Flags,
    numeric: bool,
    writer: &mut Writer<'_>,
) -> Result<()> {
    let length = sign.len() + body.chars().count();
    let missing = width.saturating_sub(length);
    let zeros = flags.zero && numeric && !flags.left;
    if !flags.left && !zeros {
        writer.repeat(" ", missing)?;
    }
    writer.push(&sign)?;
    if zeros {
        writer.repeat("0", missing)?;
    }
    writer.push(body)?;
    if flags.left { writer.repeat(" ", missing) } else { Ok(()) }
}
