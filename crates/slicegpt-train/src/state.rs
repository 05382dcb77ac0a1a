//! [`State`]: everything that a training needs to go on where it was.

use burn::tensor::Tensor;

use crate::{Gradients, Key, Optimizer, Settings, Trainable};

/// A training between two steps.
#[derive(Clone)]
pub struct State {
    /// The number of steps done.
    pub step: usize,
    /// The trained tensors.
    pub trainable: Trainable,
    /// The averages of the optimiser.
    pub optimizer: Optimizer,
    /// The best evaluation so far, and the tensors then.
    pub best: Option<(f64, Trainable)>,
    /// Evaluations since the best one.
    pub since_best: usize,
}

impl State {
    /// Before the first step.
    pub fn new(trainable: Trainable, settings: &Settings) -> Self {
        let optimizer = Optimizer::new(settings);
        Self { step: 0, trainable, optimizer, best: None, since_best: 0 }
    }

    /// Takes an evaluation of the present tensors into account. Whether it is the best so far.
    pub(crate) fn evaluated(&mut self, loss: f64) -> bool {
        let is_best = self.best.as_ref().is_none_or(|(best, _)| loss < *best);
        if is_best {
            self.best = Some((loss, self.trainable.clone()));
            self.since_best = 0;
        } else {
            self.since_best += 1;
        }
        is_best
    }

    /// One step of the optimiser.
    pub(crate) fn update(&mut self, rate: f64, gradients: &Gradients) {
        self.optimizer.step(rate, &mut self.trainable, gradients);
        self.step += 1;
    }

    /// All tensors, for a file: the trained ones, the best ones, and the averages of the optimiser
    /// with the number of their steps.
    pub fn tensors(&self) -> Vec<(Slot, Key, Tensor<2>)> {
        let trained = self.trainable.tensors().map(|(key, x)| (Slot::Trained, *key, x.clone()));
        let best = self.best.iter().flat_map(|(_, best)| best.tensors());
        let best = best.map(|(key, x)| (Slot::Best, *key, x.clone()));
        let averages = self.optimizer.moments().flat_map(|(key, (time, [first, second]))| {
            [(Slot::First(time), key, first), (Slot::Second(time), key, second)]
        });
        trained.chain(best).chain(averages).collect()
    }

    /// A state from its numbers and the tensors of [`State::tensors`], each of which `find` gives.
    /// `None` if it lacks one that has been trained.
    pub fn restore(
        mut self,
        [step, since_best, steps_of_averages]: [usize; 3],
        best: Option<f64>,
        find: impl Fn(&Slot, &Key) -> Option<Tensor<2>>,
    ) -> Option<Self> {
        let keys: Vec<Key> = self.trainable.tensors().map(|(key, _)| *key).collect();
        let filled = |slot: Slot| {
            let mut trainable = self.trainable.clone();
            for key in &keys {
                let tensor = find(&slot, key)?;
                trainable.replace(key, |_| tensor);
            }
            Some(trainable)
        };
        let trained = filled(Slot::Trained)?;
        let best = match best {
            Some(loss) => Some((loss, filled(Slot::Best)?)),
            None => None,
        };
        for key in &keys {
            let time = steps_of_averages;
            let averages = [Slot::First(time), Slot::Second(time)].map(|slot| find(&slot, key));
            if let [Some(first), Some(second)] = averages {
                self.optimizer.set(*key, (time, [first, second]));
            }
        }
        Some(Self { step, trainable: trained, best, since_best, ..self })
    }
}

/// What a tensor of a [`State`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// A trained tensor.
    Trained,
    /// A trained tensor at the best evaluation.
    Best,
    /// The average of its gradient after this many steps.
    First(usize),
    /// The average of the square of its gradient after this many steps.
    Second(usize),
}
