//! Filters that write texts.

use std::borrow::Cow;

use crate::budget::{Budget, MAX_BYTES};
use crate::error::{Result, fail};
use crate::filters::words;
use crate::format::percent;
use crate::methods;
use crate::value::compare::dict_of;
use crate::value::json::{Style, dumps};
use crate::value::repr::text;
use crate::value::space::lines;
use crate::value::writer::Writer;
use crate::value::{Args, Value};

/// Calls filter `name` if it writes a text.
pub fn call(name: &str, value: &Value, arguments: &Args, budget: &Budget) -> Option<Result<Value>> {
    let known = [
        "capitalize",
        "center",
        "e",
        "escape",
        "filesizeformat",
        "forceescape",
        "format",
        "indent",
        "lower",
        "replace",
        "safe",
        "string",
        "striptags",
        "title",
        "tojson",
        "trim",
        "truncate",
        "upper",
        "urlencode",
        "wordcount",
        "xmlattr",
    ];
    known.contains(&name).then(|| write(name, value, arguments.clone(), budget))
}

fn write(name: &str, value: &Value, arguments: Args, budget: &Budget) -> Result<Value> {
    if name == "tojson" {
        return tojson(value, arguments, budget);
    }
    if name == "urlencode" && !matches!(value, Value::Text(_)) {
        return words::query(value, budget);
    }
    if name == "xmlattr" {
        return words::attributes(value, arguments, budget);
    }
    if name == "filesizeformat" {
        let [binary] = arguments.bind(name, ["binary"], 0)?;
        let number = match value {
            Value::Text(text) => text.trim().parse().ok(),
            _ => value.as_float(),
        };
        let Some(number) = number else { return fail!("filesizeformat needs a number") };
        let binary = binary.is_some_and(|binary| binary.truth());
        return Ok(Value::text(words::file_size(number, binary)));
    }
    let source = text(value, budget)?;
    budget.text(source.len())?;
    let method = |name: &str, arguments: Args| {
        methods::call(&Value::text(&*source), name, arguments, budget)
    };
    match name {
        "safe" | "string" => {
            let [] = arguments.bind(name, [], 0)?;
            Ok(Value::text(source))
        }
        "lower" | "upper" | "capitalize" => method(name, arguments),
        "center" => {
            let [width] = arguments.bind(name, ["width"], 0)?;
            let positional = vec![width.unwrap_or(Value::Int(80))];
            method("center", Args { positional, named: Vec::new() })
        }
        "trim" => {
            let [characters] = arguments.bind(name, ["chars"], 0)?;
            let positional = characters.into_iter().collect();
            method("strip", Args { positional, named: Vec::new() })
        }
        "replace" => {
            let [old, new, count] = arguments.bind(name, ["old", "new", "count"], 2)?;
            let (old, new) = (old.unwrap_or(Value::None), new.unwrap_or(Value::None));
            let count = match count {
                None | Some(Value::None) => -1,
                Some(count) => count.int("count")?,
            };
            let (old, new) = (text(&old, budget)?, text(&new, budget)?);
            methods::text::replace(&source, &old, &new, count, budget)
        }
        "format" => format(&source, arguments, budget),
        "indent" => indent(&source, arguments, budget),
        "truncate" => truncate(&source, arguments, budget),
        "title" => Ok(Value::text(words::title(&source))),
        "wordcount" => Ok(Value::Int(words::count(&source) as i128)),
        "striptags" => Ok(Value::text(words::without_tags(&source))),
        "urlencode" => Ok(Value::text(words::url(&source, "/", budget)?)),
        _ => words::escape(&source, budget).map(Value::text),
    }
}

fn format(source: &str, arguments: Args, budget: &Budget) -> Result<Value> {
    let Args { positional, named } = arguments;
    let values = match (positional.is_empty(), named.is_empty()) {
        (_, true) => Value::tuple(positional, budget)?,
        (true, false) => {
            let entries = named.into_iter().map(|(name, value)| (Value::Text(name), value));
            dict_of(entries.collect(), budget)?
        }
        _ => return fail!("format: positional and named arguments at the same time"),
    };
    Ok(Value::text(percent::format(source, &values, budget)?))
}

