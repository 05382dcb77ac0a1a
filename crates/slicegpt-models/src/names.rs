//! The names of the tensors of a checkpoint, and the weights of a block that they hold.

/// A weight of a block, under one name for all families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The norm of a sublayer.
    Norm(usize),
    /// Attention: query projection.
    Query,
    /// Attention: key projection.
    Key,
    /// Attention: value projection.
    Value,
    /// Attention: output projection.
    Output,
    /// Attention: norm of each query head.
    QueryNorm,
    /// Attention: norm of each key head.
    KeyNorm,
    /// MLP: gate projection.
    Gate,
    /// MLP: up projection.
    Up,
    /// MLP: down projection.
    Down,
    /// The shortcut of a sublayer, `[width in, width out]`, once sliced.
    Shortcut(usize),
}

/// Which tensor of a [`Part`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `[out, in]` for linears, as Hugging Face stores them.
    Weight,
    /// `[out]`.
    Bias,
}

/// The names of a family's tensors.
#[derive(Debug)]
pub struct Names {
    /// A prefix that some checkpoints omit (`model.`).
    pub base: &'static str,
    /// The token embedding.
    pub embedding: &'static str,
    /// The position embedding, if there is one.
    pub positions: Option<&'static str>,
    /// The prefix before the number of a block.
    pub blocks: &'static str,
    /// The tensors of a block, after its number: more than one part where projections are packed,
    /// in the order of their rows.
    pub parts: &'static [(&'static str, &'static [Part])],
    /// The last norm.
    pub norm: &'static str,
    /// The head.
    pub head: &'static str,
    /// Not a tensor: the field of `config.json` that holds the width of the MLPs.
    pub intermediate_size: &'static str,
    /// Not a tensor: the field of `config.json` that holds the epsilon of the norms, if it has one.
    pub norm_eps: Option<&'static str>,
}

/// One tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its shape, as stored.
    pub shape: Vec<usize>,
    /// The parts it holds, stacked by rows; empty outside blocks.
    pub parts: Vec<(Part, Kind)>,
}

impl Entry {
    pub(crate) fn outer(name: String, shape: Vec<usize>) -> Self {
        Self { name, shape, parts: Vec::new() }
    }

    /// The number of its elements.
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }
}
