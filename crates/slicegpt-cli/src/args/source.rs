//! [`Source`]: a value of `--calibration`, a text and its share.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use slicegpt_corpus::{Mixture, is_token_file};

/// A calibration text and its share.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub origin: Origin,
    /// `None`: a share is left to the program.
    pub share: Option<f64>,
}

/// Where a calibration text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The small text that is part of the program.
    Bundled,
    /// Text that the model writes.
    Model,
    /// Conversations that the model writes, in its chat template.
    Conversations,
    /// A file of text or of token ids.
    File(PathBuf),
}

impl Source {
    /// Reads `TEXT` or `TEXT=SHARE`. A `=` belongs to the path if a file of the whole name exists,
    /// or if no number follows the last one.
    pub fn parse(value: OsString) -> Result<Self, String> {
        if value.is_empty() {
            return Err("the name of a text is missing".into());
        }
        let whole = |value: OsString| Self { origin: Origin::of(value), share: None };
        let Some((text, share)) = value.to_str().and_then(|value| value.rsplit_once('=')) else {
            return Ok(whole(value));
        };
        let Ok(share) = share.trim().parse::<f64>() else { return Ok(whole(value)) };
        if Path::new(&value).exists() {
            return Ok(whole(value));
        }
        if text.is_empty() {
            return Err("the name of a text is missing before `=`".into());
        }
        // The number alone is judged here, so that the error names the value.
        Mixture::new(&[Some(share)]).map_err(|error| error.to_string())?;
        Ok(Self { origin: Origin::of(text.into()), share: Some(share) })
    }
}

impl Origin {
    fn of(name: OsString) -> Self {
        match name.to_str() {
            Some("self") => Self::Model,
            Some("self:chat") => Self::Conversations,
            _ => Self::File(name.into()),
        }
    }

    /// Its name in a manifest: that of a file is without its folder.
    pub fn name(&self) -> String {
        match self {
            Self::Bundled => "bundled".into(),
            Self::Model => "self".into(),
            Self::Conversations => "self:chat".into(),
            Self::File(path) => {
                let file = path.file_name().unwrap_or(path.as_os_str());
                file.to_string_lossy().into_owned()
            }
        }
    }

    /// The file that must exist. That of a token file is checked when it is read, because its name
    /// may end with that of a tensor.
    pub fn text_file(&self) -> Option<&Path> {
        match self {
            Self::File(path) if !is_token_file(&path.to_string_lossy()) => Some(path),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Result<Source, String> {
        Source::parse(value.into())
    }

    fn file(name: &str, share: Option<f64>) -> Result<Source, String> {
        Ok(Source { origin: Origin::File(name.into()), share })
    }

    #[test]
    fn a_number_after_the_last_equals_sign_is_a_share() {
        assert_eq!(parse("a.txt"), file("a.txt", None));
        assert_eq!(parse("a.txt=0.7"), file("a.txt", Some(0.7)));
        assert_eq!(parse("a=b.txt"), file("a=b.txt", None));
        assert_eq!(parse("a=b.txt=3"), file("a=b.txt", Some(3.0)));
        assert_eq!(parse("x.safetensors:ids=1e-1"), file("x.safetensors:ids", Some(0.1)));
        assert_eq!(parse("self=2"), Ok(Source { origin: Origin::Model, share: Some(2.0) }));
        let chat = Source { origin: Origin::Conversations, share: None };
        assert_eq!(parse("self:chat"), Ok(chat));
        assert_eq!(parse("./self"), file("./self", None));
    }

    #[test]
    fn a_file_of_the_whole_name_is_no_share() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("temperature=0.7");
        let name = path.to_str().unwrap();
        let without = file(name.strip_suffix("=0.7").unwrap(), Some(0.7));
        assert_eq!(parse(name), without);
        std::fs::write(&path, "text").unwrap();
        assert_eq!(parse(name), file(name, None));
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for share in ["0", "-0.5", "nan", "inf", "-inf"] {
            let error = parse(&format!("a.txt={share}")).unwrap_err();
            assert!(error.contains("share"), "{share}: {error}");
        }
        for value in ["", "=0.5"] {
            assert!(parse(value).unwrap_err().contains("name of a text"), "{value}");
        }
    }
}
