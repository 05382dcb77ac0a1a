//! Which role in a sublayer the parts of a block have.

use slicegpt_core::Role;

use crate::names::{Kind, Part};
use crate::{DecoderSpec, Entry};

impl DecoderSpec {
    /// The sublayer of a part of a block, and its role there. `None` for the norms of heads, which
    /// are inside the attention and touch no stream.
    pub fn role(&self, part: Part, kind: Kind) -> Option<(usize, Role)> {
        let mlp = self.sublayers_per_block() - 1;
        // In parallel branches the readers and writers of the attention come first.
        let (readers, writers) = if mlp == 0 { (3, 1) } else { (0, 0) };
        let up = readers + usize::from(self.mlp.gated);
        Some(match (part, kind) {
            (Part::Norm(sublayer), Kind::Weight) => (sublayer, Role::NormWeight),
            (Part::Norm(sublayer), Kind::Bias) => (sublayer, Role::NormBias),
            (Part::Shortcut(sublayer), _) => (sublayer, Role::Shortcut),
            (Part::QueryNorm | Part::KeyNorm, _) => return None,
            (Part::Query, kind) => (0, reader(0, kind)),
            (Part::Key, kind) => (0, reader(1, kind)),
            (Part::Value, kind) => (0, reader(2, kind)),
            (Part::Output, kind) => (0, writer(0, kind)),
            (Part::Gate, kind) => (mlp, reader(readers, kind)),
            (Part::Up, kind) => (mlp, reader(up, kind)),
            (Part::Down, kind) => (mlp, writer(writers, kind)),
        })
    }

    /// The weights of a block that tensor `entry` holds, by sublayer and role.
    pub fn roles(&self, entry: &Entry) -> Vec<(usize, Role)> {
        entry.parts.iter().filter_map(|(part, kind)| self.role(*part, *kind)).collect()
    }
}

fn reader(index: usize, kind: Kind) -> Role {
    match kind {
        Kind::Weight => Role::Reader(index),
        Kind::Bias => Role::ReaderBias(index),
    }
}

fn writer(index: usize, kind: Kind) -> Role {
    match kind {
        Kind::Weight => Role::Writer(index),
        Kind::Bias => Role::WriterBias(index),
    }
}
