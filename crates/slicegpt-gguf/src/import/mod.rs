//! [`Import`]: a GGUF file as a Hugging Face checkpoint: its config, its tensors, its tokenizer.
//!
//! Tensors are read from the mapped file when they are asked for, and dequantised then. Names,
//! shapes and the order of rows are the inverse of what a file is written from, by the same tables.

mod config;
mod keys;
mod rope;
mod rows;
mod tokenizer;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use rayon::prelude::*;
use serde_json::Value;
use slicegpt_core::TensorSource;
use slicegpt_models::{DecoderSpec, Part};

use crate::architecture::named;
use crate::error::{GgufError, Result};
use crate::file::{self, GgufFile, StoredTensor};
use config::Tensors;
use rope::Divisors;
use rows::{Expected, Stored, stored};

pub use tokenizer::TokenizerFiles;

/// Tensors of a file that hold no weights.
const DIVISORS: [&str; 3] =
    ["rope_freqs.weight", "rope_factors_short.weight", "rope_factors_long.weight"];

/// A model in a GGUF file, opened; nothing but its header was read.
pub struct Import {
    /// The parts of a split file, or the only one.
    parts: Vec<GgufFile>,
    config: Value,
    spec: DecoderSpec,
    /// The tensors of the checkpoint.
    tensors: BTreeMap<String, Stored>,
    /// Index of the part that holds a tensor of the file.
    places: BTreeMap<String, usize>,
}

/// A tensor as the file stores it.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedTensor<'a> {
    /// Its name in a Hugging Face checkpoint.
    pub name: &'a str,
    /// Its shape there.
    pub shape: &'a [usize],
    /// The type it is stored as, such as `Q4_K`.
    pub ty: &'static str,
    /// Bytes of its values in the file.
    pub bytes: usize,
}

impl Import {
    /// Opens the model in the file `path`, with all parts if it was split.
    ///
    /// # Errors
    ///
    /// If the file is damaged, or holds a model, a type or a setting that is not read.
    pub fn open(path: &Path) -> Result<Self> {
        let parts = file::open(path)?;
        let mut places = BTreeMap::new();
        for (index, part) in parts.iter().enumerate() {
            for (name, tensor) in part.tensors() {
                if !tensor.ty.is_read() {
                    return Err(part.wrong(format!(
                        "tensor `{name}` is {}, which is not read ({} are)",
                        tensor.ty.name(),
                        crate::quant::StoredType::readable()
                    )));
                }
                if places.insert(name.clone(), index).is_some() {
                    return Err(part.wrong(format!("tensor `{name}` is in two parts")));
                }
            }
        }
        let file = &parts[0];
        let Some(name) = file.text("general.architecture")? else {
            return Err(file.wrong("`general.architecture` is missing: this file is not a model"));
        };
        let found: Tensors<'_> = parts.iter().flat_map(tensors_of).collect();
        let packed = found.contains_key("blk.0.attn_qkv.weight");
        let architecture = named(name, packed).map_err(|reason| file.wrong(reason))?;
        let read = |name: &str| places.get(name).map(|part| read_list(&parts[*part], name));
        let [all, short, long] = DIVISORS.map(read);
        let divisors =
            Divisors { all: all.transpose()?, short: short.transpose()?, long: long.transpose()? };
        let made = config::config(file, name, &found, &divisors, dtype(&found))?;
        let spec =
            slicegpt_models::parse(&made.json).map_err(|error| file.wrong(error.to_string()))?;
        if architecture.interleaved {
            check_heads(file, &found, &spec)?;
        }
        let (tensors, expected) = stored(&spec, architecture, made.rotated);
        check(file, &found, &expected)?;
        check_all(file, &found, &expected)?;
        Ok(Self { config: made.json, spec, tensors, places, parts })
    }

    /// The contents of `config.json`.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// The decoder.
    pub fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    /// The files: the parts of a split file, or the only one.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().map(GgufFile::path)
    }

    /// The tokenizer as files of a checkpoint. `pre` is one of
    /// [`PRE_TOKENIZERS`](crate::PRE_TOKENIZERS), and replaces the name in the file.
    ///
    /// # Errors
    ///
    /// If the tokenizer is damaged, or of a kind or with a pre-tokenizer that is not known.
    pub fn tokenizer(&self, pre: Option<&str>) -> Result<TokenizerFiles> {
        tokenizer::files(&self.parts[0], self.spec.vocab_size, self.spec.context_length, pre)
    }

    /// The tensors of the checkpoint, by name.
    pub fn tensors(&self) -> impl Iterator<Item = ImportedTensor<'_>> {
        self.tensors.iter().map(|(name, stored)| {
            let runs = stored.runs(0..stored.shape[0]);
            let columns = stored.columns();
            let bytes = |(name, rows): &(&str, Range<usize>)| {
                let values = rows.len() * columns;
                self.stored(name).1.ty.bytes(values).expect("it lies in the file")
            };
            let ty = self.stored(runs[0].0).1.ty.name();
            ImportedTensor { name, shape: &stored.shape, ty, bytes: runs.iter().map(bytes).sum() }
        })
    }

    /// The part and the description of a tensor of the file.
    fn stored(&self, name: &str) -> (&GgufFile, &StoredTensor) {
        let part = &self.parts[self.places[name]];
        (part, &part.tensors()[name])
    }

    /// The description of tensor `name` of the checkpoint, which must have `shape`.
    fn tensor_of(&self, name: &str, shape: &[usize]) -> Result<&Stored> {
        let file = &self.parts[0];
        match self.tensors.get(name) {
            Some(stored) if stored.shape == shape => Ok(stored),
            Some(stored) => Err(file.wrong(format!(
                "tensor `{name}` has shape {:?}, and {shape:?} is needed",
                stored.shape
            ))),
            None => Err(file.wrong(format!("tensor `{name}` is missing"))),
        }
    }

    /// The rows of each of `ranges` of tensor `name`, concatenated.
    fn rows_of(
        &self,
        name: &str,
        shape: &[usize],
        ranges: impl Iterator<Item = Range<usize>> + Clone,
    ) -> Result<Vec<f32>> {
        let stored = self.tensor_of(name, shape)?;
        let columns = stored.columns();
        let rows: usize = ranges.clone().map(|range| range.len()).sum();
        let mut out = Vec::with_capacity(rows * columns);
        for range in ranges {
            assert!(range.end <= shape[0], "rows {range:?} of `{name}` are beyond its end");
            for (source, rows) in stored.runs(range) {
                let (part, tensor) = self.stored(source);
                part.read(tensor, rows.start * columns, rows.len() * columns, &mut out);
            }
        }
        for segment in &stored.segments {
            let (part, tensor) = self.stored(&segment.name);
            part.release(tensor);
        }
        if out.par_chunks(1 << 16).all(|values| values.iter().all(|x| x.is_finite())) {
            Ok(out)
        } else {
            Err(self.parts[0]
                .wrong(format!("tensor `{name}` holds a NaN or an infinity; the file is damaged")))
        }
    }
}

