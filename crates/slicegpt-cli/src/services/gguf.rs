//! A GGUF file as MODEL on the command line: a temporary directory with its config and tokenizer,
//! and its weights, which stay in the file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use serde_json::Value;
use slicegpt_checkpoint::{Checkpoint, CheckpointError, Dtype, ForeignTensor, OutputError};
use slicegpt_core::TensorSource;
use slicegpt_gguf::{GgufError, Import, TokenizerFiles};
use slicegpt_provenance::Manifest;
use tempfile::TempDir;

use crate::show::progress::warn;

/// The files of this command, by path. Its temporary directories are removed by [`close`].
static OPENED: Mutex<BTreeMap<PathBuf, Opened>> = Mutex::new(BTreeMap::new());

struct Opened {
    import: Arc<Import>,
    /// The file as it was given.
    given: PathBuf,
    directory: PathBuf,
    _temporary: TempDir,
}

/// Whether `model` is a GGUF file, by its name or its first bytes.
pub fn is_file(model: &Path) -> bool {
    model.is_file() && (is_named(model) || begins_as_gguf(model))
}

/// Whether `model` has the name of a GGUF file.
pub fn is_named(model: &Path) -> bool {
    model.extension().is_some_and(|name| name.eq_ignore_ascii_case("gguf"))
}

/// Refuses an output that is the GGUF file `model`, whose weights are read while it is written.
pub fn check_apart(out: &Path, model: &Path) -> Result<()> {
    match (out.canonicalize(), model.canonicalize()) {
        (Ok(real), Ok(model)) if real == model => Err(OutputError::IsInput(out.into()).into()),
        _ => Ok(()),
    }
}

fn begins_as_gguf(path: &Path) -> bool {
    use std::io::Read;
    let mut magic = [0; 4];
    slicegpt_limits::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok()
        && magic == *b"GGUF"
}

/// The directory that stands for `model`, if that is a GGUF file.
pub fn directory(model: &Path) -> Result<Option<PathBuf>> {
    if !is_file(model) {
        return Ok(None);
    }
    let path = model.canonicalize().with_context(|| model.display().to_string())?;
    let mut opened = OPENED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(opened) = opened.get(&path) {
        return Ok(Some(opened.directory.clone()));
    }
    let import = Import::open(model)?;
    let temporary = tempfile::Builder::new().prefix("slicegpt-").tempdir();
    let temporary = temporary.context("the directory for temporary files (TMPDIR)")?;
    // The directory has the name of the model, which outputs repeat.
    let directory = temporary.path().join(path.file_stem().unwrap_or_default());
    std::fs::create_dir(&directory).with_context(|| directory.display().to_string())?;
    let tokenizer = match import.tokenizer(None) {
        Ok(tokenizer) => tokenizer,
        Err(error @ (GgufError::Tokenizer { .. } | GgufError::PreTokenizerName { .. })) => {
            warn(format!("{error}: the model takes token ids only"));
            TokenizerFiles::default()
        }
        Err(error) => return Err(error.into()),
    };
    let config = ("config.json", import.config().clone());
    for (name, json) in tokenizer.files.iter().chain([&config]) {
        let path = directory.join(name);
        std::fs::write(&path, json.to_string()).with_context(|| path.display().to_string())?;
    }
    let made = Opened {
        import: Arc::new(import),
        given: model.to_path_buf(),
        directory: directory.clone(),
        _temporary: temporary,
    };
    opened.insert(path, made);
    Ok(Some(directory))
}

/// Opens the checkpoint in `directory`, one that [`directory`] gave or one on disk, with what
/// [`Checkpoint::describe`] says about it.
pub fn checkpoint(
    directory: &Path,
    config: Value,
    manifest: Option<Manifest>,
) -> Result<Checkpoint> {
    let opened = OPENED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let found = opened.values().find(|opened| opened.directory == directory);
    let Some(Opened { import, .. }) = found else {
        return Ok(Checkpoint::open_described(directory, config, manifest)?);
    };
    // The weights are those of the checkpoint that `import gguf` would write.
    let dtype = dtype_of(import);
    let tensors = import.tensors().map(|tensor| ForeignTensor {
        name: tensor.name.to_string(),
        shape: tensor.shape.to_vec(),
        dtype,
        bytes: tensor.bytes as u64,
    });
    let (tensors, files) = (tensors.collect(), import.files().count());
    let source = Box::new(Weights(import.clone()));
    Ok(Checkpoint::from_source(directory, config, tensors, source, files))
}

/// A message with the names of GGUF files in place of the temporary directories that stand for
/// them, which are gone when it is read.
pub fn with_names(message: &str) -> String {
    let opened = OPENED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    opened.values().fold(message.to_string(), |message, Opened { given, directory, .. }| {
        let (given, directory) = (given.display().to_string(), directory.display().to_string());
        message.replace(&format!("{directory}/"), &format!("{given}: ")).replace(&directory, &given)
    })
}

/// Removes the temporary directories of this command.
pub fn close() {
    OPENED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clear();
}

/// What is written instead of a tokenizer that was refused.
pub fn refused_tokenizer(error: GgufError) -> Result<TokenizerFiles> {
    match error {
        // There is no option that helps.
        GgufError::Tokenizer { .. } => {
            warn(format!("{error}: it is left out, and the model takes token ids only"));
            Ok(TokenizerFiles::default())
        }
        error => Err(error.into()),
    }
}

/// The type of most weights of a checkpoint made of `import`.
pub fn dtype_of(import: &Import) -> Dtype {
    match import.config()["torch_dtype"].as_str() {
        Some("float32") => Dtype::F32,
        Some("bfloat16") => Dtype::Bf16,
        _ => Dtype::F16,
    }
}

/// A GGUF file as a source of weights.
struct Weights(Arc<Import>);

fn foreign<T>(result: Result<T, GgufError>) -> Result<T, CheckpointError> {
    result.map_err(|error| CheckpointError::Foreign(Box::new(error)))
}

impl TensorSource for Weights {
    type Error = CheckpointError;

    fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, CheckpointError> {
        foreign(self.0.tensor(name, shape))
    }

    fn rows(
        &self,
        name: &str,
        shape: [usize; 2],
        rows: Range<usize>,
    ) -> Result<Vec<f32>, CheckpointError> {
        foreign(self.0.rows(name, shape, rows))
    }

    fn gather(
        &self,
        name: &str,
        shape: [usize; 2],
        indices: &[u32],
    ) -> Result<Vec<f32>, CheckpointError> {
        foreign(self.0.gather(name, shape, indices))
    }

    fn will_read(&self, name: &str) {
        self.0.will_read(name);
    }
}
