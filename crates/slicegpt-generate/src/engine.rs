//! [`Engine`]: a whole decoder in memory, and forwards of the next tokens of many sequences.

use std::ops::ControlFlow;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor};
use slicegpt_core::precise::has_own_memory;
use slicegpt_core::{Block, Decoder, Head, TensorSource};
use slicegpt_kernels as kernels;
use slicegpt_models::{Cache, DecoderBlock, DecoderSpec, Model, cast_and_pack, output_major};

/// Tokens run at a time: the activations of so many are in memory.
pub(crate) const CHUNK: usize = 512;

/// Rows of logits made at a time.
const ROWS: usize = 32;

/// Why a forward gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum EngineError<E: std::error::Error + 'static> {
    /// A weight cannot be had.
    #[error(transparent)]
    Source(#[from] E),
    /// The activations overflowed.
    #[error(
        "the logits hold a NaN or an infinity: the model is damaged, or its weights overflow in this type"
    )]
    NotFinite,
}

/// A decoder, loaded whole; only the embedding is looked up where it is stored.
pub struct Engine<S> {
    model: Model<S>,
    blocks: Vec<DecoderBlock>,
    pub(crate) head: Head,
    compute: DType,
}

impl<S: TensorSource> Engine<S>
where
    S::Error: std::error::Error + 'static,
{
    /// Loads the weights of `model`, as type `weights`. On the processor activations are float32
    /// whatever the weights are; elsewhere they are of the same type. `None` if `tick`, called after
    /// every block, breaks.
    ///
    /// # Errors
    ///
    /// If a weight cannot be read.
    pub fn load(
        model: Model<S>,
        weights: DType,
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Self>, S::Error> {
        let compute = match has_own_memory(model.device()) {
            true => weights,
            false => DType::F32,
        };
        let mut all = Cast(compute);
        let mut blocks = Vec::with_capacity(model.blocks());
        for index in 0..model.blocks() {
            blocks.push(cast_and_pack(model.block(index)?.map(&mut all), weights));
            if tick().is_break() {
                return Ok(None);
            }
        }
        let Head { norm, linear } = model.head()?;
        let mut head = Head { norm: norm.map(&mut all), linear: linear.map(&mut all) };
        head.linear.weight = head.linear.weight.map(|weight| output_major(weight, weights));
        Ok(Some(Self { model, blocks, head, compute }))
    }

    /// What the decoder is.
    pub fn spec(&self) -> &DecoderSpec {
        self.model.spec()
    }

    /// Bytes of a cache with room for `tokens` tokens, once it is in use.
    pub fn cache_bytes(&self, tokens: usize) -> u64 {
        let of_a_token = self.spec().cache_elements() * self.compute.size();
        (Cache::room(tokens) * of_a_token) as u64
    }

    /// Has `cache` see `ids`, which follow those it has seen.
    ///
    /// # Errors
    ///
    /// If the embedding cannot be read.
    pub fn read(&self, ids: &[u32], cache: &Cache) -> Result<(), EngineError<S::Error>> {
        for ids in ids.chunks(CHUNK) {
            self.run(&[(ids, cache)])?;
        }
        Ok(())
    }

    /// The logits of the token after the last of each sequence, `vocab_size` each. Every sequence has at
    /// least one token that its cache has not seen; afterwards it has seen them all.
    ///
    /// # Errors
    ///
    /// If the embedding cannot be read, or logits are not finite.
    ///
    /// # Panics
    ///
    /// If there is no sequence, or one has no tokens.
    pub fn next(
        &self,
        sequences: &[(&[u32], &Cache)],
    ) -> Result<Vec<Vec<f32>>, EngineError<S::Error>> {
        let logits = self.next_of_each(sequences)?.into_iter();
        logits.map(|logits| logits.ok_or(EngineError::NotFinite)).collect()
    }

    /// As [`Engine::next`]; `None` for a sequence whose logits are not finite, which is nothing to the
    /// others.
    ///
    /// # Errors
    ///
    /// If the embedding cannot be read.
    ///
    /// # Panics
    ///
    /// As [`Engine::next`].
    pub fn next_of_each(
        &self,
        sequences: &[(&[u32], &Cache)],
    ) -> Result<Vec<Option<Vec<f32>>>, EngineError<S::Error>> {
        let mut tails = Vec::with_capacity(sequences.len());
        for (ids, cache) in sequences {
            let (beginning, tail) = ids.split_at((ids.len() - 1) / CHUNK * CHUNK);
            self.read(beginning, cache)?;
            tails.push((tail, *cache));
        }
        let mut logits = Vec::with_capacity(sequences.len());
        let mut rest = &tails[..];
        while !rest.is_empty() {
            let mut tokens = 0;
            let fits = |(ids, _): &&(&[u32], &Cache)| {
                tokens += ids.len();
                tokens <= CHUNK
            };
            let (group, behind) = rest.split_at(rest.iter().take_while(fits).count());
            let stream = self.run(group)?;
            let mut end = 0;
            let last = group.iter().map(|(ids, _)| {
                end += ids.len();
                stream.clone().narrow(1, end - 1, 1)
            });
            logits.extend(self.logits(Tensor::cat(last.collect(), 1)));
            rest = behind;
        }
        Ok(logits)
    }

    /// Where it runs.
    pub fn device(&self) -> &Device {
        self.model.device()
    }

    /// The logits after every token of `ids`, which follow those that `cache` has seen, handed to `sink`
    /// row by row.
    ///
    /// # Errors
    ///
    /// As [`Engine::next`].
    pub fn each(
        &self,
        ids: &[u32],
        cache: &Cache,
        mut sink: impl FnMut(&[f32]),
    ) -> Result<(), EngineError<S::Error>> {
        for ids in ids.chunks(CHUNK) {
            let stream = self.run(&[(ids, cache)])?;
            for start in (0..ids.len()).step_by(ROWS) {
                let rows = stream.clone().narrow(1, start, ROWS.min(ids.len() - start));
                for row in self.logits(rows) {
                    sink(&row.ok_or(EngineError::NotFinite)?);
                }
            }
        }
        Ok(())
    }

    /// The stream after all blocks, `[1, tokens, width]`.
    pub(crate) fn run(&self, sequences: &[(&[u32], &Cache)]) -> Result<Tensor<3>, S::Error> {
        let (stream, context) = self.model.embed_packed(sequences)?;
        let stream = stream.cast(self.compute);
        let blocks = &self.blocks;
        let forward =
            || blocks.iter().fold(stream, |stream, block| block.forward(stream, &context));
        Ok(match has_own_memory(self.device()) {
            true => forward(),
            // On one of the threads that share out products: for another, each of them has to be woken.
            false => rayon::scope(|_| forward()),
        })
    }

    /// The logits of each token of a stream, `[1, tokens, width]`, where they are finite.
    fn logits(&self, stream: Tensor<3>) -> Vec<Option<Vec<f32>>> {
        let logits = kernels::logits(&self.head, stream);
        let values: Vec<f32> =
            logits.into_data_dtype(DType::F32).try_into_vec().expect("it was just made float32");
        let row = |row: &[f32]| row.iter().all(|x| x.is_finite()).then(|| row.to_vec());
        values.chunks(self.spec().vocab_size).map(row).collect()
    }
}

/// Casts all that a module learned.
struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(self.0))
    }
}
