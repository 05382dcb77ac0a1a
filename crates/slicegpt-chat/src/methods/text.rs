//! The methods of `str`, but `format` and `format_map`.

use std::sync::Arc;

use crate::budget::{Budget, MAX_BYTES};
use crate::error::{Error, Result, fail};
use crate::methods::{case, search, split};
use crate::value::compare::{dict_of, entry};
use crate::value::space::lines;
use crate::value::writer::Writer;
use crate::value::{Args, Value};

/// Calls method `name` of `text`.
pub fn call(text: &Arc<str>, name: &str, arguments: Args, budget: &Budget) -> Result<Value> {
    budget.text(text.len())?;
    if name.starts_with("is") {
        let [] = arguments.bind(name, [], 0)?;
        return Ok(Value::Bool(case::is(text, name)));
    }
    match name {
        "count" | "find" | "index" | "rfind" | "rindex" | "startswith" | "endswith" => {
            search::call(text, name, arguments, budget)
        }
        "split" | "rsplit" => split::split(text, name, arguments, budget),
        "partition" | "rpartition" => split::partition(text, name, arguments, budget),
        "splitlines" => {
            let [ends] = arguments.bind(name, ["keepends"], 0)?;
            split::texts(lines(text, ends.is_some_and(|ends| ends.truth())), budget)
        }
        "strip" | "lstrip" | "rstrip" => {
            let [characters] = arguments.bind(name, ["chars"], 0)?;
            let characters = match &characters {
                None | Some(Value::None) => None,
                Some(characters) => Some(characters.str("the characters")?),
            };
            Ok(Value::text(split::strip(text, name, characters)))
        }
        "center" | "ljust" | "rjust" | "zfill" => pad(text, name, arguments, budget),
        "replace" => {
            let [old, new, count] = arguments.bind(name, ["old", "new", "count"], 2)?;
            let (old, new) = (old.unwrap_or(Value::None), new.unwrap_or(Value::None));
            let count = count.map_or(Ok(-1), |count| count.int("count"))?;
            replace(text, old.str("the old text")?, new.str("the new text")?, count, budget)
        }
        "join" => {
            let [parts] = arguments.bind(name, ["iterable"], 1)?;
            join(text, &parts.unwrap_or(Value::None).iterate(budget)?, budget)
        }
        "removeprefix" | "removesuffix" => {
            let [end] = arguments.bind(name, ["end"], 1)?;
            let end = end.unwrap_or(Value::None);
            let end = end.str("the argument")?;
            let cut = match name {
                "removeprefix" => text.strip_prefix(end),
                _ => text.strip_suffix(end),
            };
            Ok(cut.map_or_else(|| Value::Text(text.clone()), Value::text))
        }
        "expandtabs" => {
            let [size] = arguments.bind(name, ["tabsize"], 0)?;
            expand(text, size.map_or(Ok(8), |size| size.int("tabsize"))?, budget)
        }
        "maketrans" => table(arguments, budget),
        "translate" => {
            let [table] = arguments.bind(name, ["table"], 1)?;
            translate(text, &table.unwrap_or(Value::None), budget)
        }
        "encode" => fail!("'encode' makes bytes, which templates here do not have"),
        _ => {
            let [] = arguments.bind(name, [], 0)?;
            // A letter becomes at most three.
            budget.text(text.len().saturating_mul(3).min(text.len().max(MAX_BYTES)))?;
            Ok(Value::text(match name {
                "upper" => text.to_uppercase(),
                "lower" => text.to_lowercase(),
                "capitalize" => case::capitalize(text),
                "casefold" => case::fold(text),
                "swapcase" => case::swap(text),
                _ => case::title(text),
            }))
        }
    }
}

fn pad(text: &str, name: &str, arguments: Args, budget: &Budget) -> Result<Value> {
    let [width, fill] = arguments.bind(name, ["width", "fillchar"], 1)?;
    let width = width.unwrap_or(Value::None).int("width")?;
    let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
    let fill = match &fill {
        Some(fill) if name != "zfill" => fill.str("the fill character")?,
        _ => " ",
    };
    if fill.chars().count() != 1 {
        return fail!("the fill character must be exactly one character long");
    }
    let missing = width.saturating_sub(text.chars().count());
    let mut writer = Writer::new(budget);
    if name == "zfill" {
        let signed = text.starts_with(['+', '-']);
        let (sign, rest) = text.split_at(usize::from(signed));
        writer.push(sign)?;
        writer.repeat("0", missing)?;
        writer.push(rest)?;
        return Ok(Value::text(writer.finish()));
    }
    let before = match name {
        "rjust" => missing,
        "center" => missing / 2 + (missing & width & 1),
        _ => 0,
    };
    writer.repeat(fill, before)?;
    writer.push(text)?;
    writer.repeat(fill, missing - before)?;
    Ok(Value::text(writer.finish()))
}

