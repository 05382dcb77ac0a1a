//! Splitting and stripping texts.

use crate::budget::Budget;
use crate::error::{Result, fail};
use crate::value::space::is_space;
use crate::value::{Args, Value};

/// `text.split(sep, maxsplit)`, or `rsplit`.
pub fn split(text: &str, name: &str, arguments: Args, budget: &Budget) -> Result<Value> {
    let [separator, most] = arguments.bind(name, ["sep", "maxsplit"], 0)?;
    let most = match most {
        Some(most) => usize::try_from(most.int("maxsplit")?).unwrap_or(usize::MAX),
        None => usize::MAX,
    };
    let from_right = name == "rsplit";
    let parts: Vec<&str> = match separator {
        None | Some(Value::None) => words(text, most, from_right),
        Some(separator) => {
            let separator = separator.str("the separator")?;
            if separator.is_empty() {
                return fail!("empty separator");
            }
            let count = most.saturating_add(1);
            if from_right {
                let mut parts: Vec<_> = text.rsplitn(count, separator).collect();
                parts.reverse();
                parts
            } else {
                text.splitn(count, separator).collect()
            }
        }
    };
    texts(parts, budget)
}

/// The words of `text`; after `most` splits the rest, whatever it is.
fn words(text: &str, most: usize, from_right: bool) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_matches(is_space);
    while !rest.is_empty() {
        let at = if words.len() == most {
            None
        } else if from_right {
            rest.rfind(is_space)
        } else {
            rest.find(is_space)
        };
        let (word, next) = match at {
            None => (rest, ""),
            Some(at) if from_right => {
                let width = rest[at..].chars().next().map_or(1, char::len_utf8);
                (&rest[at + width..], rest[..at].trim_end_matches(is_space))
            }
            Some(at) => (&rest[..at], rest[at..].trim_start_matches(is_space)),
        };
        words.push(word);
        rest = next;
    }
    // With no splits, Python keeps the spaces of the side that it does not begin at.
    if most == 0 && !text.trim_matches(is_space).is_empty() {
        let whole = if from_right {
            text.trim_end_matches(is_space)
        } else {
            text.trim_start_matches(is_space)
        };
        return vec![whole];
    }
    keep_end(text, &mut words, most, from_right);
    if from_right {
        words.reverse();
    }
    words
}

/// Gives the last part the spaces after it that a limit on the splits leaves.
fn keep_end<'a>(text: &'a str, words: &mut [&'a str], most: usize, from_right: bool) {
    if words.len() <= most {
        return;
    }
    if let Some(last) = words.last_mut() {
        let from = last.as_ptr() as usize - text.as_ptr() as usize;
        *last = if from_right { &text[..from + last.len()] } else { &text[from..] };
    }
}

/// Texts as a list.
pub fn texts(parts: Vec<&str>, budget: &Budget) -> Result<Value> {
    budget.list(parts.len())?;
    budget.text(parts.iter().map(|part| part.len()).sum())?;
    Value::list(parts.into_iter().map(Value::text).collect(), budget)
}

/// `text.partition(sep)`, or `rpartition`.
pub fn partition(text: &str, name: &str, arguments: Args, budget: &Budget) -> Result<Value> {
    let [separator] = arguments.bind(name, ["sep"], 1)?;
    let separator = separator.unwrap_or(Value::None);
    let separator = separator.str("the separator")?;
    if separator.is_empty() {
        return fail!("empty separator");
    }
    let right = name == "rpartition";
    let found = if right { text.rsplit_once(separator) } else { text.split_once(separator) };
    let parts = match found {
        Some((before, after)) => [before, separator, after],
        None if right => ["", "", text],
        None => [text, "", ""],
    };
    budget.text(text.len())?;
    Value::tuple(parts.map(Value::text).into(), budget)
}

/// `text.strip(chars)`, `lstrip` or `rstrip`.
pub fn strip<'a>(text: &'a str, name: &str, characters: Option<&str>) -> &'a str {
    let stripped = |character: char| match characters {
        Some(characters) => characters.contains(character),
        None => is_space(character),
    };
    let text = if name == "rstrip" { text } else { text.trim_start_matches(stripped) };
    if name == "lstrip" { text } else { text.trim_end_matches(stripped) }
}
