#!/usr/bin/env python3
"""Shows that `slicegpt import` reads the files of the reference implementation of SliceGPT.

    imported.py SLICEGPT MODEL...

Each MODEL is a dense checkpoint directory. It is sliced per layer and loaded in Hugging Face
transformers. `torch.save` writes its state as the reference implementation does: `NAME_SPARSITY.pt`
with views of the matrices before the cut, in float16 or unchanged, and `NAME_SPARSITY.json` with
the widths. The imported model must compute what transformers computes with the norm epsilon of the
reference, 1e-5. The exit code is 1 if it does not.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from command import run
from models import asked, check_close

TOKENS = 24
EPS = 1e-5


def views(state):
    """Views, as if every matrix had been cut out of a larger one that is still in memory."""
    out = {}
    for name, value in state.items():
        if value.ndim == 2:
            whole = torch.full([size + 3 for size in value.shape], float("nan"), dtype=value.dtype)
            whole[: value.shape[0], : value.shape[1]] = value
            value = whole[: value.shape[0], : value.shape[1]]
        out[name] = value
    return out


def sizes(section):
    decoder, widths = section["decoder"], section["widths"]
    depth, layers = len(decoder["sublayers"]), len(decoder["windowed"])
    numbered = lambda first: {str(i): widths[i * depth + first] for i in range(layers)}
    tables = 1 if decoder["position_offset"] is None else 2
    return {
        "hidden_size": decoder["hidden_size"],
        "layers_num": layers,
        "do_slice_head": False,
        "parallel_blocks": depth == 1,
        "embedding_dimensions": {str(i): widths[0] for i in range(tables)},
        "attention_input_dimensions": numbered(0),
        "attention_output_dimensions": numbered(1),
        "mlp_input_dimensions": numbered(depth - 1),
        "mlp_output_dimensions": numbered(depth),
        "head_dimension": widths[-1],
        "const_dimension": None,
    }


def check(slicegpt, source, scratch, dtype):
    config = json.loads((source / "config.json").read_text())
    ids = np.random.default_rng(1).integers(0, config["vocab_size"], (64, TOKENS), dtype=np.int32)
    tokens, sliced, out = scratch / "tokens.safetensors", scratch / "sliced", scratch / "out"
    save_file({"calibration": ids, "prompt": ids[:2]}, tokens)
    run(
        slicegpt,
        "compress",
        source,
        "--out",
        sliced,
        "--force",
        "--device",
        "cpu",
        "--method",
        "per-layer",
        "--sparsity",
        "0.25",
        "--round-to",
        "1",
        "--calibration",
        f"{tokens}:calibration",
    )
    described = json.loads((sliced / "config.json").read_text())
    described["slicegpt"]["decoder"]["norm"]["eps"] = EPS
    (sliced / "config.json").write_text(json.dumps(described))
    model = AutoModelForCausalLM.from_pretrained(sliced, trust_remote_code=True, dtype=dtype).eval()
    theirs = scratch / "theirs"
    theirs.mkdir(exist_ok=True)
    for old in theirs.iterdir():
        old.unlink()
    torch.save(views(model.state_dict()), theirs / f"{source.name}_0.25.pt")
    (theirs / f"{source.name}_0.25.json").write_text(json.dumps(sizes(described["slicegpt"])))
    run(slicegpt, "import", theirs, "--base", source, "--out", out, "--force")
    logits = scratch / "logits.safetensors"
    run(slicegpt, "logits", out, "--tokens", f"{tokens}:prompt", "--out", logits, "--device", "cpu")
    with torch.no_grad():
        expected = model.float()(torch.from_numpy(ids[:2].astype(np.int64))).logits
    worst = (torch.from_numpy(load_file(logits)["logits"]) - expected).abs().max().item()
    print(f"{source.name:24} {str(dtype):14} largest difference {worst:.1e}", flush=True)
    return worst if worst == worst else float("inf")


def main():
    slicegpt, *models = asked(__doc__)
    print(f"import, against transformers {transformers.__version__}")
    kinds = [torch.float32, torch.float16]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        worst = max(
            check(slicegpt, Path(model), scratch, kind) for model in models for kind in kinds
        )
    check_close(worst)


if __name__ == "__main__":
    main()
