//! [`Network`]: the blocks and the head of a decoder in memory, run forward and backward.

use burn::tensor::{DType, Tensor};
use slicegpt_core::{Block, Head};
use slicegpt_kernels::normalise;

use crate::head;
use crate::trainable::Handles;
use crate::{Gradients, Place, Targets, Trainable};

/// The blocks and the head of a decoder, on one device.
#[derive(Clone, Debug)]
pub struct Network<B> {
    /// The blocks.
    pub blocks: Vec<B>,
    /// The last norm and the head.
    pub head: Head,
}

/// Sums over the tokens of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// The losses that are trained.
    pub loss: f64,
    /// The negative log-likelihoods of the labels.
    pub nll: f64,
    /// The number of labels.
    pub labels: usize,
}

impl Sums {
    /// Adds the sums of other tokens.
    pub fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.nll += other.nll;
        self.labels += other.labels;
    }
}

impl<B: Block + Clone> Network<B> {
    /// The normalised stream before the head, `[batch, tokens, width]`.
    pub fn normed(
        &self,
        trainable: &Trainable,
        stream: Tensor<3>,
        context: &B::Context,
    ) -> Tensor<3> {
        let stream = self.run(trainable, 0..self.blocks.len(), stream, context);
        let mut norm = self.head.norm.clone();
        trainable.merge_norm(&mut norm);
        normalise(&norm, stream)
    }

    /// The losses of a batch.
    pub fn losses(
        &self,
        trainable: &Trainable,
        stream: Tensor<3>,
        context: &B::Context,
        targets: &Targets<'_>,
    ) -> Sums {
        let normed = rows(self.normed(trainable, stream, context));
        let pass = head::pass(&self.trained_head(trainable), &normed, targets, false);
        Sums { loss: pass.loss, nll: pass.nll, labels: pass.labels }
    }

    /// The losses of a batch. Adds the gradients of their sum, divided by [`Targets::count`], to
    /// `gradients`. The activations of `segment` blocks are in memory at a time.
    ///
    /// # Panics
    ///
    /// If `segment` is zero.
    pub fn gradients(
        &self,
        trainable: &Trainable,
        stream: Tensor<3>,
        context: &B::Context,
        targets: &Targets<'_>,
        segment: usize,
        gradients: &mut Gradients,
    ) -> Sums {
        let segments: Vec<_> = (0..self.blocks.len())
            .step_by(segment)
            .map(|start| start..self.blocks.len().min(start + segment))
            .collect();
        let mut inputs = vec![stream];
        for blocks in &segments[..segments.len().saturating_sub(1)] {
            let stream = inputs[inputs.len() - 1].clone();
            inputs.push(self.run(trainable, blocks.clone(), stream, context));
        }
        // The head first: the last segment is run together with the norm before it.
        let mut norm = self.head.norm.clone();
        let mut handles = Handles::default();
        trainable.track_norm(&mut norm, &mut handles);
        let first = (0..self.blocks.len()).find(|block| trainable.trains_block(*block));
        let mut by_output: Option<Tensor<3>> = None;
        let mut sums = Sums::default();
        for (blocks, input) in segments.iter().zip(inputs).rev() {
            // Below the first trained block nothing depends on the stream.
            let needs_input = first.is_some_and(|first| first < blocks.start);
            let input = input.autodiff();
            let input = if needs_input { input.require_grad() } else { input };
            let mut stream = input.clone();
            for index in blocks.clone() {
                let mut block = self.blocks[index].clone();
                trainable.track(index, &mut block, &mut handles);
                stream = block.forward(stream, context);
            }
            let (output, by_output_now) = match by_output.take() {
                Some(gradient) => (stream, gradient),
                None => {
                    let normed = normalise(&norm, stream);
                    let shape = normed.dims();
                    let plain = rows(normed.clone().inner());
                    let trains = trainable.trains(Place::Head);
                    let head = self.trained_head(trainable);
                    let pass = head::pass(&head, &plain, targets, trains);
                    sums = Sums { loss: pass.loss, nll: pass.nll, labels: pass.labels };
                    if let Some(matrix) = pass.matrix {
                        trainable.add_head(matrix, gradients);
                    }
                    (normed, pass.gradient.reshape(shape))
                }
            };
            if !output.is_tracked() {
                break;
            }
            let mut found = (output * by_output_now).sum().backward();
            collect(std::mem::take(&mut handles), &mut found, gradients);
            if !needs_input {
                break;
            }
            by_output = input.grad_remove(&mut found);
        }
        sums
    }

    /// The stream after some blocks, from that before them.
    fn run(
        &self,
        trainable: &Trainable,
        blocks: std::ops::Range<usize>,
        stream: Tensor<3>,
        context: &B::Context,
    ) -> Tensor<3> {
        blocks.fold(stream, |stream, index| {
            if !trainable.trains_block(index) {
                return self.blocks[index].forward(stream, context);
            }
            let mut block = self.blocks[index].clone();
            trainable.merge(index, &mut block);
            block.forward(stream, context)
        })
    }

    fn trained_head(&self, trainable: &Trainable) -> Head {
        let mut head = self.head.clone();
        if trainable.trains(Place::Head) {
            head.linear.weight = head.linear.weight.map(|matrix| trainable.head(matrix));
        }
        head
    }
}

/// Adds the gradients of tracked tensors.
fn collect(handles: Handles, found: &mut burn::tensor::Gradients, gradients: &mut Gradients) {
    for (key, tensor) in handles.tensors {
        if let Some(gradient) = tensor.grad_remove(found) {
            gradients.add(key, gradient);
        }
    }
}

/// `[batch, tokens, width]` as `[batch * tokens, width]`, float32.
fn rows(x: Tensor<3>) -> Tensor<2> {
    let [batch, tokens, width] = x.dims();
    x.cast(DType::F32).reshape([batch * tokens, width])
}
