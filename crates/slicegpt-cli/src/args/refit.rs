//! The value of `--refit`.

use std::str::FromStr;

use slicegpt_slice::Ridge;

/// How weights are refitted after the cut.
#[derive(Clone, Copy)]
pub enum Refit {
    /// By regressions whose strength held-out tokens decide.
    HeldOut,
    /// By ridge regression towards the dense model.
    Ridge(Ridge),
    /// Not at all.
    None,
}

impl FromStr for Refit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, lambda) = match text.split_once(':') {
            Some((name, lambda)) => (name, Some(lambda)),
            None => (text, None),
        };
        match (name, lambda) {
            ("none", None) => Ok(Self::None),
            ("held-out", None) => Ok(Self::HeldOut),
            ("ridge", None) => Ok(Self::Ridge(Ridge::default())),
            ("ridge", Some(lambda)) => match lambda.parse::<f64>() {
                Ok(lambda) if lambda > 0.0 && lambda.is_finite() => {
                    Ok(Self::Ridge(Ridge { lambda }))
                }
                _ => Err("lambda must be a number above 0, e.g. ridge:0.01".into()),
            },
            _ => Err("write held-out, ridge, ridge:LAMBDA or none".into()),
        }
    }
}

impl From<Refit> for slicegpt_compress::Refit {
    fn from(refit: Refit) -> Self {
        match refit {
            Refit::HeldOut => Self::HeldOut,
            Refit::Ridge(ridge) => Self::Ridge(ridge),
            Refit::None => Self::None,
        }
    }
}
