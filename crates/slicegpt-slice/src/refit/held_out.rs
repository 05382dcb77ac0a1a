//! [`Parts`]: the sums of a sublayer's writers over the tokens that are fitted, and over the
//! validation set.

use burn::nn::Linear;
use burn::tensor::{DType, Tensor, TensorData};
use faer::Mat;
use slicegpt_calibrate::{Errors, Fit, Moments, Regression, RidgeError};
use slicegpt_core::{Block, Sublayer, SublayerMut, host_vec};

use super::writer::{bias_of, set_writers, weight_of};
use crate::units::{narrow, rows_of};

/// One in this many sequences is held out of the fits, for validation.
const VALIDATION: usize = 4;

/// For each batch, how many of its sequences are fitted; the others are the validation set, which
/// is empty if there is only one sequence with a token that counts.
///
/// `masks` are the masks of the batches, with the number of their sequences.
pub(crate) fn divide(masks: &[(usize, Option<&[bool]>)]) -> Vec<usize> {
    let counts = |sequences: usize, keep: Option<&[bool]>| -> Vec<bool> {
        match keep {
            None => vec![true; sequences],
            Some(keep) => keep
                .chunks((keep.len() / sequences).max(1))
                .map(|all| all.contains(&true))
                .collect(),
        }
    };
    let counts: Vec<Vec<bool>> = masks.iter().map(|(n, keep)| counts(*n, *keep)).collect();
    let total = counts.iter().flatten().filter(|counts| **counts).count();
    let validation = if total < 2 { 0 } else { (total / VALIDATION).max(1) };
    let mut fitted = total - validation;
    let divide = |batch: &Vec<bool>| {
        let mut first = 0;
        for counts in batch {
            if *counts && fitted == 0 {
                break;
            }
            fitted -= usize::from(*counts);
            first += 1;
        }
        first
    };
    counts.iter().map(divide).collect()
}

/// Sums of the concatenated inputs of the writers of a sublayer on the target of their sum.
pub(crate) struct Parts {
    fitted: Sums,
    validation: Sums,
}

/// The sums over some tokens.
struct Sums {
    moments: Moments,
    /// The sum of the squares of each target, `[targets]`; `None` without tokens. It stays on the
    /// device.
    squares: Option<Tensor<1>>,
}

impl Sums {
    fn new(inputs: usize, targets: usize) -> Self {
        Self { moments: Moments::new(inputs, targets), squares: None }
    }

    fn add(&mut self, [inputs, targets, weights]: [Tensor<3>; 3], keep: Option<&[bool]>) {
        let weighted = (targets.clone() * weights.clone()).cast(DType::F32).square();
        let counted = match keep {
            Some(keep) => {
                let [sequences, tokens, _] = targets.dims();
                let keep: Vec<f32> = keep.iter().map(|keep| f32::from(u8::from(*keep))).collect();
                let keep = TensorData::new(keep, [sequences, tokens, 1]);
                weighted * Tensor::from_data(keep, (&targets.device(), DType::F32))
            }
            None => weighted,
        };
        let squares = counted.sum_dim(1).sum_dim(0).squeeze_dims::<1>(&[0, 1]);
        self.squares = Some(match self.squares.take() {
            Some(sum) => sum + squares,
            None => squares,
        });
        self.moments.add(inputs, targets, Some(weights), keep);
    }

    fn tokens(&self) -> u64 {
        self.moments.tokens()
    }

    fn regression(self, bias: bool) -> Result<Regression, RidgeError> {
        let regression = Regression::new(self.moments, bias)?;
        Ok(match self.squares {
            Some(squares) => regression.with_squares(host_vec(squares)),
            None => regression,
        })
    }
}

impl Parts {
    pub fn new(inputs: usize, targets: usize) -> Self {
        let new = || Sums::new(inputs, targets);
        Self { fitted: new(), validation: new() }
    }

    /// Adds a batch of which the first `fitted` sequences are fitted: inputs, targets and the
    /// weights of the tokens, each `[batch, tokens, ..]`.
    pub fn add(&mut self, signals: [Tensor<3>; 3], keep: Option<&[bool]>, fitted: usize) {
        let [sequences, tokens, _] = signals[0].dims();
        let both = [(&mut self.fitted, 0..fitted), (&mut self.validation, fitted..sequences)];
        for (sums, range) in both {
            if range.is_empty() {
                continue;
            }
            let keep = keep.map(|keep| &keep[range.start * tokens..range.end * tokens]);
            let part = |x: &Tensor<3>| x.clone().narrow(0, range.start, range.len());
            sums.add(signals.each_ref().map(part), keep);
        }
    }

    /// Chooses the units of sublayer `index` of `block` that stay, `counts` of them by group,
    /// removes the others, and fits the writers so that the ones that stay make up for them. The
    /// result is how well a fit to the fitted tokens alone holds for both parts, if there are two.
    ///
    /// # Errors
    ///
    /// See [`RidgeError`].
    pub fn cut<B: Block>(
        self,
        block: &mut B,
        index: usize,
        counts: &[usize],
    ) -> Result<Option<Errors>, RidgeError> {
        let groups = block.prunable(index);
        let Sublayer { writers, .. } = block.sublayer(index);
        let sizes: Vec<usize> = writers.iter().map(|writer| writer.weight.dims()[0]).collect();
        let dense = dense(&writers);
        let bias = dense.nrows() > sizes.iter().sum();
        let Self { fitted, validation } = self;
        let validates = validation.tokens() > 0 && fitted.tokens() > 0;
        let fitted = fitted.regression(bias)?;
        let validation = validates.then(|| validation.regression(bias)).transpose()?;
        let mut chosen: Vec<Option<Vec<usize>>> = vec![None; sizes.len()];
        for (group, count) in groups.iter().zip(counts) {
            let units = sizes[group.writer] / group.inputs;
            if *count < units {
                let first: usize = sizes[..group.writer].iter().sum();
                let rows = |unit| rows_of(unit, group.inputs).map(|row| first + row).collect();
                let rows: Vec<Vec<usize>> = (0..units).map(rows).collect();
                let kept = fitted.keep(validation.as_ref(), dense.as_ref(), &rows, *count)?;
                narrow(block, index, group, &kept);
                let rows = kept.iter().flat_map(|unit| rows_of(*unit, group.inputs));
                chosen[group.writer] = Some(rows.collect());
            }
        }
        let mut kept = Vec::new();
        let mut first = 0;
        for (size, chosen) in sizes.iter().zip(chosen) {
            kept.extend(chosen.unwrap_or_else(|| (0..*size).collect()).iter().map(|i| first + i));
            first += size;
        }
        kept.extend(bias.then_some(first));
        let Fit { weight, errors, .. } = fitted.fit(validation, dense.as_ref(), &kept)?;
        let SublayerMut { writers, .. } = block.sublayer_mut(index);
        let rows = weight.nrows() - usize::from(bias);
        let shift = bias.then(|| weight.row(rows).iter().copied().collect());
        set_writers(writers, weight.subrows(0, rows), shift);
        Ok(errors)
    }
}

/// The weights of all writers below each other, and the sum of their biases as the last row if they
/// have any.
fn dense(writers: &[&Linear]) -> Mat<f64> {
    let (values, width) = weight_of(writers.iter().copied());
    let bias = bias_of(writers.iter().copied());
    let rows = values.len() / width;
    Mat::from_fn(rows + usize::from(bias.is_some()), width, |i, j| match &bias {
        Some(bias) if i == rows => bias[j],
        _ => values[i * width + j],
    })
}
