//! Finding texts in texts: the methods of `str` with a range.

use std::ops::Range;

use crate::budget::Budget;
use crate::error::{Result, fail};
use crate::value::{Args, Value};

/// The items from `start` to `stop` of `length`, counted from the end where negative.
pub fn bounds(start: Option<&Value>, stop: Option<&Value>, length: usize) -> Result<Range<usize>> {
    let place = |value: Option<&Value>, default: usize| match value {
        None | Some(Value::None) => Ok(default),
        Some(value) => {
            let index = value.int("an index")?;
            let index = if index < 0 { index.saturating_add(length as i128) } else { index };
            // A start beyond the end finds nothing, not even the empty text.
            Ok(usize::try_from(index.max(0)).unwrap_or(usize::MAX).min(length + 1))
        }
    };
    let (start, stop) = (place(start, 0)?, place(stop, length)?.min(length));
    Ok(start..stop)
}

/// Calls method `name` of `text`: `count`, `find`, `index`, `rfind`, `rindex`, `startswith` or
/// `endswith`.
pub fn call(text: &str, name: &str, arguments: Args, budget: &Budget) -> Result<Value> {
    let [part, start, stop] = arguments.bind(name, ["sub", "start", "end"], 1)?;
    let part = part.unwrap_or(Value::None);
    let range = bounds(start.as_ref(), stop.as_ref(), text.chars().count())?;
    let outside = range.start > range.end;
    let inside = if outside { "" } else { within(text, &range) };
    if let "startswith" | "endswith" = name {
        let parts = match &part {
            Value::Tuple(parts) => parts.items.clone(),
            one => vec![one.clone()],
        };
        for part in &parts {
            let part = part.str("the argument of startswith and endswith")?;
            budget.spend(1)?;
            let found = if name == "startswith" {
                inside.starts_with(part)
            } else {
                inside.ends_with(part)
            };
            if found && !outside {
                return Ok(Value::Bool(true));
            }
        }
        return Ok(Value::Bool(false));
    }
    let part = part.str("the text to find")?;
    if name == "count" {
        let count = match (outside, part) {
            (true, _) => 0,
            (_, "") => inside.chars().count() + 1,
            _ => inside.matches(part).count(),
        };
        return Ok(Value::Int(count as i128));
    }
    let at = if name.starts_with('r') { inside.rfind(part) } else { inside.find(part) };
    match at.filter(|_| !outside) {
        Some(at) => Ok(Value::Int((range.start + inside[..at].chars().count()) as i128)),
        None if name.ends_with("index") => fail!("substring not found"),
        None => Ok(Value::Int(-1)),
    }
}

/// The characters of `text` in `range`.
pub fn within<'a>(text: &'a str, range: &Range<usize>) -> &'a str {
    let mut places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let Some(from) = places.clone().nth(range.start) else { return "" };
    let to = places.nth(range.end).unwrap_or(text.len());
    &text[from..to.max(from)]
}
