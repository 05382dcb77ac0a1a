//! [`Refit`]: how weights were fitted to the dense model after the cut.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How weights were fitted to the dense model after the cut: `held-out` or `ridge:LAMBDA` in
/// JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Refit {
    /// Regressions whose strength held-out tokens decided.
    HeldOut,
    /// Ridge regression.
    Ridge {
        /// The penalty, relative to the mean square of the inputs.
        lambda: f64,
    },
    /// Text that this version does not know or would write differently, as it was read.
    Other(String),
}

impl fmt::Display for Refit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeldOut => f.write_str("held-out"),
            Self::Ridge { lambda } => write!(f, "ridge:{lambda}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl From<&str> for Refit {
    fn from(text: &str) -> Self {
        if text == "held-out" {
            return Self::HeldOut;
        }
        let lambda = text.strip_prefix("ridge:").and_then(|lambda| lambda.parse().ok());
        let ridge = lambda.map(|lambda| Self::Ridge { lambda });
        // `ridge:1e-3` would come back as `ridge:0.001`.
        ridge.filter(|ridge| ridge.to_string() == text).unwrap_or_else(|| Self::Other(text.into()))
    }
}

impl From<String> for Refit {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Refit> for String {
    fn from(refit: Refit) -> Self {
        refit.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refit_is_written_as_it_was_read() {
        assert_eq!(Refit::from("ridge:0.001"), Refit::Ridge { lambda: 0.001 });
        assert_eq!(Refit::from("held-out"), Refit::HeldOut);
        for text in
            ["held-out", "ridge:0.001", "ridge:1e-3", "ridge:", "ridge:1", "ridge:1.0", "lasso", ""]
        {
            let json = format!("{text:?}");
            let refit: Refit = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&refit).unwrap(), json);
        }
    }
}
