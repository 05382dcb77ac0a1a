//! Fields whose values come from a fixed vocabulary.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares an enum that is one word in JSON. A word that is not declared becomes `Other`.
macro_rules! words {
    (
        $(#[$about:meta])*
        $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// A word that this version does not know, as it was read.
            Other(String),
        }

        impl $name {
            /// The word in the file.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.into()),
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                Self::from(word.as_str())
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.as_str().into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// How the directions to keep are chosen.
    Method {
        /// One basis per cut, with shortcut matrices on the residual path: the method of the paper.
        PerLayer = "per-layer",
        /// One basis for the whole model and no shortcut matrices.
        Shared = "shared",
    }
}

words! {
    /// The axes inside the subspace that is kept.
    Orientation {
        /// The eigenvectors of the covariance.
        Pca = "pca",
        /// Random axes from the seed.
        Random = "random",
        /// Not recorded: the model was imported.
        Unknown = "unknown",
    }
}

words! {
    /// A kind of work that a compression measures the time of.
    Stage {
        /// Running the model.
        Forward = "forward",
        /// Summing covariances and moments.
        Gram = "gram",
        /// Finding eigenvectors.
        Eigen = "eigen",
        /// Choosing channels, refitting and rewriting weights.
        Edit = "edit",
        /// Moving calibration signals between host and device.
        Stream = "stream",
        /// Comparing splits, with everything that was run for it.
        Search = "search",
        /// Reading dense blocks.
        Read = "read",
        /// Looking up embeddings; rewriting and writing embedding and head.
        Tables = "tables",
        /// Writing blocks, and completing the files.
        Write = "write",
    }
}

words! {
    /// The arithmetic in which covariances are summed.
    Summation {
        /// float64 on the host.
        F64 = "f64",
        /// float32 products of split operands, accurate to double precision.
        SplitF32 = "split-f32",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_written_as_they_were_read() {
        for word in ["per-layer", "shared", "one of a later version", "Shared", ""] {
            let json = format!("{word:?}");
            let method: Method = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&method).unwrap(), json);
            assert_eq!(method.to_string(), word);
        }
        assert_eq!(Method::from("shared"), Method::Shared);
        assert_eq!(Method::from("Shared"), Method::Other("Shared".into()));
        assert_eq!(Summation::from("split-f32"), Summation::SplitF32);
        let error = serde_json::from_str::<Stage>("5").unwrap_err().to_string();
        assert!(error.contains("expected a string"), "{error}");
    }
}
