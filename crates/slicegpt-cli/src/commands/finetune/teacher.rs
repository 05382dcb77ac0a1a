//! Running a teacher over the training sequences.

use anyhow::Result;
use slicegpt_core::Lanes;
use slicegpt_train::{Example, TeacherStreams};

use crate::commands::ppl::eval_error;
use crate::services::device::Target;
use crate::services::model::Opened;
use crate::show::progress::Progress;

/// The streams of a teacher for all sequences.
pub fn streams(teacher: &Opened, examples: &[Example], target: &Target) -> Result<TeacherStreams> {
    let lanes = if target.is_cpu() {
        Lanes::new(rayon::current_num_threads().min(examples.len()))
    } else {
        Lanes::default()
    };
    let progress = Progress::start("teacher", examples.len() * teacher.spec.layers);
    target.doing(format!("running the teacher on {} sequences", examples.len()));
    let found = target.run(|| {
        let model = teacher.model(&target.device);
        let found = TeacherStreams::compute(&model, examples, &lanes, &progress);
        found.map_err(|error| eval_error(error, &teacher.directory()))
    });
    progress.finish();
    found
}
