//! What a forward pass is trained to predict: [`Targets`], the labels of its tokens and the logits
//! of a teacher.

use burn::tensor::Tensor;
use slicegpt_core::{Head, TokenBatch};

/// A sequence to be trained on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Its tokens.
    pub ids: Vec<u32>,
    /// Whether the loss counts the prediction of this token, for each of them. The first token is
    /// never predicted.
    pub counts: Vec<bool>,
}

impl Example {
    /// An example in which every token counts.
    pub fn of_text(ids: Vec<u32>) -> Self {
        Self { counts: vec![true; ids.len()], ids }
    }

    /// The number of tokens that are predicted.
    pub fn predicted(&self) -> usize {
        self.counts.iter().skip(1).filter(|counts| **counts).count()
    }

    /// Examples as one batch, `[examples, tokens]`: shorter ones are padded at the end, where no
    /// token of theirs sees it.
    pub fn batch(examples: &[&Self]) -> (TokenBatch, Vec<Option<u32>>) {
        let tokens = examples.iter().map(|example| example.ids.len()).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(examples.len() * tokens);
        let mut labels = Vec::with_capacity(ids.capacity());
        for example in examples {
            ids.extend(&example.ids);
            ids.resize(ids.len().next_multiple_of(tokens), 0);
            let next = example.ids.iter().zip(&example.counts).skip(1);
            labels.extend(next.map(|(id, counts)| counts.then_some(*id)));
            labels.resize(ids.len(), None);
        }
        (TokenBatch::new(ids, None, tokens), labels)
    }
}

/// What the logits of a batch are compared with.
pub struct Targets<'a> {
    /// The token that follows each token, row-major; `None` where it does not count.
    pub labels: &'a [Option<u32>],
    /// A teacher, and how much it counts.
    pub distillation: Option<Distillation<'a>>,
    /// What the sum of the losses is divided by.
    pub count: f64,
}

/// The loss `mix T^2 KL(teacher || student) + (1 - mix) NLL`, both distributions at temperature `T`
/// in the divergence (Hinton et al., arXiv 1503.02531).
#[derive(Clone)]
pub struct Distillation<'a> {
    /// The normalised stream of the teacher before its head, `[tokens, width]`. Logits of a teacher
    /// take as much memory as its vocabulary is large, and its last stream a hundredth of that.
    pub normed: Tensor<2>,
    /// The head of the teacher.
    pub head: &'a Head,
    /// `T`.
    pub temperature: f64,
    /// The share of the divergence in the loss, 0 to 1.
    pub mix: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_the_next_tokens_that_count() {
        let long = Example { ids: vec![5, 6, 7, 8], counts: vec![true, false, true, true] };
        let short = Example::of_text(vec![9, 4]);
        let (batch, labels) = Example::batch(&[&long, &short]);
        assert_eq!(batch.ids(), [5, 6, 7, 8, 9, 4, 0, 0]);
        assert_eq!(batch.mask(), None);
        let expected = [None, Some(7), Some(8), None, Some(4), None, None, None];
        assert_eq!(labels, expected);
        assert_eq!([long.predicted(), short.predicted()], [2, 1]);
    }
}
