//! The losses of a head and their gradients, without all logits in memory.

use burn::tensor::{DType, Tensor, TensorData};
use rayon::prelude::*;
use slicegpt_core::Head;
use slicegpt_kernels::{distillation_of_row, likelihood_of_row, multiply, project};

use crate::Targets;

/// Tokens whose logits are in memory at a time.
const TOKENS: usize = 256;

/// What a head gives for a batch.
pub(crate) struct HeadPass {
    /// The sum of the losses that are trained.
    pub loss: f64,
    /// The sum of the negative log-likelihoods of the labels.
    pub nll: f64,
    /// The number of labels.
    pub labels: usize,
    /// The gradient of `loss / count` by the normalised stream, `[tokens, width]`.
    pub gradient: Tensor<2>,
    /// That by the matrix of the head, `[width, vocab_size]`, if it was asked for.
    pub matrix: Option<Tensor<2>>,
}

/// The losses of `normed`, `[tokens, width]`, the normalised stream before the head.
pub(crate) fn pass(
    head: &Head,
    normed: &Tensor<2>,
    targets: &Targets<'_>,
    trains_matrix: bool,
) -> HeadPass {
    let [tokens, _] = normed.dims();
    let weight = head.linear.weight.val();
    let transposed = weight.clone().transpose();
    let mut sums = [0.0, 0.0];
    let mut gradients = Vec::new();
    let mut matrix: Option<Tensor<2>> = None;
    for start in (0..tokens).step_by(TOKENS) {
        let length = TOKENS.min(tokens - start);
        let labels = &targets.labels[start..start + length];
        let x = normed.clone().narrow(0, start, length);
        let teacher = targets.distillation.as_ref().map(|distillation| {
            let normed = distillation.normed.clone().narrow(0, start, length);
            let logits = host(project(&distillation.head.linear, normed));
            Teacher { logits, temperature: distillation.temperature, mix: distillation.mix }
        });
        let mut logits = host(project(&head.linear, x.clone()));
        let [loss, nll] = rows(&mut logits, labels, teacher, targets.count);
        sums = [sums[0] + loss, sums[1] + nll];
        let shape = [length, logits.len() / length];
        let data = TensorData::new(logits, shape);
        let by_logits = Tensor::<2>::from_data(data, (&normed.device(), DType::F32));
        gradients.push(multiply(&transposed, None, by_logits.clone()));
        if trains_matrix {
            let part = multiply(&by_logits, None, x.transpose());
            matrix = Some(match matrix {
                Some(sum) => sum + part,
                None => part,
            });
        }
    }
    let labels = targets.labels.iter().flatten().count();
    let [loss, nll] = sums;
    HeadPass { loss, nll, labels, gradient: Tensor::cat(gradients, 0), matrix }
}

/// The logits of a teacher for some tokens, `[tokens, vocab_size]`.
struct Teacher {
    logits: Vec<f32>,
    temperature: f64,
    mix: f64,
}

fn host(logits: Tensor<2>) -> Vec<f32> {
    logits.into_data_dtype(DType::F32).try_into_vec().expect("it was just made float32")
}

/// Turns rows of logits into the gradients of their losses divided by `count`. Returns the sums of
/// the losses and of the negative log-likelihoods of the labels.
fn rows(
    logits: &mut [f32],
    labels: &[Option<u32>],
    teacher: Option<Teacher>,
    count: f64,
) -> [f64; 2] {
    let vocab = logits.len() / labels.len();
    let factor = 1.0 / count;
    let add = |a: [f64; 2], b: [f64; 2]| [a[0] + b[0], a[1] + b[1]];
    let rows = logits.par_chunks_exact_mut(vocab).zip(labels);
    match teacher {
        None => rows
            .map(|(row, label)| match label {
                Some(label) => [likelihood_of_row(row, *label as usize, factor); 2],
                None => unused(row),
            })
            .reduce(|| [0.0; 2], add),
        Some(Teacher { mut logits, temperature, mix }) => rows
            .zip(logits.par_chunks_exact_mut(vocab))
            .map(|((row, label), teacher)| match label {
                Some(label) => {
                    let label = *label as usize;
                    distillation_of_row(row, label, teacher, [temperature, mix], factor)
                }
                None => unused(row),
            })
            .reduce(|| [0.0; 2], add),
    }
}

/// The gradient and the losses of a token that does not count.
fn unused(row: &mut [f32]) -> [f64; 2] {
    row.fill(0.0);
    [0.0; 2]
}
