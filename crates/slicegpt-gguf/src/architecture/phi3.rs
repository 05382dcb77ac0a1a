//! `phi3`: packed projections, partly rotated heads, longrope. The heads together are as wide as
//! the stream.

use slicegpt_models::Part;

use super::definition::Architecture;
use crate::rope::RopeSupport;

pub(super) static ARCHITECTURE: Architecture = Architecture {
    name: "phi3",
    parts: &[
        ("attn_norm", &[Part::Norm(0)]),
        ("attn_qkv", &[Part::Query, Part::Key, Part::Value]),
        ("attn_output", &[Part::Output]),
        ("ffn_norm", &[Part::Norm(1)]),
        ("ffn_up", &[Part::Gate, Part::Up]),
        ("ffn_down", &[Part::Down]),
    ],
    biases: &[],
    head_norm: false,
    interleaved: false,
    heads_fill_stream: true,
    rope: RopeSupport { partial: true, divisors: false, long_divisors: true },
    states_window: true,
    is_70b: |_| false,
};
