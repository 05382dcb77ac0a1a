//! `qwen2`: biases on query, key and value. The heads together are as wide as the stream.

use slicegpt_models::Part;

use super::definition::Architecture;
use crate::rope::RopeSupport;

pub(super) static ARCHITECTURE: Architecture = Architecture {
    name: "qwen2",
    parts: &[
        ("attn_norm", &[Part::Norm(0)]),
        ("attn_q", &[Part::Query]),
        ("attn_k", &[Part::Key]),
        ("attn_v", &[Part::Value]),
        ("attn_output", &[Part::Output]),
        ("ffn_norm", &[Part::Norm(1)]),
        ("ffn_gate", &[Part::Gate]),
        ("ffn_up", &[Part::Up]),
        ("ffn_down", &[Part::Down]),
    ],
    biases: &[Part::Query, Part::Key, Part::Value],
    head_norm: false,
    interleaved: false,
    heads_fill_stream: true,
    rope: RopeSupport { partial: false, divisors: false, long_divisors: false },
    states_window: false,
    is_70b: |spec| spec.layers == 80,
};
