//! [`Gradients`]: sums of gradients by trained tensor.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::Key;

/// The gradients of trained tensors, summed over the batches of a step.
#[derive(Clone, Debug, Default)]
pub struct Gradients(BTreeMap<Key, Tensor<2>>);

impl Gradients {
    /// Adds to the gradient of a tensor.
    pub fn add(&mut self, key: Key, gradient: Tensor<2>) {
        let sum = match self.0.remove(&key) {
            Some(sum) => sum + gradient,
            None => gradient,
        };
        self.0.insert(key, sum);
    }

    /// The gradient of a tensor; `None` if nothing depended on it.
    pub fn get(&self, key: &Key) -> Option<&Tensor<2>> {
        self.0.get(key)
    }

    /// The Euclidean norm of all gradients together. Not finite if one of them is not.
    pub fn norm(&self) -> f64 {
        let square =
            |gradient: &Tensor<2>| f64::from(gradient.clone().square().sum().into_scalar::<f32>());
        self.0.values().map(square).sum::<f64>().sqrt()
    }

    /// Multiplies all gradients by a number.
    pub fn scale(&mut self, factor: f64) {
        for gradient in self.0.values_mut() {
            *gradient = gradient.clone().mul_scalar(factor);
        }
    }
}
