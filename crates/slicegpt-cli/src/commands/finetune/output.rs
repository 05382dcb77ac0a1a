//! What a training leaves: a checkpoint with the trained weights, and the record.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use slicegpt_checkpoint::{Dtype, Staging, Writer, copy_companions};
use slicegpt_core::{Decoder, Observer, TensorSource, host_vec};
use slicegpt_models::Entry;
use slicegpt_provenance::TRAINING_RECORD;
use slicegpt_train::{Place, Settings, Trainable, Tuned};

use super::Args;
use super::adapter::adapter;
use super::data::Data;
use crate::services::device::Target;
use crate::services::memory;
use crate::services::model::Opened;
use crate::services::reweighted;
use crate::show::output;
use crate::show::progress::{self, Progress, note};
use crate::show::size::show_count;

/// What a training gave.
pub struct Done {
    pub curve: Vec<Value>,
    pub evaluations: Vec<Value>,
    pub seconds: f64,
    pub best: Trainable,
}

/// Checks that --out can be written.
pub fn stage(args: &Args) -> Result<Staging> {
    Ok(Staging::new(&args.out, Some(&args.model), args.writing.force)?)
}

/// Writes the checkpoint, and shows the results.
pub fn write(
    args: &Args,
    opened: &Opened,
    target: &Target,
    staging: Staging,
    (settings, data): (&Settings, &Data),
    done: Done,
) -> Result<()> {
    let record = record(args, settings, data, &done);
    let text = serde_json::to_string_pretty(&record)? + "\n";
    let path = staging.path().join(TRAINING_RECORD);
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    copy_companions(&opened.directory(), staging.path())?;
    if args.adapter {
        let rank = args.weights.rank;
        let shape = (rank, args.scale() * rank as f64);
        adapter(&opened.spec, &args.model, shape, &done.best)?.write_files(staging.path())?;
        return commit(args, staging, &record, &done);
    }
    let dtype = args.dtype.map_or(opened.dtype, Dtype::from);
    target.run(|| weights(args, opened, target, &staging, dtype, &done.best))?;
    reweighted::describe(opened, opened.spec.tied, dtype, staging.path())?;
    commit(args, staging, &record, &done)
}

/// Puts the output in place, and shows the results.
fn commit(args: &Args, staging: Staging, record: &Value, done: &Done) -> Result<()> {
    progress::check()?;
    staging.commit()?;
    show(args, record, done)?;
    note(format!("wrote {}", args.out.display()));
    Ok(())
}

fn weights(
    args: &Args,
    opened: &Opened,
    target: &Target,
    staging: &Staging,
    dtype: Dtype,
    best: &Trainable,
) -> Result<()> {
    let spec = &opened.spec;
    let entries = spec.entries();
    let model = opened.model(&target.device);
    let named = |entry: &Entry| model.stored_name(&entry.name);
    let tensors = entries.iter().map(|entry| (named(entry), entry.shape.clone())).collect();
    let mut writer = Writer::create(staging.path(), tensors, dtype, args.writing.max_shard_size)?;
    let progress = Progress::start("writing", entries.len());
    let tuned = Tuned { decoder: &model, trainable: best };
    for number in 0..spec.layers {
        let block = tuned.block(number)?;
        for entry in spec.block_entries(number) {
            writer.write(&named(&entry), &block.tensor(&entry))?;
            let _ = progress.step();
        }
        progress::check()?;
    }
    let vectors = tuned.norm()?.vectors().into_iter().flatten();
    for (entry, vector) in spec.norm_entries().into_iter().zip(vectors) {
        writer.write(&named(&entry), &narrowed(vector))?;
    }
    let rest = [Some(spec.embedding_entry()), spec.position_entry()].into_iter().flatten();
    for entry in rest.chain(spec.head_entries()) {
        let is_head = entry.shape.len() == 2 && spec.head_entries().first() == Some(&entry);
        let values = if is_head && best.trains(Place::Head) {
            narrowed(host_vec(tuned.head()?.linear.weight.val().transpose()))
        } else {
            opened.checkpoint.tensor(&named(&entry), &entry.shape)?
        };
        writer.write(&named(&entry), &values)?;
    }
    progress.finish();
    writer.finish()?;
    Ok(())
}

fn narrowed(values: Vec<f64>) -> Vec<f32> {
    values.into_iter().map(|x| x as f32).collect()
}

fn record(args: &Args, settings: &Settings, data: &Data, done: &Done) -> Value {
    json!({
        "model": args.model.to_string_lossy(),
        "train": args.train.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
        "teacher": args.distill.as_ref().map(|path| path.to_string_lossy()),
        "temperature": args.distill.is_some().then_some(args.temperature),
        "mix": args.distill.is_some().then_some(args.mix),
        "sequences": data.examples.len(),
        "tokens": data.tokens,
        "trained_parameters": done.best.parameters(),
        "rank": (!args.weights.full).then_some(args.weights.rank),
        "scale": (!args.weights.full).then_some(args.scale()),
        "learning_rate": settings.schedule.peak,
        "steps": done.curve.len(),
        "planned_steps": settings.schedule.steps,
        "batch": settings.batch,
        "seconds": done.seconds,
        "peak_rss_bytes": memory::peak_rss_bytes(),
        "evaluations": done.evaluations,
        "curve": done.curve,
    })
}

fn show(args: &Args, record: &Value, done: &Done) -> Result<()> {
    let mut json = record.clone();
    json["out"] = args.out.to_string_lossy().into();
    let mut rows = vec![
        ("steps", vec![done.curve.len().to_string()]),
        ("trained parameters", vec![show_count(done.best.parameters() as u64)]),
        ("time", vec![format!("{:.0} s", done.seconds)]),
    ];
    // The first text decides which state is the best.
    let of = |evaluation: &Value, text: usize| {
        evaluation["texts"][text]["perplexity"].as_f64().unwrap_or(f64::NAN)
    };
    let best = done.evaluations.iter().min_by(|a, b| of(a, 0).total_cmp(&of(b, 0)));
    if let (Some(first), Some(best)) = (done.evaluations.first(), best) {
        for text in 0..first["texts"].as_array().map_or(0, Vec::len) {
            let [before, after] = [first, best].map(|evaluation| of(evaluation, text));
            rows.push(("perplexity", vec![format!("{before:.3} -> {after:.3}")]));
        }
    }
    output::print(args.writing.json.then_some(json), &rows, &[], None)
}
