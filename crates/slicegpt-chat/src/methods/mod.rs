//! The methods of Python's types.

pub mod case;
pub mod container;
pub mod number;
pub mod search;
pub mod split;
pub mod text;

use crate::budget::Budget;
use crate::error::Result;
use crate::value::{Args, Value};

/// What a name means after the dot of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A method.
    Method,
    /// A method that would change the value, or the insides of Python.
    Unsafe,
    /// Nothing.
    Nothing,
}

/// The methods of `str`.
pub const TEXT: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];

const LIST: &[&str] = &["copy", "count", "index"];
const LIST_UNSAFE: &[&str] =
    &["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];
const TUPLE: &[&str] = &["count", "index"];
const DICT: &[&str] = &["copy", "fromkeys", "get", "items", "keys", "values"];
const DICT_UNSAFE: &[&str] = &["clear", "pop", "popitem", "setdefault", "update"];
const INT: &[&str] = &[
    "as_integer_ratio",
    "bit_count",
    "bit_length",
    "conjugate",
    "is_integer",
    "from_bytes",
    "to_bytes",
];
const FLOAT: &[&str] = &["as_integer_ratio", "conjugate", "fromhex", "hex", "is_integer"];

/// What `name` means after the dot of `value`.
pub fn meaning(value: &Value, name: &str) -> Meaning {
    let (methods, refused): (&[&str], &[&str]) = match value {
        Value::Text(_) => (TEXT, &[]),
        Value::List(_) => (LIST, LIST_UNSAFE),
        Value::Tuple(_) => (TUPLE, &[]),
        Value::Dict(_) => (DICT, DICT_UNSAFE),
        Value::Bool(_) | Value::Int(_) => (INT, &[]),
        Value::Float(_) => (FLOAT, &[]),
        _ => (&[], &[]),
    };
    let inside = name.len() > 4 && name.starts_with("__") && name.ends_with("__");
    if methods.contains(&name) {
        Meaning::Method
    } else if inside || refused.contains(&name) {
        Meaning::Unsafe
    } else {
        Meaning::Nothing
    }
}

/// Calls method `name` of `value`, which has it.
pub fn call(value: &Value, name: &str, arguments: Args, budget: &Budget) -> Result<Value> {
    match value {
        Value::Text(text) => text::call(text, name, arguments, budget),
        Value::Int(_) | Value::Bool(_) | Value::Float(_) => {
            number::call(value, name, arguments, budget)
        }
        _ => container::call(value, name, arguments, budget),
    }
}
