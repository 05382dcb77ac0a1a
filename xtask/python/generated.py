#!/usr/bin/env python3
"""Shows that `slicegpt generate` writes the same greedy text as Hugging Face transformers.

    generated.py SLICEGPT MODEL...

Each MODEL is a dense checkpoint directory with a tokenizer. It is run as it is, cut by the shared
method, and cut per layer. A cut model that left its family runs with the code next to its weights.
The exit code is 1 if a text differs.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from command import run
from models import asked

PROMPTS = ["Once upon a time", "The little dog was sad because", "Lily and Tom went to the park."]
NEW = 48
CUTS = {
    "shared": ["--keep-params", "0.75"],
    "per layer": ["--method", "per-layer", "--sparsity", "0.25"],
}


def check(slicegpt, directory, name):
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(
        directory, trust_remote_code=True, dtype=torch.float32
    ).eval()
    for prompt in PROMPTS:
        ours = run(
            slicegpt,
            "generate",
            directory,
            "--prompt",
            prompt,
            "-n",
            NEW,
            "--temperature",
            0,
            "--device",
            "cpu",
            "--json",
        )
        ours = json.loads(ours)
        inputs = tokenizer(prompt, return_tensors="pt")
        inputs.pop("token_type_ids", None)
        with torch.no_grad():
            theirs = model.generate(**inputs, max_new_tokens=NEW, do_sample=False)
        theirs = theirs[0, inputs["input_ids"].shape[1] :].tolist()
        if ours["token_ids"] != theirs:
            sys.exit(f"{name}: {prompt!r} goes on otherwise:\n{ours}\n{tokenizer.decode(theirs)!r}")
    print(f"{name:28} {type(model).__name__:22} {prompt + ours['text'][:48]!r}", flush=True)


def main():
    slicegpt, *models = asked(__doc__)
    version = transformers.__version__
    print(f"transformers {version}: greedy text, {len(PROMPTS)} prompts, {NEW} tokens")
    with tempfile.TemporaryDirectory() as scratch:
        for model in map(Path, models):
            check(slicegpt, model, f"{model.name}, dense")
            for cut, options in CUTS.items():
                out = Path(scratch) / "out"
                run(
                    slicegpt,
                    "compress",
                    model,
                    "--out",
                    out,
                    "--force",
                    "--device",
                    "cpu",
                    "--samples",
                    32,
                    "--seqlen",
                    128,
                    *options,
                )
                check(slicegpt, out, f"{model.name}, {cut}")


if __name__ == "__main__":
    main()
