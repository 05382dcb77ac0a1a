//! [`Token`]: what the lexer makes of a template.

use std::sync::Arc;

/// A token, with its line.
#[derive(Clone, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub line: u32,
}

/// The kinds of tokens.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Text outside of tags.
    Data(Arc<str>),
    /// `{{`
    PrintBegin,
    /// `}}`
    PrintEnd,
    /// `{%`
    TagBegin,
    /// `%}`
    TagEnd,
    /// A word.
    Name(Arc<str>),
    /// A quoted text.
    Text(Arc<str>),
    /// An integer.
    Int(i128),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// An operator or a bracket.
    Sign(&'static str),
    /// The end of the template.
    End,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Data(_) => write!(formatter, "text"),
            Self::PrintBegin => write!(formatter, "'{{{{'"),
            Self::PrintEnd => write!(formatter, "'}}}}'"),
            Self::TagBegin => write!(formatter, "'{{%'"),
            Self::TagEnd => write!(formatter, "'%}}'"),
            Self::Name(name) => write!(formatter, "'{name}'"),
            Self::Text(_) => write!(formatter, "a string"),
            Self::Int(value) => write!(formatter, "{value}"),
            Self::Float(value) => write!(formatter, "{value}"),
            Self::Sign(sign) => write!(formatter, "'{sign}'"),
            Self::End => write!(formatter, "the end of the template"),
        }
    }
}
