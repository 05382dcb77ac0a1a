//! Arguments that several commands share, and parsers of values.

use clap::ValueEnum;
use slicegpt_checkpoint::Dtype;

/// A type of weights.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DtypeName {
    /// float32
    F32,
    /// float16
    F16,
    /// bfloat16
    Bf16,
}

impl From<DtypeName> for Dtype {
    fn from(name: DtypeName) -> Self {
        match name {
            DtypeName::F32 => Self::F32,
            DtypeName::F16 => Self::F16,
            DtypeName::Bf16 => Self::Bf16,
        }
    }
}

/// A number that is at least 0.
pub fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 => Ok(number),
        _ => Err("a number of at least 0 is needed, e.g. 1e-4".into()),
    }
}

/// A whole number above 0, small enough that the product of two of them does not overflow.
pub fn positive(text: &str) -> Result<usize, String> {
    const MOST: usize = 1 << 24;
    match text.parse::<usize>() {
        Ok(number) if (1..=MOST).contains(&number) => Ok(number),
        _ => Err(format!("a whole number from 1 to {MOST} is needed")),
    }
}

/// The option that sets a field of a library's settings, for its error messages.
pub fn option(field: &'static str) -> String {
    format!("--{}", field.replace('_', "-"))
}
