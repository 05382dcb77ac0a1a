//! [`Shape`]: the models with random weights that are compressed and run, and the space they need.

use std::path::{Path, PathBuf};

use anyhow::Result;
use slicegpt_checkpoint::Dtype;
use slicegpt_models::SUPPORTED;
use slicegpt_testkit::RandomModel;

/// The shape of a model with random weights in bfloat16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The name on pages.
    pub name: &'static str,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Blocks of the whole model.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
}

const VOCABULARY: usize = 32_000;

impl Shape {
    /// A shape that a software rasteriser compresses in seconds.
    pub const SMALL: Self = Self {
        name: "small",
        hidden_size: 256,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        intermediate_size: 704,
    };

    /// The shape of TinyLlama.
    pub const LARGE: Self = Self {
        name: "1.1B",
        hidden_size: 2048,
        layers: 22,
        heads: 32,
        kv_heads: 4,
        intermediate_size: 5632,
    };

    /// The shape of Llama 2 7B.
    pub const LARGEST: Self = Self {
        name: "7B",
        hidden_size: 4096,
        layers: 32,
        heads: 32,
        kv_heads: 32,
        intermediate_size: 11_008,
    };

    /// Number of parameters of the linears of one block.
    pub fn block_parameters(&self) -> u64 {
        let attention = 2 * self.heads + 2 * self.kv_heads;
        let head_dim = self.hidden_size / self.heads;
        (self.hidden_size * (attention * head_dim + 3 * self.intermediate_size)) as u64
    }

    /// Number of parameters of `layers` blocks, the embedding and the head; norms are left out.
    pub fn parameters(&self, layers: usize) -> u64 {
        layers as u64 * self.block_parameters() + 2 * (VOCABULARY * self.hidden_size) as u64
    }

    /// The space that compressing `layers` blocks on `samples` of `seqlen` tokens needs.
    pub fn needs(&self, layers: usize, [samples, seqlen]: [usize; 2]) -> Needs {
        let weights = 2 * self.parameters(layers);
        let signal = (4 * samples * seqlen * self.hidden_size) as u64;
        let block = 4 * self.block_parameters();
        let square = (self.hidden_size * self.hidden_size) as u64;
        let normal = (self.intermediate_size * self.intermediate_size) as u64;
        Needs {
            // The dense model and the cut model, which is smaller, with a margin.
            disk_bytes: 2 * weights + weights / 10,
            // Two streams if it refits, blocks in float32, normal equations, covariances.
            host_bytes: (1 << 30) + 2 * signal + 2 * block + 3 * 8 * normal + 8 * 8 * square,
            // One block, dense and cut, its split operands, and the activations of a batch.
            device_bytes: (1 << 30) + 3 * block + 4 * 12 * normal,
        }
    }

    /// The checkpoint with `layers` blocks in `folder`, with random token ids next to the weights.
    /// It is made unless it exists.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, folder: &Path, layers: usize, tokens: [usize; 2]) -> Result<PathBuf> {
        let [samples, seqlen] = tokens;
        let out = folder.join(format!("{}-{layers}-{samples}x{seqlen}", self.name));
        if out.is_dir() {
            return Ok(out);
        }
        let model = RandomModel {
            // These are shapes of the first family.
            family: SUPPORTED[0].into(),
            hidden_size: self.hidden_size,
            layers,
            heads: self.heads,
            kv_heads: self.kv_heads,
            intermediate_size: self.intermediate_size,
            vocab_size: VOCABULARY,
            context: 4096.max(seqlen),
            dtype: Dtype::Bf16,
            out: out.clone(),
            seed: 0,
            tokens: Some((samples, seqlen)),
        };
        model.write()?;
        Ok(out)
    }
}

/// Bytes that must be free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// On disk.
    pub disk_bytes: u64,
    /// In the memory of the host.
    pub host_bytes: u64,
    /// In the memory of the device.
    pub device_bytes: u64,
}

impl Needs {
    /// A message about the first space that is too small. Unknown sizes count as sufficient.
    pub fn missing(&self, disk: Option<u64>, host: u64, device: Option<u64>) -> Option<String> {
        let gb = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
        let rows = [
            ("disk", self.disk_bytes, disk),
            ("host memory", self.host_bytes, Some(host)),
            ("device memory", self.device_bytes, device),
        ];
        rows.into_iter().find_map(|(what, need, free)| {
            let free = free.filter(|free| *free < need)?;
            Some(format!("it needs {} of {what}, and {} are free", gb(need), gb(free)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_the_size_of_their_names() {
        let billions = |shape: Shape| shape.parameters(shape.layers) as f64 / 1e9;
        assert!((billions(Shape::LARGE) - 1.1).abs() < 0.01, "{}", billions(Shape::LARGE));
        assert!((billions(Shape::LARGEST) - 6.74).abs() < 0.01, "{}", billions(Shape::LARGEST));
    }

    #[test]
    fn what_is_missing_is_named() {
        let needs = Shape::LARGEST.needs(32, [128, 2048]);
        assert_eq!(needs.missing(None, 128 << 30, Some(80 << 30)), None);
        let few = needs.missing(Some(10 << 30), 128 << 30, Some(80 << 30)).unwrap();
        assert!(few.contains("of disk, and 10.7 GB are free"), "{few}");
        assert!(needs.missing(None, 128 << 30, Some(4 << 30)).unwrap().contains("device memory"));
    }

    #[test]
    fn a_checkpoint_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let tiny = Shape { hidden_size: 32, intermediate_size: 48, layers: 1, ..Shape::SMALL };
        let path = tiny.write(folder.path(), 1, [2, 8]).unwrap();
        assert!(path.join("tokens.safetensors").is_file());
        assert_eq!(tiny.write(folder.path(), 1, [2, 8]).unwrap(), path);
    }
}
