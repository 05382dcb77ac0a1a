"""A random model whose rows fill whole blocks of the K quantisation types."""

import json

import numpy as np
from safetensors.numpy import save_file

HIDDEN, INNER, HEADS, KEYS, HEAD = 256, 512, 8, 2, 32


def write(directory, layers=12, vocabulary=320):
    """Writes the model to `directory`: a Llama with 4 query heads for each key head."""
    directory.mkdir()
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEYS,
        "max_position_embeddings": 128,
        "vocab_size": vocabulary,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "dtype": "float32",
    }
    (directory / "config.json").write_text(json.dumps(config))
    rng = np.random.default_rng(3)
    weights = lambda rows, columns: (rng.standard_normal((rows, columns)) / columns**0.5).astype(
        np.float32
    )
    norm = lambda: (1 + 0.1 * rng.standard_normal(HIDDEN)).astype(np.float32)
    tensors = {
        "model.embed_tokens.weight": weights(vocabulary, HIDDEN) * 16,
        "model.norm.weight": norm(),
        "lm_head.weight": weights(vocabulary, HIDDEN),
    }
    for layer in range(layers):
        tensors |= {
            f"model.layers.{layer}.{name}.weight": values
            for name, values in {
                "input_layernorm": norm(),
                "self_attn.q_proj": weights(HEADS * HEAD, HIDDEN),
                "self_attn.k_proj": weights(KEYS * HEAD, HIDDEN),
                "self_attn.v_proj": weights(KEYS * HEAD, HIDDEN),
                "self_attn.o_proj": weights(HIDDEN, HEADS * HEAD),
                "post_attention_layernorm": norm(),
                "mlp.gate_proj": weights(INNER, HIDDEN),
                "mlp.up_proj": weights(INNER, HIDDEN),
                "mlp.down_proj": weights(HIDDEN, INNER),
            }.items()
        }
    save_file(tensors, directory / "model.safetensors")
    return directory
