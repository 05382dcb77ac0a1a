//! Small decoders with random weights, which are generated when they are read.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde_json::json;
use slicegpt_core::TensorSource;
use slicegpt_models::DecoderSpec;

/// A small decoder of family `model_type`, with hidden size 16, 3 blocks and 40 token ids.
///
/// # Panics
///
/// If there is no such family.
pub fn spec(model_type: &str) -> DecoderSpec {
    let shares_keys = !model_type.starts_with("phi") && model_type != "opt";
    let config = json!({
        "model_type": model_type,
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": if shares_keys { 2 } else { 4 },
        "head_dim": 4,
        "intermediate_size": 24,
        "ffn_dim": 24,
        "vocab_size": 40,
        "max_position_embeddings": 32,
    });
    slicegpt_models::parse(&config).expect("a family of the zoo")
}

/// A source that has every tensor: random values that depend on the seed and the name, norm weights
/// around one, all others around zero.
#[derive(Clone, Debug)]
pub struct ToySource {
    /// The seed of all weights.
    pub seed: u64,
}

impl TensorSource for ToySource {
    type Error = Infallible;

    fn contains(&self, _: &str) -> bool {
        true
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Infallible> {
        let mut hasher = DefaultHasher::new();
        (self.seed, name).hash(&mut hasher);
        let mut rng = ChaCha8Rng::seed_from_u64(hasher.finish());
        let around = if name.contains("norm") && name.ends_with("weight") { 1.0 } else { 0.0 };
        let count = shape.iter().product();
        let normal = (&mut rng).sample_iter(StandardNormal);
        Ok(normal.take(count).map(|x: f32| around + 0.3 * x).collect())
    }

    fn rows(
        &self,
        name: &str,
        shape: [usize; 2],
        rows: Range<usize>,
    ) -> Result<Vec<f32>, Infallible> {
        let indices: Vec<u32> = rows.map(|row| row as u32).collect();
        self.gather(name, shape, &indices)
    }

    fn gather(
        &self,
        name: &str,
        shape: [usize; 2],
        indices: &[u32],
    ) -> Result<Vec<f32>, Infallible> {
        let table = self.tensor(name, &shape)?;
        let row = |index: &u32| table[*index as usize * shape[1]..][..shape[1]].to_vec();
        Ok(indices.iter().flat_map(row).collect())
    }
}
