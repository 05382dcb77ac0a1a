//! `phi2`: attention and MLP in parallel under one LayerNorm, biases everywhere, partly rotated
//! heads. Files hold the projections of attention separately or, if they are older, packed.
//!
//! Such files are read and not written.

use slicegpt_models::Part;

use super::definition::Architecture;
use crate::rope::RopeSupport;

pub(super) static SEPARATE: Architecture = Architecture {
    parts: &[
        ("attn_norm", &[Part::Norm(0)]),
        ("attn_q", &[Part::Query]),
        ("attn_k", &[Part::Key]),
        ("attn_v", &[Part::Value]),
        ("attn_output", &[Part::Output]),
        ("ffn_up", &[Part::Up]),
        ("ffn_down", &[Part::Down]),
    ],
    ..PACKED_PARTS
};

pub(super) static PACKED: Architecture = PACKED_PARTS;

const PACKED_PARTS: Architecture = Architecture {
    name: "phi2",
    parts: &[
        ("attn_norm", &[Part::Norm(0)]),
        ("attn_qkv", &[Part::Query, Part::Key, Part::Value]),
        ("attn_output", &[Part::Output]),
        ("ffn_up", &[Part::Up]),
        ("ffn_down", &[Part::Down]),
    ],
    biases: &[Part::Query, Part::Key, Part::Value, Part::Output, Part::Up, Part::Down],
    head_norm: false,
    interleaved: false,
    heads_fill_stream: true,
    rope: RopeSupport { partial: true, divisors: false, long_divisors: false },
    states_window: false,
    is_70b: |_| false,
};
