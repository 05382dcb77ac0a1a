//! [`Calibrated`]: the device, the settings and the samples of a command that calibrates.

use anyhow::Result;
use slicegpt_compress as compress;
use slicegpt_corpus::Samples;
use slicegpt_provenance::CalibrationRecord;

use crate::args::calibration::{Calibration, Purpose};
use crate::args::running::Running;
use crate::services::device::Target;
use crate::services::model::Opened;

/// A device, and calibration text that was cut, or sampled from the model, for it.
pub struct Calibrated<'a> {
    pub target: Target,
    pub settings: compress::Computing<'a>,
    pub samples: Samples,
    /// The entry of the samples in a manifest.
    pub record: CalibrationRecord,
}

impl<'a> Calibrated<'a> {
    /// Opens the device, and loads what `calibration` names for `purpose`.
    pub fn load(
        model: &Opened,
        running: &Running,
        calibration: &Calibration,
        purpose: &Purpose<'a>,
    ) -> Result<Self> {
        let target = running.open()?;
        let mut settings = purpose.computing.on(&target)?;
        let (samples, record) = target.run(|| calibration.load(model, &target, purpose))?;
        purpose.computing.keep_on_accelerator(&mut settings, &target, &model.spec, &samples);
        settings.batching = Some(target.batching(&model.spec, samples.seqlen()));
        Ok(Self { target, settings, samples, record })
    }
}