impl TensorSource for Import {
    type Error = GgufError;

    fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.rows_of(name, shape, std::iter::once(0..shape[0]))
    }

    fn rows(&self, name: &str, shape: [usize; 2], rows: Range<usize>) -> Result<Vec<f32>> {
        self.rows_of(name, &shape, std::iter::once(rows))
    }

    fn gather(&self, name: &str, shape: [usize; 2], indices: &[u32]) -> Result<Vec<f32>> {
        let row = |index: &u32| *index as usize..*index as usize + 1;
        self.rows_of(name, &shape, indices.iter().map(row))
    }

    fn will_read(&self, name: &str) {
        for segment in self.tensors.get(name).into_iter().flat_map(|stored| &stored.segments) {
            let (part, tensor) = self.stored(&segment.name);
            part.will_read(tensor);
        }
    }
}

fn tensors_of(part: &GgufFile) -> impl Iterator<Item = (&str, &StoredTensor)> {
    part.tensors().iter().map(|(name, tensor)| (name.as_str(), tensor))
}

/// The values of a tensor that is a list.
fn read_list(part: &GgufFile, name: &str) -> Result<Vec<f32>> {
    let tensor = &part.tensors()[name];
    let [length] = tensor.shape[..] else {
        return Err(part.wrong(format!("tensor `{name}` has shape {:?}", tensor.shape)));
    };
    let mut values = Vec::new();
    part.read(tensor, 0, length, &mut values);
    if values.iter().all(|divisor| divisor.is_finite() && *divisor > 0.0) {
        Ok(values)
    } else {
        Err(part.wrong(format!("tensor `{name}` holds a number that is not above 0")))
    }
}

/// The type that most weights have, or for quantised ones that is next to it in size.
fn dtype(tensors: &Tensors<'_>) -> &'static str {
    let mut by_type: BTreeMap<&str, usize> = BTreeMap::new();
    for tensor in tensors.values() {
        *by_type.entry(tensor.ty.name()).or_default() += tensor.shape.iter().product::<usize>();
    }
    match by_type.into_iter().max_by_key(|(_, values)| *values) {
        Some(("F32" | "F64", _)) => "float32",
        Some(("BF16", _)) => "bfloat16",
        _ => "float16",
    }
}

/// Checks that the file has as many rows of heads as `spec` says, before their order is written
/// down: the metadata may claim any number.
fn check_heads(file: &GgufFile, found: &Tensors<'_>, spec: &DecoderSpec) -> Result<()> {
    for block in 0..spec.layers {
        for (name, part) in [("attn_q", Part::Query), ("attn_k", Part::Key)] {
            let ([inputs, outputs], _) = spec.linear(block, part);
            let name = format!("blk.{block}.{name}.weight");
            check(file, found, &[Expected { name, shape: vec![outputs, inputs] }])?;
        }
    }
    Ok(())
}

/// Checks that the file has the `expected` tensors.
fn check(file: &GgufFile, found: &Tensors<'_>, expected: &[Expected]) -> Result<()> {
    for Expected { name, shape } in expected {
        match found.get(name.as_str()) {
            Some(tensor) if tensor.shape == *shape => {}
            Some(tensor) => {
                return Err(file.wrong(format!(
                    "tensor `{name}` has shape {:?}, but the metadata say {shape:?}",
                    tensor.shape
                )));
            }
            None => return Err(file.wrong(format!("tensor `{name}` is missing"))),
        }
    }
    Ok(())
}

/// Checks that the file has no tensors but the `expected` ones.
fn check_all(file: &GgufFile, found: &Tensors<'_>, expected: &[Expected]) -> Result<()> {
    let known: std::collections::BTreeSet<&str> =
        expected.iter().map(|tensor| tensor.name.as_str()).chain(DIVISORS).collect();
    match found.keys().find(|name| !known.contains(*name)) {
        Some(name) => Err(file.wrong(format!(
            "tensor `{name}` is not part of such a model; the model is another one than its \
             metadata say"
        ))),
        None => Ok(()),
    }
}
