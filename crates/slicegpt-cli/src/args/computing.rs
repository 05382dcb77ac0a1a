//! Options for the types of a calibration, and where its signals are kept.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use burn::tensor::DType;
use clap::{Args, ValueEnum};
use slicegpt_compress::{self as compress, CompressError, MakeShelf, Origin};
use slicegpt_corpus::Samples;
use slicegpt_models::DecoderSpec;
use slicegpt_provenance::{CalibrationRecord, Summation};
use slicegpt_slice::{AnalysisError, Arithmetic, Memory, RidgeError, SliceError};

use crate::args::options::{DtypeName, option};
use crate::services::device::Target;
use crate::services::model::Opened;
use crate::services::spill::Spill;
use crate::show::progress::Interrupted;

/// Types of a calibration, and where its signals are kept.
#[derive(Args, Clone)]
#[command(next_help_heading = "Device")]
pub struct Computing {
    /// Type to run the model in while calibrating; weights are edited and covariances summed to
    /// double-precision accuracy in any case
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = DtypeName::F32)]
    compute_dtype: DtypeName,
    /// Arithmetic that covariances are summed in
    #[arg(long, value_enum, value_name = "HOW", default_value_t = CovarianceName::Auto)]
    covariance: CovarianceName,
    /// Type that calibration signals are kept in between layers [default: as --compute-dtype]
    #[arg(long, value_enum, value_name = "TYPE")]
    stream_dtype: Option<DtypeName>,
    /// Keep calibration signals in a temporary file in DIR instead of in memory
    #[arg(long, value_name = "DIR")]
    spill: Option<PathBuf>,
}

/// Arithmetic that covariances are summed in.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CovarianceName {
    /// f64 on the CPU, split-f32 on other devices
    Auto,
    /// float64, on the host
    F64,
    /// float32 products with the accuracy of float64, on the device
    #[value(name = "split-f32")]
    SplitF32,
}

impl Computing {
    /// The settings for a device.
    pub fn on(&self, target: &Target) -> Result<compress::Computing<'_>> {
        let compute = self.compute_dtype.burn();
        let name = target.info.name;
        let missing = match self.compute_dtype {
            DtypeName::F32 => false,
            DtypeName::F16 => !target.info.float16,
            DtypeName::Bf16 => !target.info.bfloat16,
        };
        if missing {
            let model = &target.info.model;
            let dtype = self.compute_dtype();
            bail!(
                "--compute-dtype {dtype}: device {name} ({model}) does not compute in it; use f32"
            );
        }
        let stored = self.stored().burn();
        let shelf: Option<MakeShelf<'_>> = match &self.spill {
            Some(directory) => {
                let make = || Spill::new(directory);
                // An error here comes before the model is read.
                make().map_err(|error| anyhow!("--spill {}: {error}", directory.display()))?;
                Some(Box::new(move || Ok(Box::new(make()?))))
            }
            None if target.is_cpu() && stored == compute => None,
            None => Some(Box::new(|| Ok(Box::new(Memory::default())))),
        };
        Ok(compress::Computing {
            batching: None,
            arithmetic: Some(self.arithmetic(target)),
            compute: Some(compute),
            shelf: shelf.map(|shelf| (shelf, stored)),
        })
    }

    /// Lets `settings` keep the streams of `samples` on an accelerator, if they take at most an
    /// eighth of its memory and are kept in the type they are computed in.
    pub fn keep_on_accelerator(
        &self,
        settings: &mut compress::Computing<'_>,
        target: &Target,
        spec: &DecoderSpec,
        samples: &Samples,
    ) {
        let numbers = samples.count() * samples.seqlen() * spec.hidden_size;
        // With a refit there are two: the dense stream and the sliced one.
        let bytes = (2 * numbers * self.compute_dtype.burn().size()) as u64;
        let fits = target.memory().is_some_and(|memory| bytes <= memory / 8);
        if fits && self.spill.is_none() && self.stored() == self.compute_dtype {
            settings.shelf = None;
        }
    }

    /// The bytes of `streams` streams of `samples`, and where they are kept.
    pub fn kept(
        &self,
        spec: &DecoderSpec,
        samples: &Samples,
        streams: usize,
    ) -> (u64, &'static str) {
        let numbers = samples.count() * samples.seqlen() * spec.hidden_size;
        let bytes = (streams * numbers * self.stored().burn().size()) as u64;
        (bytes, if self.spill.is_some() { "in the file of --spill" } else { "of memory" })
    }

    /// The type that streams are kept in.
    fn stored(&self) -> DtypeName {
        self.stream_dtype.unwrap_or(self.compute_dtype)
    }

    /// An error of a compression, in terms of options, with advice about overflow in half
    /// precision.
    pub fn advise(&self, error: CompressError) -> anyhow::Error {
        let overflow = match &error {
            CompressError::Slice(
                SliceError::Sublayer { source, .. } | SliceError::Embedding(source),
            )
            | CompressError::Analysis(source)
            | CompressError::Head(RidgeError::Analysis(source)) => {
                *source == AnalysisError::ActivationsNotFinite
            }
            CompressError::Slice(SliceError::Singular { .. })
            | CompressError::Head(RidgeError::Singular) => {
                return anyhow::Error::from(error)
                    .context("give --refit ridge:LAMBDA with a larger lambda, or more --samples");
            }
            _ => false,
        };
        let error = match error {
            CompressError::Interrupted => return Interrupted.into(),
            CompressError::Plan(_) | CompressError::Statistics(_) => {
                return anyhow!(error.message(&option));
            }
            error => anyhow::Error::from(error),
        };
        let half = |dtype: Option<DtypeName>| dtype == Some(DtypeName::F16);
        let option = match (half(Some(self.compute_dtype)), half(self.stream_dtype)) {
            (true, _) => "--compute-dtype f16",
            (false, true) => "--stream-dtype f16",
            (false, false) => return error,
        };
        if overflow {
            error.context(format!("{option} holds numbers to 65504 only; use bf16 or f32"))
        } else {
            error
        }
    }

    /// The origin of statistics of a model on some text.
    pub fn origin(
        &self,
        opened: &Opened,
        calibration: CalibrationRecord,
        target: &Target,
    ) -> Result<Origin> {
        Ok(Origin {
            format: Origin::FORMAT,
            model: opened.digest()?,
            calibration,
            compute_dtype: self.compute_dtype().into(),
            covariance: self.covariance(target),
        })
    }

    /// Name of the type that the model is run in.
    pub fn compute_dtype(&self) -> &'static str {
        self.compute_dtype.name()
    }

    /// The arithmetic that covariances are summed in.
    pub fn covariance(&self, target: &Target) -> Summation {
        match self.arithmetic(target) {
            Arithmetic::Float64 => Summation::F64,
            Arithmetic::SplitFloat32 => Summation::SplitF32,
        }
    }

    fn arithmetic(&self, target: &Target) -> Arithmetic {
        match self.covariance {
            CovarianceName::Auto => Arithmetic::of(&target.device),
            CovarianceName::F64 => Arithmetic::Float64,
            CovarianceName::SplitF32 => Arithmetic::SplitFloat32,
        }
    }
}

impl DtypeName {
    /// The type in Burn.
    fn burn(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    /// Its name as a value of an option.
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }
}
