//! `llama`: the most general architecture. Heads of any width, a bias on any linear, a divisor for
//! every rotary frequency. Rotated pairs are adjacent, and whole heads are rotated.

use slicegpt_models::Part;

use super::definition::Architecture;
use crate::rope::RopeSupport;

pub(super) static ARCHITECTURE: Architecture = Architecture {
    name: "llama",
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
    biases: &[Part::Query, Part::Key, Part::Value, Part::Output, Part::Gate, Part::Up, Part::Down],
    head_norm: false,
    interleaved: true,
    heads_fill_stream: false,
    rope: RopeSupport { partial: false, divisors: true, long_divisors: true },
    states_window: false,
    is_70b: |spec| spec.layers == 80 && spec.attention.heads != spec.attention.kv_heads,
};
