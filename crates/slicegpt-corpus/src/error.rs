//! [`CorpusError`]: errors about texts, tokenizers and token files.

use std::io;
use std::path::PathBuf;

/// A result whose error is a [`CorpusError`].
pub type Result<T> = std::result::Result<T, CorpusError>;

/// What is wrong with a text, a tokenizer or a token file, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the names of the fields say what they are, and the messages use them
pub enum CorpusError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: holds no text", .0.display())]
    Empty(PathBuf),
    #[error(
        "{}: is not UTF-8 at byte {offset}; convert it, or is it not a text file?",
        path.display()
    )]
    NotUtf8 { path: PathBuf, offset: usize },
    #[error(
        "{}: is read as plain text, which has no column `{column}`; only JSON, \
         .csv, .tsv and .parquet files have columns",
        path.display()
    )]
    NoColumns { path: PathBuf, column: String },
    #[error("{}: {place}: {reason}", path.display())]
    Json { path: PathBuf, place: String, reason: String },
    #[error("{}: cannot be unpacked: {reason}", path.display())]
    Packed { path: PathBuf, reason: String },
    #[error(
        "{}: {reason}; a table has names in its first line and the same columns in all others",
        path.display()
    )]
    Table { path: PathBuf, reason: String },
    #[error("{}: {reason}; the file is corrupt, or not what its name says", path.display())]
    Parquet { path: PathBuf, reason: String },
    #[error("{}: {reason}", path.display())]
    NotRead { path: PathBuf, reason: String },
    #[error(
        "{}: becomes {reason}, and a file of its size may not; is it damaged, or no data set?",
        path.display()
    )]
    TooLarge { path: PathBuf, reason: String },
    #[error("{}: {place}: has no column `{column}`; it has {found}", path.display())]
    MissingColumn { path: PathBuf, place: String, column: String, found: String },
    #[error(
        "{}: {place}: has neither a column `text` nor `messages` nor `instruction` and `output`; \
         it has {found}",
        path.display()
    )]
    NoTextColumn { path: PathBuf, place: String, found: String },
    #[error("{}: {place}: column `{column}` holds {found}, not text", path.display())]
    NotText { path: PathBuf, place: String, column: String, found: String },
    #[error("{}: {place}: column `{column}`: {reason}", path.display())]
    Conversation { path: PathBuf, place: String, column: String, reason: String },
    #[error(
        "{}: tokenizer.json is missing; give token ids in a .safetensors file instead of text, or \
         download it from where the model came from",
        .0.display()
    )]
    NoTokenizer(PathBuf),
    #[error(
        "{0}: has tokenizer.model, and no tokenizer.json; make one with transformers: \
         AutoTokenizer.from_pretrained('{0}').save_pretrained('{0}')",
        directory.display()
    )]
    OnlyTokenizerModel { directory: PathBuf },
    #[error(
        "{0}: has no tokenizer.json, and the files of {class}; make one with transformers: \
         AutoTokenizer.from_pretrained('{0}').save_pretrained('{0}')",
        directory.display()
    )]
    TokenizerClass { directory: PathBuf, class: String },
    #[error("{}: {reason}; download the tokenizer again", path.display())]
    Tokenizer { path: PathBuf, reason: String },
    #[error("{}: the tokenizer failed: {reason}", path.display())]
    Tokenizing { path: PathBuf, reason: String },
    #[error("{text}: has {tokens} tokens, but one sample needs {needed}")]
    TooShort { text: String, tokens: usize, needed: usize },
    #[error("{0}: is not a token file; give FILE.safetensors or FILE.safetensors:TENSOR")]
    NotTokenFile(String),
    #[error("{}: {reason}; the file is truncated, or not a safetensors file", path.display())]
    Corrupt { path: PathBuf, reason: String },
    #[error(
        "{}: has no tensor `{name}`; it has {found}: choose one with FILE.safetensors:TENSOR",
        path.display()
    )]
    MissingTensor { path: PathBuf, name: String, found: String },
    #[error("{}: tensor `{name}` is {found}; token ids and masks are integers", path.display())]
    TensorType { path: PathBuf, name: String, found: String },
    #[error(
        "{}: tensor `{name}` has shape {found:?}; [samples, tokens] is expected, neither of them 0",
        path.display()
    )]
    TensorShape { path: PathBuf, name: String, found: Vec<usize> },
    #[error(
        "{}: mask `{mask}` has shape {found:?}, but `{name}` has {ids:?}",
        path.display()
    )]
    MaskShape { path: PathBuf, name: String, mask: String, found: Vec<usize>, ids: Vec<usize> },
    #[error(
        "{}: tensor `{name}`: {id} is not a token id (sample {row}, position {column}, from 0)",
        path.display()
    )]
    TokenId { path: PathBuf, name: String, id: i128, row: usize, column: usize },
    #[error(
        "{}: mask `{mask}`: sample {row} (from 0) is padding only; leave it out",
        path.display()
    )]
    FullyMasked { path: PathBuf, mask: String, row: usize },
    #[error("{what}: the first {seqlen} tokens of sample {row} (from 0) are padding only")]
    OnlyPadding { what: String, row: usize, seqlen: usize },
    #[error(
        "{what}: token id {id} (sample {row}, position {column}, from 0) is outside the model's \
         vocabulary of {vocab_size}; were the tokens made with another model's tokenizer?"
    )]
    OutsideVocabulary { what: String, id: u32, row: usize, column: usize, vocab_size: usize },
    #[error("{0} is not a share of a text; a share is a number above 0")]
    Share(f64),
    #[error(
        "nothing is left for the texts without a share: the shares of the others add up to {0}"
    )]
    NoShareLeft(f64),
    #[error("{samples} sample{} cannot be divided among {texts} texts", plural(*samples))]
    FewerSamplesThanTexts { samples: usize, texts: usize },
    #[error(
        "the samples of `{}` have {} tokens, those of `{}` have {} tokens; all must be equally \
         long",
        texts[0],
        lengths[0],
        texts[1],
        lengths[1]
    )]
    SampleLengths { texts: [String; 2], lengths: [usize; 2] },
}

impl CorpusError {
    /// Adds the path to an I/O error.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Names for a message: quoted, and at most the first few.
pub(crate) fn list<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    const SHOWN: usize = 20;
    let names: Vec<String> = names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match names.len() {
        0 => "none".into(),
        1..=SHOWN => names.join(", "),
        n => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}
