//! [`State`]: everything that a training needs to go on where it was.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor, TensorData};

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

    /// Takes an evaluation of the present tensors into account.
    pub(crate) fn evaluated(&mut self, loss: f64) {
        if self.best.as_ref().is_none_or(|(best, _)| loss < *best) {
            self.best = Some((loss, self.trainable.clone()));
            self.since_best = 0;
        } else {
            self.since_best += 1;
        }
    }

    /// One step of the optimiser.
    pub(crate) fn update(&mut self, rate: f64, gradients: &Gradients) {
        self.optimizer.step(rate, &mut self.trainable, gradients);
        self.step += 1;
    }

    /// All tensors, for a file: names, shapes and numbers of the trained ones, the best ones, and
    /// the averages of the optimiser.
    pub fn tensors(&self) -> Vec<(String, [usize; 2], Vec<f32>)> {
        let mut all = Vec::new();
        let numbers: BTreeMap<Key, usize> =
            self.trainable.tensors().enumerate().map(|(number, (key, _))| (*key, number)).collect();
        let mut put = |slot: &str, key: &Key, tensor: &Tensor<2>| {
            let data = tensor.clone().into_data_dtype(DType::F32);
            let values = data.try_into_vec().expect("it was just made float32");
            all.push((format!("{slot}.{}", numbers[key]), tensor.dims(), values));
        };
        self.trainable.tensors().for_each(|(key, tensor)| put(TRAINED, key, tensor));
        let best = self.best.iter().flat_map(|(_, best)| best.tensors());
        best.for_each(|(key, tensor)| put(BEST, key, tensor));
        for (key, (_, [first, second])) in self.optimizer.moments() {
            put(FIRST, &key, &first);
            put(SECOND, &key, &second);
        }
        all
    }

    /// This state, which is that before the first step, with its numbers and the tensors of
    /// [`State::tensors`] as `find` gives them by name. `None` if one lacks or has another shape.
    pub fn restore(
        mut self,
        [step, since_best]: [usize; 2],
        best: Option<f64>,
        find: impl Fn(&str) -> Option<(Vec<usize>, Vec<f32>)>,
    ) -> Option<Self> {
        let fresh = self.trainable.clone();
        let tensor = |slot: &str, number: usize, like: &Tensor<2>| {
            let (shape, values) = find(&format!("{slot}.{number}"))?;
            let data = (shape == like.dims()).then(|| TensorData::new(values, shape))?;
            Some(Tensor::from_data(data, (&like.device(), DType::F32)))
        };
        let filled = |slot: &str| {
            let mut filled = fresh.clone();
            for (number, (key, like)) in fresh.tensors().enumerate() {
                let found = tensor(slot, number, like)?;
                filled.replace(key, |_| found);
            }
            Some(filled)
        };
        self.trainable = filled(TRAINED)?;
        self.best = match best {
            Some(loss) => Some((loss, filled(BEST)?)),
            None => None,
        };
        for (number, (key, like)) in fresh.tensors().enumerate() {
            let averages = [FIRST, SECOND].map(|slot| tensor(slot, number, like));
            if let [Some(first), Some(second)] = averages {
                self.optimizer.set(*key, (step, [first, second]));
            }
        }
        Some(Self { step, since_best, ..self })
    }
}

/// The beginnings of the names of tensors: what they are.
const TRAINED: &str = "trained";
const BEST: &str = "best";
const FIRST: &str = "first";
const SECOND: &str = "second";
