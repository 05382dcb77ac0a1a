#!/usr/bin/env python3
"""PyTorch's side of `slicegpt bench`: a model in Hugging Face transformers. It reads requests from
standard input as slicegpt's own worker processes do, one JSON object per line.

    slicegpt bench MODEL --beside "torch=python torch_bench.py MODEL [float32|bfloat16|float16]"
"""

import json
import resource
import sys
import time

import torch
import transformers
from transformers import AutoModelForCausalLM
from transformers.modeling_outputs import CausalLMOutputWithPast

# The name of the cache argument, which later versions changed.
CACHE = "cache" if "cache" in CausalLMOutputWithPast.__dataclass_fields__ else "past_key_values"


def tell(kind, value):
    print(json.dumps({kind: value}), flush=True)


def read(model, batch, tokens, cache=None):
    """The logits after the last token, and the cache."""
    ids = torch.randint(model.config.vocab_size, (batch, tokens))
    out = model(ids, **{CACHE: cache}, use_cache=True, logits_to_keep=1)
    return out.logits[:, -1].float(), out[CACHE]


def measure(model, order):
    cache = None
    if order["phase"] == "decode":
        logits, cache = read(model, order["batch"], order["context"])
        began = time.perf_counter()
        for _ in range(order["tokens"]):
            out = model(logits.argmax(-1, keepdim=True), **{CACHE: cache}, use_cache=True)
            logits, cache = out.logits[:, -1].float(), out[CACHE]
    else:
        began = time.perf_counter()
        read(model, order["batch"], order["tokens"])
    return time.perf_counter() - began


def main():
    directory, dtype = sys.argv[1], (sys.argv + ["float32"])[2]
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    model = AutoModelForCausalLM.from_pretrained(
        directory, dtype=getattr(torch, dtype), trust_remote_code=True
    )
    model.eval()
    about = f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"
    tell("ready", {"device": "cpu", "device_model": about, "weights": dtype})
    with torch.inference_mode():
        for line in sys.stdin:
            seconds = measure(model, json.loads(line))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            tell("measured", {"seconds": seconds, "peak_rss": peak})


if __name__ == "__main__":
    main()
