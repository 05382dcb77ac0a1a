//! [`Trainable`]: the trained tensors, and how they get into a block.

use std::collections::BTreeMap;

use burn::module::{Param, ParamId};
use burn::tensor::{DType, Device, Distribution, Tensor};
use slicegpt_core::{Block, Norm, Role, WeightMut};
use slicegpt_kernels::{LowRankWeight, low_rank};

use crate::{Factor, Gradients, Key, Place};

/// The trained tensors, float32.
///
/// A weight is trained as a whole, or `W + scale A B` is trained by its factors while `W` stays.
#[derive(Clone, Debug, Default)]
pub struct Trainable {
    tensors: BTreeMap<Key, Tensor<2>>,
    /// What products of low-rank factors are multiplied by.
    scale: f64,
}

/// The tensors that a pass tracks.
#[derive(Default)]
pub(crate) struct Handles {
    /// What they are, and the tensors, which have gradients afterwards.
    pub tensors: Vec<(Key, Tensor<2>)>,
    /// Weights whose factors linears must know until the forward pass is over.
    weights: Vec<LowRankWeight>,
}

impl Handles {
    fn track(&mut self, key: Key, tensor: &Tensor<2>) -> Tensor<2> {
        let tracked = tensor.clone().autodiff().require_grad();
        self.tensors.push((key, tracked.clone()));
        tracked
    }
}

/// How trained tensors get into a block: as they are, or tracked.
type Tracking<'a> = Option<&'a mut Handles>;

impl Trainable {
    /// Nothing yet. Low-rank corrections will be multiplied by `scale`.
    pub fn new(scale: f64) -> Self {
        Self { tensors: BTreeMap::new(), scale }
    }

    /// Trains a weight as a whole, beginning with `weight`; a vector is a matrix of one row.
    pub fn whole(&mut self, place: Place, weight: Tensor<2>) {
        let key = Key { place, factor: Factor::Whole };
        self.tensors.insert(key, weight.cast(DType::F32));
    }

    /// Trains a correction of a weight `[inputs, outputs]`, of rank `rank` or of the smaller side
    /// of the weight if that is less. It begins with zero: `A` is drawn as PEFT draws it, uniformly
    /// up to `1 / sqrt(inputs)`, and `B` is zero. Draws come from the generator of the device.
    pub fn low_rank(
        &mut self,
        place: Place,
        [inputs, outputs]: [usize; 2],
        rank: usize,
        device: &Device,
    ) {
        let rank = rank.min(inputs).min(outputs);
        let bound = 1.0 / (inputs as f64).sqrt();
        let options = (device, DType::F32);
        let a = Tensor::random([inputs, rank], Distribution::Uniform(-bound, bound), options);
        self.tensors.insert(Key { place, factor: Factor::A }, a);
        let b = Tensor::zeros([rank, outputs], options);
        self.tensors.insert(Key { place, factor: Factor::B }, b);
    }

    /// What products of low-rank factors are multiplied by.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The factors of the low-rank correction of a weight as rows, transposed as files hold them:
    /// the rank, `A^T`, `[rank, inputs]`, and `B^T`, `[outputs, rank]`.
    pub fn factors(&self, place: Place) -> Option<(usize, [Vec<f32>; 2])> {
        let factor = |factor| {
            let tensor = self.tensors.get(&Key { place, factor })?.clone().transpose();
            let dims = tensor.dims();
            let data = tensor.into_data_dtype(DType::F32);
            Some((dims, data.try_into_vec().expect("it was just made float32")))
        };
        let (([rank, _], a), (_, b)) = (factor(Factor::A)?, factor(Factor::B)?);
        Some((rank, [a, b]))
    }

    /// All trained tensors in a fixed order.
    pub fn tensors(&self) -> impl Iterator<Item = (&Key, &Tensor<2>)> {
        self.tensors.iter()
    }

    /// Replaces a tensor by `update` of it.
    ///
    /// # Panics
    ///
    /// If it is not trained.
    pub fn replace(&mut self, key: &Key, update: impl FnOnce(Tensor<2>) -> Tensor<2>) {
        let tensor = self.tensors.remove(key).expect("only trained tensors are replaced");
        self.tensors.insert(*key, update(tensor));
    }

    /// The number of trained numbers.
    pub fn parameters(&self) -> usize {
        self.tensors.values().map(|tensor| tensor.dims().iter().product::<usize>()).sum()
    }

    /// Whether a weight of block `block` is trained.
    pub fn trains_block(&self, block: usize) -> bool {
        self.places(block).next().is_some()
    }

