//! [`Optimizer`]: AdamW over the trained tensors.

use std::collections::BTreeMap;

use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer as _};
use burn::tensor::Tensor;

use crate::{Gradients, Key, Settings, Trainable};

/// AdamW (Loshchilov and Hutter, arXiv 1711.05101), with decoupled weight decay for matrices only.
#[derive(Clone)]
pub struct Optimizer {
    matrices: AdamW,
    vectors: AdamW,
    states: BTreeMap<Key, AdamWState<2>>,
}

/// The averages of a trained tensor: the number of steps, the mean of the gradient and that of its
/// square.
pub(crate) type Moments = (usize, [Tensor<2>; 2]);

impl Optimizer {
    /// The optimiser before the first step.
    pub fn new(settings: &Settings) -> Self {
        let [beta_1, beta_2] = settings.betas.map(|beta| beta as f32);
        let config = AdamWConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(1e-8)
            .with_weight_decay(0.0);
        let decaying = config.clone().with_weight_decay(settings.weight_decay as f32);
        Self { matrices: decaying.build(), vectors: config.build(), states: BTreeMap::new() }
    }

    /// One step with learning rate `rate`. Tensors without a gradient stay.
    pub fn step(&mut self, rate: f64, trainable: &mut Trainable, gradients: &Gradients) {
        let keys: Vec<Key> = trainable.tensors().map(|(key, _)| *key).collect();
        for key in keys {
            let Some(gradient) = gradients.get(&key) else { continue };
            trainable.replace(&key, |tensor| {
                let adam = if tensor.dims()[0] == 1 { &self.vectors } else { &self.matrices };
                let state = self.states.remove(&key);
                let (tensor, state) = adam.step(rate, tensor, gradient.clone(), state);
                self.states.extend(state.map(|state| (key, state)));
                tensor
            });
        }
    }

    /// The averages of each tensor that has been trained.
    pub(crate) fn moments(&self) -> impl Iterator<Item = (Key, Moments)> {
        self.states.iter().map(|(key, state)| {
            let AdaptiveMomentumState { time, moment_1, moment_2, .. } = state.momentum.clone();
            (*key, (time, [moment_1, moment_2]))
        })
    }

    /// Sets the averages of a tensor.
    pub(crate) fn set(&mut self, key: Key, (time, [first, second]): Moments) {
        let momentum =
            AdaptiveMomentumState { time, moment_1: first, moment_2: second, max_moment_2: None };
        self.states.insert(key, AdamWState { momentum });
    }
}
