#!/usr/bin/env python3
"""Shows that `slicegpt export gguf` writes what was in the checkpoint, by reading the file with
llama.cpp's Python package `gguf`.

    gguf_read.py SLICEGPT MODEL...

Each MODEL is a dense checkpoint directory. It is exported in several types, as it is and with its
stream cut by the shared method; so is a random model whose rows fill whole blocks. Tensor names
come from the tables of the package, rows are put back into the order of Hugging Face, and values
are compared after the package has dequantised them. Types that the package can quantise must agree
byte by byte. Every file is imported again, in float32: the values must be those of the package. The
exit code is 1 if anything differs.
"""

import json
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from safetensors import deserialize
from safetensors.numpy import save_file

import aligned
from command import run

# The tolerance of a value, as a fraction of the largest in its block.
STEPS = {
    Type.F32: 0.0,
    Type.F16: 2**-10,
    Type.BF16: 2**-8,
    Type.Q8_0: 1 / 127,
    Type.Q6_K: 1 / 24,
    Type.Q5_1: 1 / 15,
    Type.Q5_0: 1 / 12,
    Type.Q5_K: 1 / 12,
    Type.Q4_K: 1 / 6,
    Type.Q4_0: 1 / 6,
    Type.Q4_1: 1 / 7,
    Type.Q3_K: 1 / 3,
    Type.Q2_K: 2 / 3,
}
KINDS = ["f32", "f16", "bf16", "q8_0", "q5_1", "q4_0", "q2_k", "q3_k_m", "q4_k_m", "q5_k_s", "q6_k"]
BY_PACKAGE = {Type.Q8_0, Type.Q5_1, Type.Q5_0, Type.Q4_0, Type.Q4_1, Type.BF16}


def widened(kind, data):
    if kind == "BF16":
        return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, {"F32": np.float32, "F16": np.float16}[kind]).astype(np.float32)


def checkpoint(model):
    tensors = {}
    for path in sorted(model.glob("model*.safetensors")):
        for name, info in deserialize(path.read_bytes()):
            tensors[name] = widened(info["dtype"], bytes(info["data"])).reshape(info["shape"])
    return tensors


def unpacked(tensors, config, head_dim):
    """Packed projections split into separate ones, as in Llama."""
    queries, keys = (
        config["num_attention_heads"] * head_dim,
        config["num_key_value_heads"] * head_dim,
    )
    for name in [name for name in tensors if "qkv_proj" in name]:
        parts = np.split(tensors.pop(name), [queries, queries + keys])
        tensors |= {
            name.replace("qkv_proj", f"{letter}_proj"): part for letter, part in zip("qkv", parts)
        }
    for name in [name for name in tensors if "gate_up_proj" in name]:
        gate, up = np.split(tensors.pop(name), 2)
        tensors |= {name.replace("gate_up", "gate"): gate, name.replace("gate_up", "up"): up}


def interleaved(weights, heads, rotated):
    """The two halves of the rotated part of each head, interleaved as by llama.cpp's converter."""
    shape = weights.shape
    weights = weights.reshape(heads, shape[0] // heads, -1)
    turning, still = weights[:, :rotated], weights[:, rotated:]
    turning = turning.reshape(heads, 2, rotated // 2, -1).swapaxes(1, 2).reshape(turning.shape)
    return np.concatenate([turning, still], 1).reshape(shape)


def expected(model, config, architecture):
    """Every tensor of the checkpoint under its name in the file."""
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or (
        128 if config["model_type"] == "qwen3" else config["hidden_size"] // heads
    )
    rotated = int(head_dim * config.get("partial_rotary_factor", 1.0))
    tensors = checkpoint(model)
    if config["tie_word_embeddings"]:
        tensors.pop("lm_head.weight", None)
    kind = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}[architecture]
    names = gguf.get_tensor_name_map(kind, config["num_hidden_layers"])
    if architecture == "llama":
        unpacked(tensors, config, head_dim)
        for name, values in tensors.items():
            if ".q_proj" in name or ".k_proj" in name:
                count = heads if ".q_proj" in name else config["num_key_value_heads"]
                tensors[name] = interleaved(values, count, rotated)
    return {
        names.get_name(name, try_suffixes=(".weight", ".bias")): values
        for name, values in tensors.items()
    }, head_dim


def check_metadata(fields, config, head_dim, architecture):
    value = lambda key: fields[f"{architecture}.{key}"].contents()
    layers = config["num_hidden_layers"]
    pairs = {
        "context_length": config["max_position_embeddings"],
        "embedding_length": config["hidden_size"],
        "feed_forward_length": config["intermediate_size"],
        "block_count": layers,
        "vocab_size": config["vocab_size"],
        "attention.head_count": config["num_attention_heads"],
        "attention.head_count_kv": config["num_key_value_heads"],
        "attention.key_length": head_dim,
        "attention.value_length": head_dim,
    }
    wrong = [
        f"{key} is {value(key)}, not {right}" for key, right in pairs.items() if value(key) != right
    ]
    eps = value("attention.layer_norm_rms_epsilon")
    if abs(eps / config["rms_norm_eps"] - 1) > 1e-6:
        wrong.append(f"epsilon is {eps}, not {config['rms_norm_eps']}")
    return wrong


def check_tokens(model, fields, config):
    path = model / "tokenizer.json"
    if not path.is_file():
        return (
            []
            if fields["tokenizer.ggml.model"].contents() == "none"
            else ["a tokenizer out of nowhere"]
        )
    theirs = json.loads(path.read_text())
    tokens, kinds = (fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "token_type"))
    wrong = []
    if len(tokens) != config["vocab_size"]:
        wrong.append(f"{len(tokens)} tokens")
    for text, id in theirs["model"]["vocab"].items():
        if id < len(tokens) and tokens[id] != text:
            wrong.append(f"token {id} is {tokens[id]!r}, not {text!r}")
    for added in theirs["added_tokens"]:
        if added["special"] and kinds[added["id"]] not in (
            gguf.TokenType.CONTROL,
            gguf.TokenType.UNKNOWN,
        ):
            wrong.append(f"token {added['content']!r} is of type {kinds[added['id']]}")
    return wrong


