//! In what a calibration is computed, and where its signals wait.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use burn::tensor::DType;
use clap::{Args, ValueEnum};
use slicegpt_compress::{self as compress, CompressError, MakeShelf, Origin};
use slicegpt_provenance::{CalibrationRecord, Summation};
use slicegpt_slice::{Arithmetic, Memory, SliceError};

use crate::args::options::{DtypeName, option};
use crate::services::device::Target;
use crate::services::model::Opened;
use crate::services::spill::Spill;
use crate::show::progress::Interrupted;

/// In what to compute.
#[derive(Args, Clone)]
#[command(next_help_heading = "Device")]
pub struct Computing {
    /// Type to run the model in while calibrating; weights are edited and covariances summed as
    /// precisely as ever
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = DtypeName::F32)]
    compute_dtype: DtypeName,
    /// What covariances are summed in
    #[arg(long, value_enum, value_name = "HOW", default_value_t = CovarianceName::Auto)]
    covariance: CovarianceName,
    /// Type the calibration signal waits in [default: as --compute-dtype]
    #[arg(long, value_enum, value_name = "TYPE")]
    stream_dtype: Option<DtypeName>,
    /// Keep the waiting signal in a file in DIR instead of in memory; it is gone afterwards
    #[arg(long, value_name = "DIR")]
    spill: Option<PathBuf>,
}

/// What covariances are summed in.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CovarianceName {
    /// f64 on the processor, split-f32 elsewhere
    Auto,
    /// float64, on the host
    F64,
    /// As good as float64, from float32 products, where the signal is
    #[value(name = "split-f32")]
    SplitF32,
}

impl Computing {
    /// What it means on a device.
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
        let waiting = self.stream_dtype.unwrap_or(self.compute_dtype).burn();
        let shelf: Option<MakeShelf<'_>> = match &self.spill {
            Some(directory) => {
                let make = || Spill::new(directory);
                // Refused here, and not after the model was read.
                make().map_err(|error| anyhow!("--spill {}: {error}", directory.display()))?;
                Some(Box::new(move || Ok(Box::new(make()?))))
            }
            None if target.is_cpu() && waiting == compute => None,
            None => Some(Box::new(|| Ok(Box::new(Memory::default())))),
        };
        Ok(compress::Computing {
            batching: None,
            arithmetic: Some(self.arithmetic(target)),
            compute: Some(compute),
            shelf: shelf.map(|shelf| (shelf, waiting)),
        })
    }

    /// An error of a compression with the names of options, and what to do about an overflow in half
    /// precision.
    pub fn advise(&self, error: CompressError) -> anyhow::Error {
        let overflow = match &error {
            CompressError::Interrupted => return Interrupted.into(),
            CompressError::Plan(_) | CompressError::Statistics(_) => {
                return anyhow!(error.message(&option));
            }
            CompressError::Slice(error) => {
                matches!(error, SliceError::NotFinite { .. } | SliceError::Embedding(_))
            }
            _ => false,
        };
        let error = anyhow::Error::from(error);
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

    /// What the statistics of a model on some text are computed from.
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

    /// The name of the type the model is run in.
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
    /// As Burn calls it.
    fn burn(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    /// As it is typed.
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }
}
