//! `slicegpt finetune`: trains a model on text, whole or by low-rank corrections, with or without a
//! teacher.

mod adapter;
mod arguments;
mod data;
mod output;
mod saved;
mod targets;
mod teacher;
mod watch;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use slicegpt_core::Decoder;
use slicegpt_train::{Ending, Job, Network, State, TrainError, fit};

pub use arguments::Args;

use crate::services::memory;
use crate::services::model::Opened;
use crate::show::progress::{Interrupted, note, warn};
use data::Data;
use saved::Saved;
use watch::Watcher;

/// Runs it.
pub fn run(args: Args) -> Result<ExitCode> {
    memory::reset_peak();
    let started = Instant::now();
    let opened = Opened::open(&args.model)?;
    let teacher = args.distill.as_deref().map(Opened::open).transpose()?;
    args.check(&opened, teacher.as_ref())?;
    let target = args.running.open()?;
    let data = Data::load(&args, &opened)?;
    let settings = args.settings(data.examples.len())?;
    let saved = Saved::beside(&args.out, saved::origin(&args, &opened, &data, &settings)?);
    if !args.steps.resume {
        saved.check_new()?;
    }
    let staging = output::stage(&args)?;
    let (trainable, network) = target.run(|| {
        let model = opened.model(&target.device);
        let blocks =
            (0..model.blocks()).map(|index| model.block(index)).collect::<Result<_, _>>()?;
        let network = Network { blocks, head: model.head()? };
        let trainable = targets::trainable(&args, &opened.spec, &network, &target.device)?;
        Ok((trainable, network))
    })?;
    let trained = trainable.parameters();
    note(format!("{trained} of {} parameters are trained", opened.spec.parameters()));
    let (mut state, progress) = match State::new(trainable, &settings) {
        new if args.steps.resume => saved.read(new)?,
        new => (new, Default::default()),
    };
    let teacher = match &teacher {
        Some(teacher) => Some(teacher::streams(teacher, &data.examples, &target)?),
        None => None,
    };
    let mut watcher = Watcher::new((&args, &opened, &data, &target), &settings, &saved, progress);
    let ending = target.run(|| {
        let model = opened.model(&target.device);
        let embed = |batch: &_| {
            let stream = model.embed(batch)?;
            Ok((stream, model.context(batch)))
        };
        let job = Job {
            network: &network,
            embed: &embed,
            examples: &data.examples,
            teacher: teacher.as_ref().map(|teacher| (teacher, [args.temperature, args.mix])),
            settings: &settings,
        };
        Ok(fit(&job, &mut state, &mut watcher))
    })?;
    let (curve, evaluations) = watcher.finish();
    match ending {
        Ok(Ending::Complete | Ending::Stopped) => {}
        Ok(Ending::Cancelled) => {
            note(format!(
                "{}: the training goes on from here with --resume",
                saved.path().display()
            ));
            return Err(Interrupted.into());
        }
        Err(TrainError::Source(error)) => return Err(error.into()),
        Err(error @ TrainError::NotFinite { .. }) if state.step == 0 => {
            bail!("{error}; see --learning-rate")
        }
        Err(error @ TrainError::NotFinite { .. }) => {
            warn(format!("{error}; see --learning-rate. The best state before it is written"));
        }
    }
    let best = state.best.take().map(|(_, best)| best);
    let best = best.ok_or_else(|| anyhow!("nothing was evaluated"))?;
    drop(network);
    let done = output::Done { curve, evaluations, seconds: started.elapsed().as_secs_f64(), best };
    output::write(&args, &opened, &target, staging, (&settings, &data), done)?;
    saved.remove();
    Ok(ExitCode::SUCCESS)
}