def check_values(tensor, right):
    """The largest difference as a fraction of what the type allows."""
    kind = tensor.tensor_type
    values = gguf.dequantize(tensor.data, kind).reshape(right.shape)
    if kind in BY_PACKAGE and not np.array_equal(
        gguf.quantize(right, kind).ravel(), tensor.data.view(np.uint8).ravel()
    ):
        return f"{tensor.name}: the package quantises it otherwise"
    if kind == Type.F32:
        return None if np.array_equal(values, right) else f"{tensor.name}: other values"
    block = gguf.GGML_QUANT_SIZES[kind][0]
    blocks = right.reshape(-1, min(32, block))
    allowed = STEPS[kind] * np.abs(blocks).max(1, keepdims=True)
    if kind in (Type.F16, Type.BF16):
        allowed = STEPS[kind] * np.abs(blocks) + 1e-7
    worst = (np.abs(values.reshape(blocks.shape) - blocks) - allowed).max()
    return (
        f"{tensor.name} as {kind.name}: off by {worst:.1e} more than it may" if worst > 0 else None
    )


def check_import(slicegpt, out, architecture, tensors, scratch):
    """Imports the file and compares the checkpoint with what the package dequantises."""
    imported = scratch / "imported"
    run(slicegpt, "import", "gguf", out, "--out", imported, "--dtype", "f32", "--force")
    config = json.loads((imported / "config.json").read_text())
    ours, _ = expected(imported, config, architecture)
    wrong = []
    for name, values in ours.items():
        tensor = tensors[name]
        theirs = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(values.shape)
        if not np.array_equal(values, theirs):
            wrong.append(f"{name} as {tensor.tensor_type.name}: imported with other values")
    return wrong


def check(slicegpt, model, name, scratch):
    config = json.loads((model / "config.json").read_text())
    wrong, seen = [], set()
    for kind in KINDS:
        out = scratch / "model.gguf"
        result = json.loads(
            run(slicegpt, "export", "gguf", model, "--out", out, "--type", kind, "--json")
        )
        reader = gguf.GGUFReader(out)
        architecture = reader.fields["general.architecture"].contents()
        right, head_dim = expected(model, config, architecture)
        wrong += check_metadata(reader.fields, config, head_dim, architecture)
        wrong += check_tokens(model, reader.fields, config)
        tensors = {tensor.name: tensor for tensor in reader.tensors}
        extra = {name for name in tensors if not name.startswith("rope_f")}
        if extra != set(right):
            wrong.append(f"tensors {sorted(extra ^ set(right))}")
        for key in extra & set(right):
            seen.add(tensors[key].tensor_type.name)
            if sorted(tensors[key].shape) != sorted(right[key].shape):
                wrong.append(f"{key} has shape {tensors[key].shape}")
            else:
                wrong += filter(None, [check_values(tensors[key], right[key])])
        wrong += check_import(slicegpt, out, architecture, tensors, scratch)
        if result["bytes"] != out.stat().st_size or result["tensors"] != len(tensors):
            wrong.append("the summary counts otherwise")
        del reader, tensors
        out.unlink()
    verdict = "alike" if not wrong else wrong[:3]
    types = ", ".join(sorted(seen))
    print(f"{name:28} {architecture:6} {len(right):4} tensors {types}: {verdict}")
    return wrong


def main():
    slicegpt, *models = sys.argv[1:]
    if not models:
        sys.exit(__doc__)
    wrong = []
    for model in [None, *map(Path, models)]:
        with tempfile.TemporaryDirectory() as scratch:
            scratch = Path(scratch)
            model = model or aligned.write(scratch / "aligned")
            wrong += check(slicegpt, model, model.name, scratch)
            config = json.loads((model / "config.json").read_text())
            heads = config["num_attention_heads"]
            ids = np.random.default_rng(1).integers(
                0, config["vocab_size"], (64, 24), dtype=np.int32
            )
            save_file({"input_ids": ids}, scratch / "calibration.safetensors")
            run(
                slicegpt,
                "compress",
                model,
                "--out",
                scratch / "cut",
                "--device",
                "cpu",
                "--refit",
                "none",
                "--calibration",
                scratch / "calibration.safetensors",
                "--hidden-size",
                config["hidden_size"] * 3 // 4 // heads * heads,
            )
            wrong += check(slicegpt, scratch / "cut", f"{model.name}, cut", scratch)
    if wrong:
        sys.exit(f"{len(wrong)} things differ: see above")


if __name__ == "__main__":
    main()
