//! [`Prepared`]: everything that `compress` needs, checked before the work begins.

use anyhow::Result;
use slicegpt_checkpoint::{Dtype, Staging};
use slicegpt_compress::{Cut, Plan, Size};
use slicegpt_corpus::Samples;
use slicegpt_provenance::CalibrationRecord;

use super::args::Args;
use crate::args::calibration::Purpose;
use crate::args::evaluation::EvaluationText;
use crate::commands::plan::refuse_sliced;
use crate::services::calibrated::{Calibrated, OpenDevice};
use crate::services::device::Target;
use crate::services::files::stage_spectra;
use crate::services::model::{Described, Opened};

/// The arguments, checked, and everything they name, opened.
pub struct Prepared<'a> {
    pub args: &'a Args,
    pub described: Described,
    pub opened: Opened,
    pub target: Target,
    pub dtype: Dtype,
    pub plan: Plan,
    pub cut: Cut,
    pub computing: slicegpt_compress::Computing<'a>,
    pub staging: Staging,
    pub spectra: Option<Staging>,
    pub texts: Vec<EvaluationText>,
    pub samples: Samples,
    pub calibration: CalibrationRecord,
    pub batch_size: usize,
}

impl<'a> Prepared<'a> {
    /// Checks everything that can be checked before the work begins.
    pub fn new(args: &'a Args) -> Result<Self> {
        args.calibration.check()?;
        let described = Described::read(&args.model)?;
        refuse_sliced(&described)?;
        let spec = &described.spec;
        let dtype = args.dtype.map_or(described.dtype(), Dtype::from);
        let mut plan = args.plan(dtype)?;
        let mut cut = args.cut.resolve(&plan, spec)?;
        let staging = Staging::new(&args.out, Some(&described.directory), args.force)?;
        let spectra = args
            .spectra
            .as_ref()
            .map(|path| stage_spectra(path, &described.directory, &args.out))
            .transpose()?;
        let opened = described.open(&args.model)?;
        let device = OpenDevice::new(&args.running, &args.computing)?;
        let stored = args.dtype.map_or(opened.dtype, Dtype::from);
        if stored != dtype && matches!(plan.size, Some(Size::TargetBytes { .. })) {
            // The weights have another type than config.json says, and bytes were asked for.
            plan = args.plan(stored)?;
            cut = args.cut.resolve(&plan, spec)?;
        }
        let texts = args.evaluation.load(&opened, &args.calibration.cutting)?;
        let purpose = Purpose::cut(&plan, &args.computing);
        let Calibrated { target, settings: computing, batch_size, samples, record: calibration } =
            device.load(&opened, &args.calibration, &purpose)?;
        let dtype = stored;
        #[rustfmt::skip]
        let prepared = Self {
            args, described, opened, target, dtype, plan, cut, computing, staging, spectra,
            texts, samples, calibration, batch_size,
        };
        Ok(prepared)
    }
}
