//! Measures the tokens per second of a model, dense and cut, with `slicegpt bench`.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use super::compress::{cut_folder, dense_note};
use super::context::{A_SECOND, Context};
use crate::program::words;
use crate::shape::Shape;
use crate::{Line, Log, Speed};

pub fn run(context: &Context, log: &mut Log<'_>) -> Result<()> {
    let software = context.tested()?.software;
    let shape = if software { Shape::SMALL } else { Shape::LARGE };
    let cut = cut_folder(context, "shared");
    let dense = std::fs::read_to_string(dense_note(context)).map(PathBuf::from);
    let Ok(dense) = dense else {
        return log.skipped("speed", "the model was not made: see the stage before");
    };
    if !cut.is_dir() {
        return log.skipped("speed", "the model was not compressed: see the stage before");
    }
    let (prefill, decode, batch) = if software { ("32", "4", "1") } else { ("512", "64", "1,8") };
    let mut args: Vec<OsString> = vec!["bench".into(), dense.clone().into(), cut.into()];
    args.extend(words(&["--device", &context.device, "--json", "--repeat", "2"]));
    args.extend(words(&["--prefill", prefill, "--decode", decode, "--batch", batch]));
    let limit = context.deadline.left().saturating_sub(A_SECOND);
    let finished = context.program.run(&args, limit)?;
    let found = match finished.json() {
        Ok(found) => found,
        Err(reason) => return log.failed("speed", reason),
    };
    let first = found["benchmarks"][0]["model"].clone();
    for row in found["benchmarks"].as_array().into_iter().flatten() {
        let number = |key: &str| row[key].as_u64().unwrap_or_default();
        log.put(&Line::Speed(Speed {
            shape: shape.name.into(),
            model: if row["model"] == first { "dense" } else { "cut" }.into(),
            phase: row["phase"].as_str().unwrap_or_default().into(),
            batch: number("batch"),
            tokens: number("tokens"),
            tokens_per_second: row["tokens_per_second"].as_f64().unwrap_or_default(),
        }))?;
    }
    Ok(())
}
