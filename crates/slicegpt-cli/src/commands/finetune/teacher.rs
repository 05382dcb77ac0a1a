//! The streams of a teacher before its head, for every training sequence.

use anyhow::Result;
use burn::tensor::Tensor;
use slicegpt_core::{Decoder, Head, Lanes, TokenBatch};
use slicegpt_eval::normed_streams;
use slicegpt_train::{Example, Teacher};

use super::Args;
use crate::commands::ppl::eval_error;
use crate::services::device::Target;
use crate::services::model::Opened;
use crate::show::progress::Progress;

/// Streams that were computed, and the head that they belong to.
pub struct TeacherStreams {
    streams: Vec<Tensor<2>>,
    head: Head,
}

impl TeacherStreams {
    /// Runs the teacher over all sequences once, block by block: it is never in memory as a whole.
    pub fn compute(teacher: &Opened, examples: &[Example], target: &Target) -> Result<Self> {
        let batches: Vec<TokenBatch> = examples
            .iter()
            .map(|example| TokenBatch::new(example.ids.clone(), None, example.ids.len()))
            .collect();
        let lanes = if target.is_cpu() {
            Lanes::new(rayon::current_num_threads().min(batches.len()))
        } else {
            Lanes::default()
        };
        let progress = Progress::start("teacher", batches.len() * teacher.spec.layers);
        target.doing(format!("running the teacher on {} sequences", batches.len()));
        let found = target.run(|| {
            let model = teacher.model(&target.device);
            let mut streams = Vec::with_capacity(batches.len());
            normed_streams(&model, &batches, &lanes, &progress, |normed| {
                streams.push(normed.squeeze_dim(0));
            })
            .map_err(|error| eval_error(error, &teacher.directory()))?;
            Ok(Self { streams, head: model.head()? })
        });
        progress.finish();
        found
    }

    /// The teacher as a training sees it.
    pub fn of<'a>(&'a self, args: &Args) -> Teacher<'a> {
        Teacher {
            normed: Box::new(|example| self.streams[example].clone()),
            head: &self.head,
            temperature: args.temperature,
            mix: args.mix,
        }
    }
}
