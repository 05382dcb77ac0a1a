//! [`Role`]: what a tensor of an adapter is, by the name that PEFT gave it.

/// The prefix of all names: `PeftModel` holds a tuner, which holds the model.
pub(crate) const PREFIX: &str = "base_model.model.";

/// The name of the base layer inside a module that PEFT wrapped.
const WRAPPED: &str = ".base_layer.";

/// What a tensor is. Modules and tensors are named as in the model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Role {
    /// The matrix A of a linear module, `[rank, inputs]`.
    A(String),
    /// The matrix B of a linear module, `[outputs, rank]`.
    B(String),
    /// The matrix A of an embedding, `[rank, tokens]`.
    EmbeddingA(String),
    /// The matrix B of an embedding, `[width, rank]`.
    EmbeddingB(String),
    /// A tensor of the model as a whole.
    Whole(String),
    /// Part of a variant of LoRA that is not implemented: what it is.
    Variant(&'static str),
    /// No name of PEFT's.
    Unknown,
}

/// The ends of names that belong to variants, and what they are.
const VARIANTS: &[(&str, &str)] = &[
    (".lora_magnitude_vector", "is a magnitude of DoRA, which is not implemented"),
    (".lora_magnitude_vector.weight", "is a magnitude of DoRA, which is not implemented"),
    (".lora_B.bias", "is a bias of an adapter (`lora_bias`), which is not implemented"),
    (
        ".trainable_tokens_delta",
        "holds single rows of an embedding (`trainable_token_indices`), which is not implemented",
    ),
];

/// Parses a name.
pub(crate) fn role(name: &str) -> Role {
    let Some(rest) = name.strip_prefix(PREFIX) else { return Role::Unknown };
    if let Some((_, what)) = VARIANTS.iter().find(|(end, _)| rest.ends_with(end)) {
        return Role::Variant(what);
    }
    type Make = fn(String) -> Role;
    let ends: [(&str, Make); 4] = [
        (".lora_A.weight", Role::A),
        (".lora_B.weight", Role::B),
        (".lora_embedding_A", Role::EmbeddingA),
        (".lora_embedding_B", Role::EmbeddingB),
    ];
    for (end, make) in ends {
        if let Some(module) = rest.strip_suffix(end) {
            return make(module.into());
        }
    }
    if rest.contains(".lora_") || rest.is_empty() {
        return Role::Unknown;
    }
    Role::Whole(rest.replacen(WRAPPED, ".", 1))
}

/// The name of the tensor `tensor` of a module, which PEFT has wrapped or not.
pub(crate) fn whole(tensor: &str, wrapped: bool) -> String {
    match tensor.rsplit_once('.') {
        Some((module, last)) if wrapped => format!("{PREFIX}{module}{WRAPPED}{last}"),
        _ => format!("{PREFIX}{tensor}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_peft_are_understood() {
        let q = "model.layers.0.self_attn.q_proj";
        let cases = [
            (format!("{PREFIX}{q}.lora_A.weight"), Role::A(q.into())),
            (format!("{PREFIX}{q}.lora_B.weight"), Role::B(q.into())),
            (format!("{PREFIX}emb.lora_embedding_A"), Role::EmbeddingA("emb".into())),
            (format!("{PREFIX}emb.lora_embedding_B"), Role::EmbeddingB("emb".into())),
            (format!("{PREFIX}{q}.base_layer.bias"), Role::Whole(format!("{q}.bias"))),
            (format!("{PREFIX}lm_head.weight"), Role::Whole("lm_head.weight".into())),
            (format!("{PREFIX}{q}.lora_A.default.weight"), Role::Unknown),
            (format!("{q}.lora_A.weight"), Role::Unknown),
            (PREFIX.into(), Role::Unknown),
        ];
        for (name, expected) in cases {
            assert_eq!(role(&name), expected, "{name}");
        }
        for end in ["lora_magnitude_vector", "lora_B.bias", "token_adapter.trainable_tokens_delta"]
        {
            assert!(matches!(role(&format!("{PREFIX}{q}.{end}")), Role::Variant(_)), "{end}");
        }
    }

    #[test]
    fn names_are_written_as_they_are_read() {
        for wrapped in [false, true] {
            let name = whole("model.norm.weight", wrapped);
            assert_eq!(role(&name), Role::Whole("model.norm.weight".into()), "{name}");
            assert_eq!(name.contains("base_layer"), wrapped);
        }
    }
}