fn indent(source: &str, arguments: Args, budget: &Budget) -> Result<Value> {
    let [width, first, blank] = arguments.bind("indent", ["width", "first", "blank"], 0)?;
    let indent = match width {
        None => Cow::Borrowed("    "),
        Some(Value::Text(text)) => Cow::Owned(text.to_string()),
        Some(width) => {
            let width = usize::try_from(width.int("width")?.max(0)).unwrap_or(usize::MAX);
            budget.text(width)?;
            Cow::Owned(" ".repeat(width.min(MAX_BYTES)))
        }
    };
    let flag = |value: Option<Value>| value.is_some_and(|value| value.truth());
    let (first, blank) = (flag(first), flag(blank));
    let source = format!("{source}\n");
    let mut writer = Writer::new(budget);
    for (index, line) in lines(&source, false).into_iter().enumerate() {
        if index > 0 {
            writer.push("\n")?;
        }
        let indented = if index == 0 { first } else { blank || !line.is_empty() };
        if indented {
            writer.push(&indent)?;
        }
        writer.push(line)?;
    }
    Ok(Value::text(writer.finish()))
}

fn truncate(source: &str, arguments: Args, budget: &Budget) -> Result<Value> {
    let names = ["length", "killwords", "end", "leeway"];
    let [length, cut, end, leeway] = arguments.bind("truncate", names, 0)?;
    let length = length.map_or(Ok(255), |length| length.int("length"))?;
    let end = end.unwrap_or_else(|| Value::text("..."));
    let end = end.str("end")?;
    let leeway = match leeway {
        None | Some(Value::None) => 5,
        Some(leeway) => leeway.int("leeway")?,
    };
    let width = end.chars().count() as i128;
    if length < width || leeway < 0 {
        return fail!("truncate: expected length >= {width} and leeway >= 0");
    }
    if source.chars().count() as i128 <= length.saturating_add(leeway) {
        return Ok(Value::text(source));
    }
    let kept: String = source.chars().take((length - width) as usize).collect();
    let kept = if cut.is_some_and(|cut| cut.truth()) {
        &*kept
    } else {
        kept.rsplit_once(' ').map_or(&*kept, |(before, _)| before)
    };
    budget.text(kept.len() + end.len())?;
    Ok(Value::text([kept, end].concat()))
}

/// As transformers' `tojson`: Python's `json.dumps`, with `ensure_ascii` false by default.
fn tojson(value: &Value, arguments: Args, budget: &Budget) -> Result<Value> {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    let [ascii, indent, separators, sorted] = arguments.bind("tojson", names, 0)?;
    let flag = |value: Option<Value>| value.is_some_and(|value| value.truth());
    let indent = match indent {
        None | Some(Value::None) => None,
        Some(Value::Text(text)) => Some(text.to_string()),
        Some(width) => {
            let width = usize::try_from(width.int("indent")?.max(0)).unwrap_or(usize::MAX);
            budget.text(width)?;
            Some(" ".repeat(width))
        }
    };
    // With an indent, a space would be left at the end of each line.
    let between = if indent.is_some() { "," } else { ", " };
    let [item_separator, key_separator] = match separators {
        None | Some(Value::None) => [between.to_string(), ": ".to_string()],
        Some(two) => match &two.iterate(budget)?[..] {
            [item, key] => {
                [item.str("a separator")?.to_string(), key.str("a separator")?.to_string()]
            }
            _ => return fail!("tojson: separators are two strings"),
        },
    };
    let style =
        Style { ascii: flag(ascii), indent, item_separator, key_separator, sorted: flag(sorted) };
    Ok(Value::text(dumps(value, &style, budget)?))
}
