//! [`Export`]: a model on its way into a file: what it becomes, then its values, tensor by tensor.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use slicegpt_core::TensorSource;
use slicegpt_models::DecoderSpec;

use crate::architecture::{Architecture, express};
use crate::error::{GgufError, Result};
use crate::file_type::Depth;
use crate::metadata::hyperparameters;
use crate::read::read;
use crate::tensors::{Tensor, tensors};
use crate::tokenizer::named;
use crate::{FileType, Info, Metadata, Type, Vocabulary, Writer};

/// A model, planned as a GGUF file; nothing is read yet.
pub struct Export {
    architecture: &'static Architecture,
    metadata: Metadata,
    tensors: Vec<Tensor>,
    infos: Vec<Info>,
    fallbacks: Vec<Fallback>,
    notes: Vec<String>,
}

/// A tensor whose rows do not fill the blocks of the type it should have.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// Its name in the file.
    pub name: String,
    /// Values in a row.
    pub columns: usize,
    /// What it should have.
    pub wanted: Type,
    /// What it has.
    pub ty: Type,
}

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError<E: std::error::Error + 'static> {
    /// A tensor of the model cannot be had.
    #[error(transparent)]
    Source(E),
    /// The file cannot be written, or a value does not fit.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Export {
    /// Plans the decoder `spec` as a file of `file_type`, called `name`, with the tokenizer `vocabulary`.
    ///
    /// # Errors
    ///
    /// If llama.cpp cannot express it.
    pub fn new(
        spec: &DecoderSpec,
        file_type: FileType,
        name: &str,
        vocabulary: Vocabulary,
    ) -> Result<Self> {
        let (architecture, rope) = express(spec)?;
        let depth = Depth {
            layers: spec.layers,
            group: spec.attention.heads / spec.attention.kv_heads,
            tied: spec.tied,
            is_70b: (architecture.is_70b)(spec),
        };
        let tensors = tensors(spec, architecture, &rope);
        let mut fallbacks = Vec::new();
        let info = |tensor: &Tensor| {
            let Tensor { name, shape, .. } = tensor;
            let chosen = file_type.choose(name, shape, depth);
            if chosen.ty != chosen.wanted {
                let (name, columns) = (name.clone(), shape[1]);
                let (wanted, ty) = (chosen.wanted, chosen.ty);
                fallbacks.push(Fallback { name, columns, wanted, ty });
            }
            Info { name: name.clone(), shape: shape.clone(), ty: chosen.ty }
        };
        let infos: Vec<Info> = tensors.iter().map(info).collect();
        let (name, renamed) = named::fitting(name, &vocabulary);
        let mut metadata = hyperparameters(spec, architecture, &rope, file_type, name);
        metadata.extend(vocabulary.metadata);
        let model = [window_note(spec), rope.note, renamed].into_iter().flatten();
        let notes = model.chain(vocabulary.notes).collect();
        Ok(Self { architecture, metadata, tensors, infos, fallbacks, notes })
    }

    /// `general.architecture`.
    pub fn architecture(&self) -> &'static str {
        self.architecture.name
    }

    /// The tensors of the file, in order.
    pub fn infos(&self) -> &[Info] {
        &self.infos
    }

    /// How many tensors and values there are of each type.
    pub fn types(&self) -> BTreeMap<Type, (usize, usize)> {
        let mut types = BTreeMap::new();
        for info in &self.infos {
            let (tensors, values) = types.entry(info.ty).or_insert((0, 0));
            *tensors += 1;
            *values += info.numel();
        }
        types
    }

    /// The tensors whose rows do not fill the blocks of the type they should have.
    pub fn fallbacks(&self) -> &[Fallback] {
        &self.fallbacks
    }

    /// Where llama.cpp computes something else than the model.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Writes the file `path`, with the values of `source`, where tensors have the names that `rename`
    /// makes of the family's. `tick` is called after every tensor. Gives the bytes of the file.
    ///
    /// # Errors
    ///
    /// If a tensor cannot be had or does not fit its type, or the file exists or cannot be written.
    pub fn write<S: TensorSource>(
        &self,
        path: &Path,
        source: &S,
        rename: impl Fn(&str) -> String,
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> std::result::Result<u64, ExportError<S::Error>>
    where
        S::Error: std::error::Error + 'static,
    {
        let mut writer = Writer::create(path, &self.metadata, self.infos.clone())?;
        for tensor in &self.tensors {
            read(tensor, source, &rename, &mut |values| Ok(writer.write(&tensor.name, values)?))?;
            if tick().is_break() {
                return Err(ExportError::Interrupted);
            }
        }
        Ok(writer.finish()?)
    }
}

/// llama.cpp computes no sliding window for these architectures.
fn window_note(spec: &DecoderSpec) -> Option<String> {
    let windows = &spec.attention.windows;
    let narrow = || windows.iter().flatten().filter(|window| **window < spec.context_length);
    let smallest = narrow().min()?;
    Some(format!(
        "{} of {} layers see {smallest} tokens at a time, and all tokens in llama.cpp: the same up to \
         {smallest} tokens, not beyond",
        narrow().count(),
        spec.layers
    ))
}
