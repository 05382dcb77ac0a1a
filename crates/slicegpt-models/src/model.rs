//! [`Model`]: a decoder whose parts are read from a source when they are needed.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use slicegpt_core::{Decoder, Head, Norm, TensorSource, TokenBatch};

use crate::load::linear_weight;
use crate::{Cache, Context, DecoderBlock, DecoderSpec, Next, Positions};

/// A decoder: its spec, and a source of its weights.
#[derive(Clone, Debug)]
pub struct Model<S> {
    spec: DecoderSpec,
    source: S,
    device: Device,
    /// The prefix that the names of this checkpoint lack.
    missing_prefix: &'static str,
}

impl<S: TensorSource> Model<S> {
    /// The decoder that `spec` describes with the weights of `source`, to be run on `device`.
    pub fn new(spec: DecoderSpec, source: S, device: Device) -> Self {
        // Checkpoints saved from the bare model, as OPT's on the Hub, lack the prefix.
        let names = spec.names;
        let full = format!("{}.weight", names.embedding);
        let short = full.strip_prefix(names.base).unwrap_or(&full);
        let bare = !source.contains(&full) && source.contains(short);
        let missing_prefix = if bare { names.base } else { "" };
        Self { spec, source, device, missing_prefix }
    }

    /// Its description.
    pub fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    /// The source of its weights.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The device it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The name in this checkpoint of the tensor that the family calls `name`.
    pub fn stored_name(&self, name: &str) -> String {
        name.strip_prefix(self.missing_prefix).unwrap_or(name).to_string()
    }

    /// The name and shape, `[vocab_size, width]`, of the matrix of the head: the embedding if they
    /// are tied.
    pub fn head_table(&self) -> (String, [usize; 2]) {
        let entry = if self.spec.tied {
            self.spec.embedding_entry()
        } else {
            self.spec.head_entries().swap_remove(0)
        };
        (self.stored_name(&entry.name), [entry.shape[0], entry.shape[1]])
    }