/// `text` with at most `count` occurrences of `old` replaced, or all if it is negative.
pub fn replace(text: &str, old: &str, new: &str, count: i128, budget: &Budget) -> Result<Value> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let mut writer = Writer::new(budget);
    let mut from = 0;
    for (at, found) in text.match_indices(old).take(most) {
        writer.push(&text[from..at])?;
        writer.push(new)?;
        from = at + found.len();
    }
    writer.push(&text[from..])?;
    Ok(Value::text(writer.finish()))
}

/// The texts `parts` with `separator` between them.
fn join(separator: &str, parts: &[Value], budget: &Budget) -> Result<Value> {
    let mut writer = Writer::new(budget);
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            writer.push(separator)?;
        }
        writer.push(part.str(&format!("item {index} of join"))?)?;
    }
    Ok(Value::text(writer.finish()))
}

fn expand(text: &str, size: i128, budget: &Budget) -> Result<Value> {
    let size = usize::try_from(size.max(0)).unwrap_or(usize::MAX);
    let mut writer = Writer::new(budget);
    let mut column = 0;
    for character in text.chars() {
        match character {
            '\t' if size > 0 => {
                let spaces = size - column % size;
                writer.repeat(" ", spaces)?;
                column += spaces;
            }
            '\t' => {}
            _ => {
                writer.push(character.encode_utf8(&mut [0; 4]))?;
                column = if matches!(character, '\n' | '\r') { 0 } else { column + 1 };
            }
        }
    }
    Ok(Value::text(writer.finish()))
}

/// The table that `translate` takes.
fn table(arguments: Args, budget: &Budget) -> Result<Value> {
    let [from, to, removed] = arguments.bind("maketrans", ["x", "y", "z"], 1)?;
    let from = from.unwrap_or(Value::None);
    let code = |character: char| Value::Int(u32::from(character).into());
    let mut entries = Vec::new();
    match (&from, to) {
        (Value::Dict(dict), None) => {
            for (key, value) in &dict.entries {
                let key = match key {
                    Value::Text(text) if text.chars().count() == 1 => {
                        text.chars().next().map_or(Value::None, code)
                    }
                    Value::Int(_) => key.clone(),
                    _ => return fail!("maketrans: keys are single characters or ints"),
                };
                entries.push((key, value.clone()));
            }
        }
        (_, Some(to)) => {
            let (from, to) = (from.str("maketrans: x")?, to.str("maketrans: y")?);
            if from.chars().count() != to.chars().count() {
                return fail!("the first two maketrans arguments must have equal length");
            }
            budget.list(from.len())?;
            entries.extend(from.chars().zip(to.chars()).map(|(a, b)| (code(a), code(b))));
        }
        _ => return fail!("maketrans: one argument must be a dict"),
    }
    if let Some(removed) = removed {
        let removed = removed.str("maketrans: z")?;
        entries.extend(removed.chars().map(|character| (code(character), Value::None)));
    }
    dict_of(entries, budget)
}

fn translate(text: &str, table: &Value, budget: &Budget) -> Result<Value> {
    let Value::Dict(table) = table else { return fail!("translate: the table must be a dict") };
    let mut writer = Writer::new(budget);
    for character in text.chars() {
        budget.spend(1)?;
        match entry(table, &Value::Int(u32::from(character).into()), budget)? {
            None => writer.push(character.encode_utf8(&mut [0; 4]))?,
            Some(Value::None) => {}
            Some(Value::Text(text)) => writer.push(text)?,
            Some(other) => {
                let code = u32::try_from(other.int("translate: a value")?).ok();
                let character = code
                    .and_then(char::from_u32)
                    .ok_or_else(|| Error::new("translate: a value is not a character".into()))?;
                writer.push(character.encode_utf8(&mut [0; 4]))?;
            }
        }
    }
    Ok(Value::text(writer.finish()))
}
