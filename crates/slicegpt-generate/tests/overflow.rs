//! A sequence whose activations overflow does not affect the other sequences of its batch.

use std::convert::Infallible;
use std::ops::Range;

use burn::tensor::DType;
use slicegpt_core::{TensorSource, Unobserved};
use slicegpt_generate::{Engine, EngineError};
use slicegpt_models::{Cache, Model};
use slicegpt_testkit::{ToySource, device, spec};

/// The token whose embedding is not finite.
const LARGE: u32 = 7;

struct Overflowing(ToySource);

impl TensorSource for Overflowing {
    type Error = Infallible;

    fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Infallible> {
        self.0.tensor(name, shape)
    }

    fn rows(
        &self,
        name: &str,
        shape: [usize; 2],
        rows: Range<usize>,
    ) -> Result<Vec<f32>, Infallible> {
        self.0.rows(name, shape, rows)
    }

    fn gather(
        &self,
        name: &str,
        shape: [usize; 2],
        indices: &[u32],
    ) -> Result<Vec<f32>, Infallible> {
        let mut rows = self.0.gather(name, shape, indices)?;
        for (row, id) in rows.chunks_mut(shape[1]).zip(indices) {
            if *id == LARGE {
                row.fill(f32::NAN);
            }
        }
        Ok(rows)
    }
}

#[test]
fn other_sequences_of_the_batch_are_not_affected() {
    for family in ["llama", "opt"] {
        let model = Model::new(spec(family), Overflowing(ToySource { seed: 1 }), device());
        let engine = Engine::load(model, DType::F32, &Unobserved);
        let engine = engine.unwrap().expect("loading was not cancelled");
        let caches = [(); 4].map(|()| Cache::default());
        let prompts: [&[u32]; 3] = [&[1, 2, 3], &[4, LARGE], &[5, 6]];
        let together: Vec<_> = prompts.into_iter().zip(&caches).collect();
        let found = engine.next_finite_logits(&together).unwrap();
        assert!(found[1].is_none(), "{family}");
        let alone = engine.next_logits(&[(prompts[2], &caches[3])]).unwrap();
        for (found, want) in found[2].as_ref().unwrap().iter().zip(&alone[0]) {
            assert!((found - want).abs() < 1e-4, "{family}: {found}, not {want}");
        }
        assert!(found[0].is_some(), "{family}");
        // `next_logits` reports the error.
        let error = engine.next_logits(&[(&[LARGE], &Cache::default())]).unwrap_err();
        assert!(matches!(error, EngineError::NotFinite), "{family}: {error}");
    }
}