    /// The bias of the head, `[vocab_size]`.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn head_bias(&self) -> Result<Option<Vec<f32>>, S::Error> {
        let entry = self.spec.head_entries().pop().filter(|_| self.spec.head_bias);
        entry.map(|entry| self.read(&entry.name, &entry.shape)).transpose()
    }

    /// The stream at the first block for tokens `start..` of unpadded sequences, and the context
    /// to run them with `cache`, which has seen the tokens before.
    ///
    /// # Errors
    ///
    /// If the embedding cannot be read.
    pub fn embed_next(
        &self,
        batch: &TokenBatch,
        start: usize,
        cache: &Cache,
    ) -> Result<(Tensor<3>, Context), S::Error> {
        let [rows, tokens] = batch.shape();
        let positions = (0..rows * tokens).map(|i| start + i % tokens).collect();
        let context = Context::cached(&self.spec, rows, start, tokens, cache, &self.device);
        Ok((self.embed_at(batch, positions)?, context))
    }

    /// The stream at the first block for the next tokens of several sequences, run as one, `[1,
    /// tokens]`, and the context to run them with: see [`Context::packed`].
    ///
    /// # Errors
    ///
    /// If the embedding cannot be read.
    pub fn embed_packed(
        &self,
        sequences: &[(&[u32], &Cache)],
    ) -> Result<(Tensor<3>, Context), S::Error> {
        let next = |(ids, cache): &(&[u32], &'_ Cache)| (cache.seen(), ids.len());
        let positions = sequences.iter().map(next).flat_map(|(seen, n)| seen..seen + n).collect();
        let ids: Vec<u32> = sequences.iter().flat_map(|(ids, _)| ids.iter().copied()).collect();
        let tokens = ids.len();
        let next: Vec<Next<'_>> =
            sequences.iter().map(|(ids, cache)| Next { tokens: ids.len(), cache }).collect();
        let context = Context::packed(&self.spec, &next, &self.device);
        Ok((self.embed_at(&TokenBatch::new(ids, None, tokens), positions)?, context))
    }

    fn embed_at(&self, batch: &TokenBatch, positions: Vec<usize>) -> Result<Tensor<3>, S::Error> {
        let [rows, tokens] = batch.shape();
        let entry = self.spec.embedding_entry();
        let width = entry.shape[1];
        let shape = [entry.shape[0], width];
        let mut stream = self.source.gather(&self.stored_name(&entry.name), shape, batch.ids())?;
        if let Positions::Learned { offset } = self.spec.positions {
            let entry = self.spec.position_entry().expect("positions are learned");
            let shape = [entry.shape[0], width];
            let indices: Vec<u32> = positions.iter().map(|p| (p + offset) as u32).collect();
            let table = self.source.gather(&self.stored_name(&entry.name), shape, &indices)?;
            stream.iter_mut().zip(table).for_each(|(x, position)| *x += position);
        }
        Ok(Tensor::from_data(TensorData::new(stream, [rows, tokens, width]), &self.device))
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, S::Error> {
        self.source.tensor(&self.stored_name(name), shape)
    }
}

impl<S: TensorSource> Decoder for Model<S> {
    type Block = DecoderBlock;
    type Error = S::Error;

    fn blocks(&self) -> usize {
        self.spec.layers
    }

    fn sublayers_per_block(&self) -> usize {
        self.spec.sublayers_per_block()
    }

    fn vocab_size(&self) -> usize {
        self.spec.vocab_size
    }

    fn context(&self, batch: &TokenBatch) -> Context {
        Context::new(&self.spec, batch, &self.device)
    }

    fn embed(&self, batch: &TokenBatch) -> Result<Tensor<3>, S::Error> {
        let [_, tokens] = batch.shape();
        // Learned positions count the tokens that are kept, as OPT does. A padded token, which no
        // token sees, gets the first position.
        let positions = match batch.mask() {
            None => (0..batch.ids().len()).map(|i| i % tokens).collect(),
            Some(mask) => mask
                .chunks(tokens)
                .flat_map(|row| {
                    row.iter().scan(0, |kept, keep| {
                        *kept += usize::from(*keep);
                        Some(if *keep { *kept - 1 } else { 0 })
                    })
                })
                .collect(),
        };
        self.embed_at(batch, positions)
    }

    fn block(&self, index: usize) -> Result<DecoderBlock, S::Error> {
        let rename = |name: &str| self.stored_name(name);
        let block = DecoderBlock::load(&self.spec, index, &self.source, rename, &self.device)?;
        // The next block is read from disk while this one is computed.
        if index + 1 < self.spec.layers {
            for entry in self.spec.block_entries(index + 1) {
                self.source.will_read(&self.stored_name(&entry.name));
            }
        }
        Ok(block)
    }

    fn norm(&self) -> Result<Norm, S::Error> {
        let mut vectors = Vec::new();
        for entry in self.spec.norm_entries() {
            let values = self.read(&entry.name, &entry.shape)?;
            let data = TensorData::new(values, [entry.shape[0]]);
            vectors.push(Param::from_tensor(Tensor::from_data(data, &self.device)));
        }
        let mut vectors = vectors.into_iter();
        Ok(Norm {
            centers: self.spec.norm.centers,
            weight: vectors.next(),
            bias: vectors.next(),
            hidden_size: self.spec.hidden_size,
            eps: self.spec.norm.eps,
        })
    }

    fn head(&self) -> Result<Head, S::Error> {
        let (name, shape) = self.head_table();
        let weight = linear_weight(self.source.tensor(&name, &shape)?, shape, &self.device);
        let bias = self.head_bias()?.map(|bias| {
            let data = TensorData::new(bias, [self.spec.vocab_size]);
            Param::from_tensor(Tensor::from_data(data, &self.device))
        });
        let linear = Linear { weight: Param::from_tensor(weight), bias };
        Ok(Head { norm: self.norm()?, linear })
    }
}
