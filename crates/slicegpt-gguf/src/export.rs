//! [`Export`]: a model to be written as a GGUF file. First everything but its values is planned,
//! then the values are written, tensor by tensor.

use std::collections::BTreeMap;
use std::path::Path;

use slicegpt_core::{Observer, TensorSource};
use slicegpt_models::DecoderSpec;

use crate::architecture::{Architecture, express};
use crate::error::{ExportError, Result};
use crate::file_type::ModelTraits;
use crate::metadata::hyperparameters;
use crate::read::read;
use crate::tensors::{Tensor, tensors};
use crate::tokenizer::named;
use crate::{FileType, GgufWriter, Metadata, TensorInfo, Type, Vocabulary};

/// A model, planned as a GGUF file; nothing is read yet.
pub struct Export {
    architecture: &'static Architecture,
    metadata: Metadata,
    tensors: Vec<Tensor>,
    infos: Vec<TensorInfo>,
    fallbacks: Vec<Fallback>,
    notes: Vec<String>,
}

/// A tensor that gets another type than planned, because its rows are not whole blocks of that
/// type.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// Its name in the file.
    pub name: String,
    /// Values per row.
    pub columns: usize,
    /// The planned type.
    pub wanted: Type,
    /// The type it gets.
    pub ty: Type,
}

impl Export {
    /// Plans the decoder `spec` as a file of `file_type` with the tokenizer `vocabulary`, in which
    /// the model has the name `name`.
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
        let traits = ModelTraits {
            layers: spec.layers,
            group: spec.attention.heads / spec.attention.kv_heads,
            tied: spec.tied,
            is_70b: (architecture.is_70b)(spec),
        };
        let tensors = tensors(spec, architecture, &rope);
        let mut fallbacks = Vec::new();
        let info = |tensor: &Tensor| {
            let Tensor { name, shape, .. } = tensor;
            let chosen = file_type.choose(name, shape, traits);
            if chosen.ty != chosen.wanted {
                let (name, columns) = (name.clone(), shape[1]);
                let (wanted, ty) = (chosen.wanted, chosen.ty);
                fallbacks.push(Fallback { name, columns, wanted, ty });
            }
            TensorInfo { name: name.clone(), shape: shape.clone(), ty: chosen.ty }
        };
        let infos: Vec<TensorInfo> = tensors.iter().map(info).collect();
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
    pub fn infos(&self) -> &[TensorInfo] {
        &self.infos
    }

    /// Numbers of tensors and of values by type.
    pub fn types(&self) -> BTreeMap<Type, (usize, usize)> {
        let mut types = BTreeMap::new();
        for info in &self.infos {
            let (tensors, values) = types.entry(info.ty).or_insert((0, 0));
            *tensors += 1;
            *values += info.numel();
        }
        types
    }

    /// The tensors that get another type than planned.
    pub fn fallbacks(&self) -> &[Fallback] {
        &self.fallbacks
    }

    /// Differences between what llama.cpp computes and what the model computes.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Writes the file `path` with the values of `source`, and returns its size in bytes. `rename`
    /// maps the family's names of tensors to those of `source`. Every tensor is a step for the
    /// observer.
    ///
    /// # Errors
    ///
    /// If a tensor cannot be read or does not fit its type, or the file exists or cannot be
    /// written.
    pub fn write<S: TensorSource>(
        &self,
        path: &Path,
        source: &S,
        rename: impl Fn(&str) -> String,
        observer: &dyn Observer,
    ) -> std::result::Result<u64, ExportError<S::Error>>
    where
        S::Error: std::error::Error + 'static,
    {
        let mut writer = GgufWriter::create(path, &self.metadata, self.infos.clone())?;
        for tensor in &self.tensors {
            read(tensor, source, &rename, &mut |values| Ok(writer.write(&tensor.name, values)?))?;
            if observer.step().is_break() {
                return Err(ExportError::Interrupted);
            }
        }
        Ok(writer.finish()?)
    }
}

/// The note for a sliding window, which llama.cpp does not apply for these architectures.
fn window_note(spec: &DecoderSpec) -> Option<String> {
    let windows = &spec.attention.windows;
    let narrow = || windows.iter().flatten().filter(|window| **window < spec.context_length);
    let smallest = narrow().min()?;
    Some(format!(
        "{} of {} layers attend to {smallest} tokens, and to all tokens in llama.cpp: the results \
         are the same up to {smallest} tokens, not beyond",
        narrow().count(),
        spec.layers
    ))
}
