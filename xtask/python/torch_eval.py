#!/usr/bin/env python3
"""PyTorch's side of `cargo xtask bench eval`: the loss of a model in Hugging Face transformers on a
file of token ids, one sequence at a time.

    python torch_eval.py MODEL TOKENS.safetensors

Prints one JSON object: the seconds of the forwards and losses, without imports and loading, and the
mean negative log-likelihood.
"""

import json
import sys
import time

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM


def loss(model, ids):
    """The mean negative log-likelihood of a sequence, [1, tokens]."""
    logits = model(ids, use_cache=False).logits.float()
    return torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:]).item()


def main():
    directory, tokens = sys.argv[1:3]
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    model = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, trust_remote_code=True
    )
    model.eval()
    sequences = load_file(tokens)["input_ids"].long().split(1)
    with torch.inference_mode():
        # The first run allocates memory and does not count.
        loss(model, sequences[0])
        began = time.perf_counter()
        losses = [loss(model, ids) for ids in sequences]
        seconds = time.perf_counter() - began
    version = f"PyTorch {torch.__version__}, transformers {transformers.__version__}"
    nll = sum(losses) / len(losses)
    threads = torch.get_num_threads()
    print(json.dumps({"seconds": seconds, "nll": nll, "version": version, "threads": threads}))


if __name__ == "__main__":
    main()
