//! [`Role`]: what a weight of a sublayer is to the stream, and access to weights by their roles.

use burn::module::Param;
use burn::tensor::Tensor;

use crate::{Sublayer, SublayerMut};

/// A weight of a sublayer, by its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The matrix of a reader, `[width in, outputs]`, by its index among [`Sublayer::readers`].
    Reader(usize),
    /// The bias of a reader, `[outputs]`.
    ReaderBias(usize),
    /// The matrix of a writer, `[inputs, width out]`, by its index among [`Sublayer::writers`].
    Writer(usize),
    /// The bias of a writer, `[width out]`.
    WriterBias(usize),
    /// The weight of the norm, `[width in]`.
    NormWeight,
    /// The bias of the norm, `[width in]`.
    NormBias,
    /// The matrix of the shortcut, `[width in, width out]`.
    Shortcut,
}

/// A weight: a matrix or a vector.
#[derive(Clone, Copy, Debug)]
pub enum Weight<'a> {
    /// A matrix.
    Matrix(&'a Param<Tensor<2>>),
    /// A vector.
    Vector(&'a Param<Tensor<1>>),
}

/// A weight, for rewriting.
#[derive(Debug)]
pub enum WeightMut<'a> {
    /// A matrix.
    Matrix(&'a mut Param<Tensor<2>>),
    /// A vector.
    Vector(&'a mut Param<Tensor<1>>),
}

impl Weight<'_> {
    /// The weight as a matrix: a vector is its only row.
    pub fn matrix(&self) -> Tensor<2> {
        match self {
            Self::Matrix(weight) => weight.val(),
            Self::Vector(weight) => weight.val().unsqueeze(),
        }
    }
}

impl<'a> Sublayer<'a> {
    /// All weights that this sublayer has, by role.
    pub fn weights(&self) -> Vec<(Role, Weight<'a>)> {
        let mut weights = Vec::new();
        let vector = |vector: &'a Option<Param<Tensor<1>>>| vector.as_ref().map(Weight::Vector);
        let norm = self.norm;
        weights.extend(vector(&norm.weight).map(|weight| (Role::NormWeight, weight)));
        weights.extend(vector(&norm.bias).map(|bias| (Role::NormBias, bias)));
        for (index, reader) in self.readers.iter().enumerate() {
            weights.push((Role::Reader(index), Weight::Matrix(&reader.weight)));
            weights.extend(vector(&reader.bias).map(|bias| (Role::ReaderBias(index), bias)));
        }
        for (index, writer) in self.writers.iter().enumerate() {
            weights.push((Role::Writer(index), Weight::Matrix(&writer.weight)));
            weights.extend(vector(&writer.bias).map(|bias| (Role::WriterBias(index), bias)));
        }
        let shortcut = self.shortcut.weight.as_ref();
        weights.extend(shortcut.map(|weight| (Role::Shortcut, Weight::Matrix(weight))));
        weights
    }
}

impl<'a> SublayerMut<'a> {
    /// The weight with this role, if the sublayer has it.
    pub fn into_weight(self, role: Role) -> Option<WeightMut<'a>> {
        let Self { norm, readers, writers, shortcut } = self;
        let [mut readers, mut writers] = [readers, writers].map(Vec::into_iter);
        match role {
            Role::Reader(index) => {
                readers.nth(index).map(|reader| WeightMut::Matrix(&mut reader.weight))
            }
            Role::ReaderBias(index) => readers.nth(index)?.bias.as_mut().map(WeightMut::Vector),
            Role::Writer(index) => {
                writers.nth(index).map(|writer| WeightMut::Matrix(&mut writer.weight))
            }
            Role::WriterBias(index) => writers.nth(index)?.bias.as_mut().map(WeightMut::Vector),
            Role::NormWeight => norm.weight.as_mut().map(WeightMut::Vector),
            Role::NormBias => norm.bias.as_mut().map(WeightMut::Vector),
            Role::Shortcut => shortcut.weight.as_mut().map(WeightMut::Matrix),
        }
    }
}
