//! [`Engine`]: a whole decoder in memory, and batched forward passes with KV caches.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor};
use slicegpt_core::precise::has_own_memory;
use slicegpt_core::{Block, Decoder, Head, Observer, TensorSource};
use slicegpt_kernels as kernels;
use slicegpt_models::{Cache, DecoderBlock, DecoderSpec, Model, cast_and_pack, output_major};

/// Maximum number of tokens per forward pass, which bounds the memory of activations.
pub(crate) const CHUNK: usize = 512;

/// Rows of logits that are computed at a time.
const LOGIT_ROWS: usize = 32;

/// Why a forward pass failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError<E: std::error::Error + 'static> {
    /// A weight cannot be read.
    #[error(transparent)]
    Source(#[from] E),
    /// The activations overflowed.
    #[error(
        "the logits hold a NaN or an infinity: the model is damaged, or its weights overflow in \
         this type"
    )]
    NotFinite,
}

/// A decoder in memory. Only the rows of the embedding are read from its source as they are needed.
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
    /// Loads the weights of `model`, held as type `weights`. On the CPU activations are float32
    /// whatever the type of the weights; on an accelerator they have the same type. Every block
    /// is a step for the observer; `None` if it cancels.
    ///
    /// # Errors
    ///
    /// If a weight cannot be read.
    pub fn load(
        model: Model<S>,
        weights: DType,
        observer: &dyn Observer,
    ) -> Result<Option<Self>, S::Error> {
        let compute = if has_own_memory(model.device()) { weights } else { DType::F32 };
        let mut cast = Cast(compute);
        let mut blocks = Vec::with_capacity(model.blocks());
        for index in 0..model.blocks() {
            blocks.push(cast_and_pack(model.block(index)?.map(&mut cast), weights));
            if observer.step().is_break() {
                return Ok(None);
            }
        }
        let Head { norm, linear } = model.head()?;
        let mut head = Head { norm: norm.map(&mut cast), linear: linear.map(&mut cast) };
        head.linear.weight = head.linear.weight.map(|weight| output_major(weight, weights));
        Ok(Some(Self { model, blocks, head, compute }))
    }

    /// The description of the decoder.
    pub fn spec(&self) -> &DecoderSpec {
        self.model.spec()
    }

    /// Bytes that a KV cache with capacity for `tokens` tokens takes once it is used.
    pub fn cache_bytes(&self, tokens: usize) -> u64 {
        let per_token = self.spec().cache_elements() * self.compute.size();
        (Cache::allocated(tokens) * per_token) as u64
    }

    /// Prefills `cache` with `ids`, which follow the tokens it holds.
    ///
    /// # Errors
    ///
    /// If the embedding cannot be read.
    pub fn prefill(&self, ids: &[u32], cache: &Cache) -> Result<(), EngineError<S::Error>> {
        for ids in ids.chunks(CHUNK) {
            self.run(&[(ids, cache)])?;
        }
        Ok(())
    }

    /// The logits after the last token of each sequence, `[vocab_size]` each. Every sequence has at
    /// least one token that its cache does not hold; afterwards the caches hold all tokens.
    ///
    /// # Errors
    ///
    /// If the embedding cannot be read, or logits are not finite.
    ///
    /// # Panics
    ///
    /// If there is no sequence, or one has no tokens.
    pub fn next_logits(
        &self,
        sequences: &[(&[u32], &Cache)],
    ) -> Result<Vec<Vec<f32>>, EngineError<S::Error>> {
        let logits = self.next_finite_logits(sequences)?.into_iter();
        logits.map(|logits| logits.ok_or(EngineError::NotFinite)).collect()
    }

    /// Like [`Engine::next_logits`], but logits that are not finite are `None` and do not affect
    /// the other sequences.
    ///
    /// # Errors
    ///
    /// If the embedding cannot be read.
    ///
    /// # Panics
    ///
    /// As [`Engine::next_logits`].
    pub fn next_finite_logits(
        &self,
        sequences: &[(&[u32], &Cache)],
    ) -> Result<Vec<Option<Vec<f32>>>, EngineError<S::Error>> {
        let mut tails = Vec::with_capacity(sequences.len());
        for (ids, cache) in sequences {
            let (beginning, tail) = ids.split_at((ids.len() - 1) / CHUNK * CHUNK);
            self.prefill(beginning, cache)?;
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
            let (group, remaining) = rest.split_at(rest.iter().take_while(fits).count());
            let stream = self.run(group)?;
            let mut end = 0;
            let last = group.iter().map(|(ids, _)| {
                end += ids.len();
                stream.clone().narrow(1, end - 1, 1)
            });
            logits.extend(self.logits(Tensor::cat(last.collect(), 1)));
            rest = remaining;
        }
        Ok(logits)
    }

    /// The device it runs on.
    pub fn device(&self) -> &Device {
        self.model.device()
    }

    /// Prefills `cache` with `ids`, and hands the logits after each of them to `sink`,
    /// `[vocab_size]` each.
    ///
    /// # Errors
    ///
    /// As [`Engine::next_logits`].
    pub fn logits_of_each(
        &self,
        ids: &[u32],
        cache: &Cache,
        mut sink: impl FnMut(&[f32]),
    ) -> Result<(), EngineError<S::Error>> {
        for ids in ids.chunks(CHUNK) {
            let stream = self.run(&[(ids, cache)])?;
            for start in (0..ids.len()).step_by(LOGIT_ROWS) {
                let rows = stream.clone().narrow(1, start, LOGIT_ROWS.min(ids.len() - start));
                for row in self.logits(rows) {
                    sink(&row.ok_or(EngineError::NotFinite)?);
                }
            }
        }
        Ok(())
    }

    /// The residual stream after all blocks, `[1, tokens, width]`.
    pub(crate) fn run(&self, sequences: &[(&[u32], &Cache)]) -> Result<Tensor<3>, S::Error> {
        let (stream, context) = self.model.embed_packed(sequences)?;
        let stream = stream.cast(self.compute);
        let blocks = &self.blocks;
        let forward =
            || blocks.iter().fold(stream, |stream, block| block.forward(stream, &context));
        if has_own_memory(self.device()) {
            return Ok(forward());
        }
        // On a thread of the pool: from another thread, every product would have to wake the pool.
        Ok(rayon::scope(|_| forward()))
    }

    /// The logits after each token of a stream, `[1, tokens, width]`; `None` where not finite.
    fn logits(&self, stream: Tensor<3>) -> Vec<Option<Vec<f32>>> {
        let logits = kernels::logits(&self.head, stream);
        let values: Vec<f32> =
            logits.into_data_dtype(DType::F32).try_into_vec().expect("it was just made float32");
        let row = |row: &[f32]| row.iter().all(|x| x.is_finite()).then(|| row.to_vec());
        values.chunks(self.spec().vocab_size).map(row).collect()
    }
}

/// Casts all parameters of a module.
struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(self.0))
    }
}
