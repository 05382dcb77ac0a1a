//! [`Error`]: why a template cannot be evaluated; [`TemplateError`]: why there is no prompt.

/// Why a template cannot be evaluated, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
    line: Option<u32>,
    /// Whether the template itself raised it, for the reader of its message.
    raised: bool,
}

impl Error {
    /// An error whose line is not known yet.
    pub fn new(message: String) -> Self {
        Self { message, line: None, raised: false }
    }

    /// What the template says about its input.
    pub fn raised(message: String) -> Self {
        Self { message, line: None, raised: true }
    }

    /// The template has invalid syntax.
    pub fn syntax(message: impl std::fmt::Display, line: u32) -> Self {
        Self { message: format!("syntax error: {message}"), line: Some(line), raised: false }
    }

    /// With the line, unless a line inside of it is known.
    pub fn at(mut self, line: u32) -> Self {
        self.line.get_or_insert(line);
        self
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) if !self.raised => write!(formatter, "{} (line {line})", self.message),
            _ => formatter.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}

/// Why there is no template, or why it does not turn a conversation into a prompt.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The checkpoint has no template.
    #[error(
        "{0} has no chat template (chat_template.jinja, or `chat_template` in \
         tokenizer_config.json): it is not a chat model, or its template must be given"
    )]
    Missing(String),
    /// The checkpoint has several templates.
    #[error("the checkpoint has several chat templates and none named 'default': {0}")]
    NoDefault(String),
    /// A file cannot be read.
    #[error("{0}: {1}")]
    File(String, String),
    /// The template is invalid, or refuses the conversation.
    #[error("chat template: {0}")]
    Template(#[from] Error),
}

/// The result of an evaluation.
pub type Result<T> = std::result::Result<T, Error>;

/// An error with a formatted message.
macro_rules! fail {
    ($($message:tt)*) => {
        Err($crate::error::Error::new(format!($($message)*)))
    };
}

pub(crate) use fail;
