#!/usr/bin/env python3
"""Shows that `slicegpt compress` writes ordinary checkpoints for the RMSNorm families: Hugging Face
transformers loads them without custom code and computes the logits of `slicegpt logits`.

    stock.py SLICEGPT MODEL...

Each MODEL is a dense checkpoint directory. It is cut by the shared method to a few shapes, and the
logits of both are compared on random tokens. The exit code is 1 if any differ by more than 1e-3.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from command import run
from models import asked, check_close
from shapes import shapes

TOKENS = 24


def check(slicegpt, model, scratch):
    config = json.loads((model / "config.json").read_text())
    rng = np.random.default_rng(1)
    ids = rng.integers(0, config["vocab_size"], (64, TOKENS), dtype=np.int32)
    tokens = scratch / "tokens.safetensors"
    save_file({"calibration": ids, "prompt": ids[:2]}, tokens)
    worst = 0.0
    for name, options in shapes(config):
        out, ours = scratch / "out", scratch / "logits.safetensors"
        run(
            slicegpt,
            "compress",
            model,
            "--out",
            out,
            "--force",
            "--device",
            "cpu",
            "--calibration",
            f"{tokens}:calibration",
            *options,
        )
        run(slicegpt, "logits", out, "--tokens", f"{tokens}:prompt", "--out", ours)
        ours = torch.from_numpy(load_file(ours)["logits"])
        theirs, info = AutoModelForCausalLM.from_pretrained(
            out, dtype=torch.float32, output_loading_info=True, attn_implementation="eager"
        )
        wrong = {key: value for key, value in info.items() if value and key != "error_msgs"}
        if wrong or (out / "config.json").read_text().find("slicegpt") >= 0:
            sys.exit(f"{model.name}, {name}: not a stock checkpoint: {wrong}")
        with torch.no_grad():
            logits = theirs(torch.from_numpy(ids[:2].astype(np.int64))).logits
        difference = (logits - ours).abs().max().item()
        worst = np.maximum(worst, difference)  # keeps a NaN, which `max` would drop
        kind = type(theirs).__name__
        tied = "tied" if config.get("tie_word_embeddings") else "untied"
        print(f"{model.name:24} {kind:20} {tied:7} {name:16} largest difference {difference:.1e}")
    return worst


def main():
    slicegpt, *models = asked(__doc__)
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as scratch:
        worst = np.max([check(slicegpt, Path(model), Path(scratch)) for model in models])
    check_close(worst)


if __name__ == "__main__":
    main()
