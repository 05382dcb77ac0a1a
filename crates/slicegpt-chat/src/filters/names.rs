//! The names of filters.

/// Filters that are here.
const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
    "xmlattr",
];

/// Filters of Jinja that are not: a prompt is the same every time and no page of a program's
/// output.
const ABSENT: &[&str] = &["pprint", "random", "urlize", "wordwrap"];

/// Whether there is a filter `name`.
pub fn is_filter(name: &str) -> bool {
    FILTERS.contains(&name)
}

/// Whether Jinja has a filter `name` and this crate has not.
pub fn is_absent(name: &str) -> bool {
    ABSENT.contains(&name)
}
