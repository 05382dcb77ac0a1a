//! Calibration text that the model writes itself.

use anyhow::{Result, bail};
use slicegpt_corpus::{Samples, Vocabulary};
use slicegpt_generate::{Script, Template, sample_sequences};

use crate::services::device::Target;
use crate::services::generation::generation_settings;
use crate::services::model::Opened;
use crate::show::progress::{Interrupted, Progress};

/// One text, which begins with the token that the config names.
pub fn text(opened: &Opened) -> Script {
    let id = |field: &str| {
        let value = opened.checkpoint.config().get(field)?;
        // Some configs list several end-of-sequence tokens.
        let id = value.as_u64().or_else(|| value.get(0)?.as_u64())?;
        u32::try_from(id).ok().filter(|id| (*id as usize) < opened.spec.vocab_size)
    };
    Script::text(id("bos_token_id").or_else(|| id("eos_token_id")).unwrap_or(0))
}

/// A conversation in the chat template of the model.
pub fn conversation(opened: &Opened) -> Result<Script> {
    let directory = opened.directory();
    let template = Template::open(&directory, None)?;
    let vocabulary = Vocabulary::open(&directory)?;
    let defaults = generation_settings(&opened.checkpoint)?;
    let script = Script::conversation(&template, &vocabulary, &defaults.eos)?;
    let size = opened.spec.vocab_size;
    if let Some(id) = script.given().find(|id| *id as usize >= size) {
        bail!(
            "{}: the tokenizer gives token {id}, but the model has {size} only: they do not \
             belong together",
            directory.display()
        );
    }
    Ok(script)
}

/// Lets the model write `count` sequences of `seqlen` tokens.
pub fn write(
    opened: &Opened,
    target: &Target,
    script: &Script,
    [count, seqlen]: [usize; 2],
    seed: u64,
) -> Result<Samples> {
    // A decode step is cheap per sequence, so many sequences are sampled at once.
    let group = target.batch_size(&opened.spec, seqlen).max(32);
    let progress = Progress::start("sampling", count.div_ceil(group) * (seqlen - 1).max(1));
    let model = opened.model(&target.device);
    let ids = sample_sequences(&model, count, seqlen, group, script, seed, &progress)?;
    progress.finish();
    Ok(Samples::new(ids.ok_or(Interrupted)?, None, seqlen))
}
