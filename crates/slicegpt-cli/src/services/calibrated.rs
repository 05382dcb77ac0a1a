//! [`Calibrated`]: the device, the settings and the samples of a command that calibrates.

use anyhow::Result;
use slicegpt_compress as compress;
use slicegpt_corpus::Samples;
use slicegpt_provenance::CalibrationRecord;

use crate::args::calibration::{Calibration, Purpose};
use crate::args::computing::Computing;
use crate::args::running::Running;
use crate::services::device::Target;
use crate::services::model::Opened;

/// A device that was opened, with settings that it can compute with.
pub struct OpenDevice<'a> {
    target: Target,
    settings: compress::Computing<'a>,
}

impl<'a> OpenDevice<'a> {
    /// Opens the device, and refuses settings that it lacks.
    pub fn new(running: &Running, computing: &'a Computing) -> Result<Self> {
        let target = running.open()?;
        let settings = computing.on(&target)?;
        Ok(Self { target, settings })
    }

    /// Loads what `calibration` names for `purpose`.
    pub fn load(
        self,
        model: &Opened,
        calibration: &Calibration,
        purpose: &Purpose<'_>,
    ) -> Result<Calibrated<'a>> {
        let Self { target, mut settings } = self;
        let (samples, record) = target.run(|| calibration.load(model, &target, purpose))?;
        purpose.computing.keep_on_accelerator(&mut settings, &target, &model.spec, &samples);
        let batching = target.batching(&model.spec, samples.seqlen());
        settings.batching = Some(batching);
        Ok(Calibrated { target, settings, batch_size: batching.size, samples, record })
    }
}

/// A device, and calibration text that was cut, or sampled from the model, for it.
pub struct Calibrated<'a> {
    pub target: Target,
    pub settings: compress::Computing<'a>,
    /// How many sequences run at a time.
    pub batch_size: usize,
    pub samples: Samples,
    /// The entry of the samples in a manifest.
    pub record: CalibrationRecord,
}