    /// Whether the weight at `place` is trained.
    pub fn trains(&self, place: Place) -> bool {
        let has = |factor| self.tensors.contains_key(&Key { place, factor });
        has(Factor::Whole) || has(Factor::A)
    }

    /// Puts the trained weights of block `index` into it.
    pub fn merge<B: Block>(&self, index: usize, block: &mut B) {
        self.put(index, block, None);
    }

    /// Puts the trained weights of the last norm into it.
    pub fn merge_norm(&self, norm: &mut Norm) {
        self.put_norm(norm, None);
    }

    /// The matrix of the head, `[width, vocab_size]`, from that of the model.
    pub fn head(&self, matrix: Tensor<2>) -> Tensor<2> {
        self.weight(Place::Head, || matrix.clone(), &mut None).unwrap_or(matrix)
    }

    /// Adds the gradient of the matrix of the head to those of the tensors that it is made of.
    pub(crate) fn add_head(&self, gradient: Tensor<2>, gradients: &mut Gradients) {
        let key = |factor| Key { place: Place::Head, factor };
        let factor = |factor| self.tensors.get(&key(factor)).cloned();
        match (factor(Factor::A), factor(Factor::B)) {
            (Some(a), Some(b)) => {
                let scaled = gradient.mul_scalar(self.scale);
                gradients.add(key(Factor::A), scaled.clone().matmul(b.transpose()));
                gradients.add(key(Factor::B), a.transpose().matmul(scaled));
            }
            _ => gradients.add(key(Factor::Whole), gradient),
        }
    }

    /// [`Trainable::merge`], tracked by autodiff. The handles must live until the forward pass is
    /// over.
    pub(crate) fn track<B: Block>(&self, index: usize, block: &mut B, handles: &mut Handles) {
        self.put(index, block, Some(handles));
    }

    /// [`Trainable::merge_norm`], tracked by autodiff.
    pub(crate) fn track_norm(&self, norm: &mut Norm, handles: &mut Handles) {
        self.put_norm(norm, Some(handles));
    }

    fn put<B: Block>(&self, index: usize, block: &mut B, mut tracking: Tracking<'_>) {
        for (sublayer, role) in self.places(index).collect::<Vec<_>>() {
            let place = Place::Block { block: index, sublayer, role };
            let Some(weight) = block.sublayer_mut(sublayer).into_weight(role) else { continue };
            match weight {
                WeightMut::Matrix(param) => {
                    if let Some(weight) = self.weight(place, || param.val(), &mut tracking) {
                        *param = Param::initialized(ParamId::new(), weight);
                    }
                }
                WeightMut::Vector(param) => self.put_vector(place, param, &mut tracking),
            }
        }
    }

    fn put_norm(&self, norm: &mut Norm, mut tracking: Tracking<'_>) {
        let vectors = [(Place::LastNorm, &mut norm.weight), (Place::LastNormBias, &mut norm.bias)];
        for (place, vector) in vectors {
            if let Some(vector) = vector {
                self.put_vector(place, vector, &mut tracking);
            }
        }
    }

    fn put_vector(&self, place: Place, param: &mut Param<Tensor<1>>, tracking: &mut Tracking<'_>) {
        if let Some(weight) = self.weight(place, || param.val().unsqueeze(), tracking) {
            *param = Param::initialized(ParamId::new(), weight.squeeze_dim(0));
        }
    }

    /// The trained weights of a block, each once.
    fn places(&self, index: usize) -> impl Iterator<Item = (usize, Role)> {
        self.tensors.keys().filter_map(move |key| match (key.factor, key.place) {
            (Factor::Whole | Factor::A, Place::Block { block, sublayer, role }) => {
                (block == index).then_some((sublayer, role))
            }
            _ => None,
        })
    }

    /// The weight that is made of the tensors at `place`; `None` if it is not trained.
    fn weight(
        &self,
        place: Place,
        base: impl FnOnce() -> Tensor<2>,
        tracking: &mut Tracking<'_>,
    ) -> Option<Tensor<2>> {
        let mut tensor = |factor| {
            let key = Key { place, factor };
            let tensor = self.tensors.get(&key)?;
            Some(match tracking {
                Some(handles) => handles.track(key, tensor),
                None => tensor.clone(),
            })
        };
        if let Some(whole) = tensor(Factor::Whole) {
            return Some(whole);
        }
        let (a, b) = (tensor(Factor::A)?, tensor(Factor::B)?);
        Some(match tracking {
            Some(handles) => {
                let weight = low_rank(base(), a, b, self.scale);
                let merged = weight.tensor();
                handles.weights.push(weight);
                merged
            }
            None => base().cast(DType::F32) + a.matmul(b).mul_scalar(self.scale),
        })
    }
}
