//! The losses of a head and their gradients, without all logits in memory.

use burn::tensor::{DType, Tensor, TensorData};
use rayon::prelude::*;
use slicegpt_core::Head;
use slicegpt_kernels::{multiply, project};

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
    let rows = logits.par_chunks_exact_mut(vocab).zip(labels).enumerate();
    let sums = rows.map(|(number, (row, label))| {
        let Some(label) = label else {
            row.fill(0.0);
            return [0.0; 2];
        };
        let label = *label as usize;
        match &teacher {
            None => {
                let logit = row[label];
                let nll = f64::from(log_sum_exp(row) - logit);
                softmax(row, 1.0, 1.0 / count);
                row[label] -= (1.0 / count) as f32;
                [nll, nll]
            }
            Some(teacher) => {
                let given = &teacher.logits[number * vocab..][..vocab];
                distil(row, label, given, [teacher.temperature, teacher.mix], count)
            }
        }
    });
    sums.reduce(|| [0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]])
}

/// [`crate::Distillation`] for one token: the gradient in place of the logits, and its loss and
/// negative log-likelihood.
fn distil(
    row: &mut [f32],
    label: usize,
    teacher: &[f32],
    [temperature, mix]: [f64; 2],
    count: f64,
) -> [f64; 2] {
    let nll = f64::from(log_sum_exp(row) - row[label]);
    let mut target = teacher.to_vec();
    let t = temperature as f32;
    let of_teacher = log_sum_exp_at(teacher, t);
    let of_student = log_sum_exp_at(row, t);
    // KL = sum p (log p - log q)
    softmax(&mut target, temperature, 1.0);
    let logs = teacher.iter().zip(&*row).map(|(p, q)| (p - q) / t - of_teacher + of_student);
    let divergence: f64 = target.iter().zip(logs).map(|(p, log)| f64::from(p * log)).sum();
    // d KL / d z = (q - p) / T, and the loss has a factor T^2.
    let mut soft = row.to_vec();
    softmax(&mut soft, temperature, 1.0);
    softmax(row, 1.0, (1.0 - mix) / count);
    let factor = (mix * temperature / count) as f32;
    for ((gradient, q), p) in row.iter_mut().zip(&soft).zip(&target) {
        *gradient += factor * (q - p);
    }
    row[label] -= ((1.0 - mix) / count) as f32;
    let loss = mix * temperature.powi(2) * divergence + (1.0 - mix) * nll;
    [loss, nll]
}

/// `log sum exp(x / t)`.
fn log_sum_exp_at(x: &[f32], t: f32) -> f32 {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = x.iter().map(|x| f64::from(((x - max) / t).exp())).sum();
    max / t + sum.ln() as f32
}

fn log_sum_exp(x: &[f32]) -> f32 {
    log_sum_exp_at(x, 1.0)
}

/// `factor * softmax(x / temperature)`, in place.
fn softmax(x: &mut [f32], temperature: f64, factor: f64) {
    let t = temperature as f32;
    let all = log_sum_exp_at(x, t);
    let factor = factor as f32;
    x.iter_mut().for_each(|x| *x = factor * (*x / t - all).exp());
}
