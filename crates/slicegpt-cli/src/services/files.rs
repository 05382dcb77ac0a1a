//! The files that are written next to the weights: config, model card, tokenizer, spectra.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use slicegpt_calibrate::Spectrum;
use slicegpt_checkpoint::{Dtype, Staging};
use slicegpt_compress::finish_checkpoint;
use slicegpt_provenance::{Manifest, Record};

use crate::services::card;
use crate::services::model::Described;
use crate::show::output::{check_ours, says};

/// Name of the file of eigenvalues until it is moved into place.
pub const SPECTRA: &str = "spectra.json";

/// Prepares the file of eigenvalues, which must not lie in `model` or in `out`.
pub fn stage_spectra(path: &Path, model: &Path, out: &Path) -> Result<Staging> {
    let ours = |start: &[u8]| start.starts_with(b"[") && says(start, "\"eigenvalues\":");
    check_ours("--spectra", path, ours, "file of spectra")?;
    let staged = Staging::check_file(path, model)
        .and_then(|()| Staging::check_file(path, out))
        .and_then(|()| Staging::for_file(path, model));
    staged.with_context(|| format!("--spectra {}", path.display()))
}

/// Writes the file of eigenvalues.
pub fn write_spectra(path: &Path, spectra: &[Spectrum]) -> Result<()> {
    let list: Vec<_> = spectra
        .iter()
        .map(|spectrum| json!({ "tokens": spectrum.tokens, "eigenvalues": spectrum.eigenvalues }))
        .collect();
    let text = serde_json::to_string(&list)? + "\n";
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

/// Writes everything but the weights; `config.json` last.
pub fn finish(
    staging: &Staging,
    described: &Described,
    sliced: &slicegpt_models::DecoderSpec,
    dtype: Dtype,
    manifest: &Manifest,
    record: Option<&Record>,
) -> Result<()> {
    let Described { directory, config, .. } = described;
    let write = |name: &str, text: String| {
        let path = staging.path().join(name);
        std::fs::write(&path, text).with_context(|| path.display().to_string())
    };
    write("README.md", card::card(described, manifest, record, dtype))?;
    if let Some(record) = record {
        write(Record::FILE, record.to_json())?;
    }
    Ok(finish_checkpoint(directory, staging.path(), config, sliced, dtype, manifest)?)
}

/// Rewrites model card and record of the finished checkpoint `out`, each by rename, with results
/// that became known only after it was moved into place.
pub fn amend(
    out: &Path,
    described: &Described,
    dtype: Dtype,
    manifest: &Manifest,
    record: &Record,
) -> Result<()> {
    let card = card::card(described, manifest, Some(record), dtype);
    for (name, text) in [("README.md", card), (Record::FILE, record.to_json())] {
        write_whole(&out.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// Writes a file, or replaces it, by rename: it is never there in part.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(format!(".{name}.partial"));
    let written = write_synced(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written.with_context(|| path.display().to_string())
}

/// Writes a file, and waits until it is on the disk.
fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
