//! A checkpoint directory in, a checkpoint directory out.
//!
//! ```text
//! cargo run --release -p slicegpt-compress --example compress [DENSE [OUT]]
//! ```
//!
//! Without arguments it compresses a tiny trained model of this repository into a temporary
//! directory.

use std::error::Error;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use slicegpt_checkpoint::{Checkpoint, Dtype, Staging};
use slicegpt_compress::{About, ByName, Compression, Plan, Shards, Size, finish_checkpoint};
use slicegpt_core::TokenBatch;
use slicegpt_corpus::{Text, Vocabulary, calibration_samples};
use slicegpt_models::{Model, parse};
use slicegpt_provenance::CalibrationRecord;

const SEQUENCES: usize = 16;
const SEQLEN: usize = 128;
const SEED: u64 = 42;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/models/ts-llama3-gqa");

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let temporary = tempfile::tempdir()?;
    let dense = arguments.next().unwrap_or_else(|| FIXTURE.into());
    let out = arguments.next().unwrap_or_else(|| temporary.path().join("sliced"));
    run(&dense, &out)
}

fn run(dense: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    // The dense model: shapes from its config, weights read when they are needed.
    let checkpoint = Checkpoint::open(dense)?;
    let spec = parse(checkpoint.config())?;
    let model = Model::new(spec.clone(), &checkpoint, Device::flex());

    // Calibration text as tokens. Use text like that which the model will see in use.
    let (text, vocabulary) = (Text::bundled(), Vocabulary::open(dense)?);
    let samples = calibration_samples(&text, &vocabulary, SEQUENCES, SEQLEN, SEED)?;
    let (ids, mask) = samples.batches(SEQUENCES).next().ok_or("the text is empty")?;
    let tokens = TokenBatch::new(ids.to_vec(), mask.map(<[bool]>::to_vec), SEQLEN);

    // The compression. The directory appears under its name only when it is complete.
    let plan = Plan { size: Some(Size::KeepParams(0.75)), ..Plan::default() };
    let staging = Staging::new(out, Some(dense), false)?;
    let mut sink = ByName::new(&spec, Shards::new(staging.path(), Dtype::F32, 5_000_000_000));
    let compression = Compression { plan: plan.clone(), ..Compression::new(&model) };
    let done = compression.run(&tokens, &mut sink)?;
    let (sliced, shards) = sink.into_inner();
    let sliced = sliced.ok_or("a compression that ended has begun")?;
    shards.finish()?;

    // The config, the tokenizer's files, and a record of how the model was made.
    let manifest = done.manifest(&About {
        dense: &spec,
        sliced: &sliced,
        plan: &plan,
        calibration: CalibrationRecord {
            source: text.source().into(),
            digest: samples.digest(),
            samples: samples.count(),
            seqlen: samples.seqlen(),
            tokens: samples.kept(),
            texts: Vec::new(),
        },
        tool_version: "the example of slicegpt-compress".into(),
    });
    finish_checkpoint(dense, staging.path(), checkpoint.config(), &sliced, Dtype::F32, &manifest)?;
    staging.commit()?;

    let [before, after] = [manifest.params_before, manifest.params_after];
    println!(
        "{}: {after} of {before} parameters, stream {} of {}",
        out.display(),
        sliced.width(0),
        spec.hidden_size
    );

    // What was written is a model like any other.
    let written = Checkpoint::open(out)?;
    assert_eq!(parse(written.config())?.parameters() as u64, after);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_runs() {
        let temporary = tempfile::tempdir().unwrap();
        run(FIXTURE.as_ref(), &temporary.path().join("sliced")).unwrap();
    }
}
