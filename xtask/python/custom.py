#!/usr/bin/env python3
"""Shows that checkpoints which `slicegpt compress` writes in its own layout run in Hugging Face
transformers with the code next to their weights (`trust_remote_code=True`).

    custom.py SLICEGPT MODEL...

Each MODEL is a dense checkpoint directory. It is cut in every way that leaves its family. Then the
logits of transformers, with its default and with eager attention, must be those of `slicegpt
logits`; `generate` must take the most likely token at every step, with and without a cache, and on
a padded batch; and what `save_pretrained` writes must load again, in transformers and in slicegpt,
and compute the same. The exit code is 1 if anything differs.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from command import run
from models import asked, check_close

TOKENS, NEW = 24, 12


def shapes(config):
    """Ways to cut that leave the family: shortcuts always, a shared basis only for LayerNorm."""
    centers = config["model_type"] in ("opt", "phi")
    yield "per layer", ["--method", "per-layer", "--sparsity", "0.25", "--round-to", "1"]
    yield "per layer, uncut", ["--method", "per-layer", "--sparsity", "0"]
    yield "per layer, refit", ["--method", "per-layer", "--sparsity", "0.3", "--refit", "ridge"]
    if centers:
        yield "shared", ["--keep-params", "0.8"]
        yield "shared, untied", ["--keep-params", "0.8", "--head", "untied"]
        yield "shared, full width", ["--hidden-size", str(config["hidden_size"])]
        half = str(config["num_attention_heads"] // 2)
        yield "shared, heads", ["--kv-heads", half]
        if config["num_hidden_layers"] > 2:
            yield "shared, layers", ["--keep-layers", "2", "--kv-heads", half]
    else:
        narrow, inner = config["hidden_size"] * 3 // 4, config["intermediate_size"] * 3 // 4
        yield "shared, free MLPs", [
            "--hidden-size",
            str(narrow),
            "--intermediate-size",
            str(inner),
            "--mlp-widths",
            "free",
            "--round-to",
            "1",
        ]


def load(directory, kind=AutoModelForCausalLM, **options):
    model, info = kind.from_pretrained(
        directory, trust_remote_code=True, dtype=torch.float32, output_loading_info=True, **options
    )
    wrong = {key: value for key, value in info.items() if value and key != "error_msgs"}
    if wrong and kind is AutoModelForCausalLM:
        sys.exit(f"{directory}: {wrong}")
    return model.eval()


def ours(slicegpt, model, ids, scratch):
    tokens, out = scratch / "ids.safetensors", scratch / "logits.safetensors"
    save_file({"ids": ids.numpy().astype(np.int32)}, tokens)
    run(slicegpt, "logits", model, "--tokens", f"{tokens}:ids", "--out", out)
    return torch.from_numpy(load_file(out)["logits"])


def difference(a, b):
    worst = (a - b).abs().max().item()
    return worst if worst == worst else float("inf")


def greedy(slicegpt, directory, model, ids, scratch):
    """The largest gap, in our logits, between the best token and the one that `generate` took."""
    # The end-of-text token is an ordinary token here.
    model.generation_config.eos_token_id = None
    options = dict(max_new_tokens=NEW, do_sample=False, pad_token_id=0)
    mask = torch.ones_like(ids)
    plain = model.generate(ids, attention_mask=mask, use_cache=False, **options)
    cached = model.generate(ids, attention_mask=mask, **options)
    if not torch.equal(plain, cached):
        sys.exit(f"{directory}: generate is not the same with and without its cache")
    # One row is shorter: it is padded on the left.
    short = torch.cat([torch.zeros_like(ids[:1, :5]), ids[1:2, 5:]], 1)
    batch = torch.cat([ids[:1], short])
    mask = torch.ones_like(batch)
    mask[1, :5] = 0
    padded = model.generate(batch, attention_mask=mask, **options)
    alone = model.generate(ids[1:2, 5:], attention_mask=torch.ones_like(ids[1:2, 5:]), **options)
    if not torch.equal(padded[0], cached[0]) or not torch.equal(padded[1, 5:], alone[0]):
        sys.exit(f"{directory}: generate is not the same in a padded batch")
    logits = ours(slicegpt, directory, cached, scratch)[:, TOKENS - 1 : -1]
    taken = logits.gather(-1, cached[:, TOKENS:, None])[..., 0]
    return (logits.max(-1).values - taken).max().item()


def check(slicegpt, source, scratch):
    config = json.loads((source / "config.json").read_text())
    rng = np.random.default_rng(1)
    vocab = config["vocab_size"]
    ids = rng.integers(3, vocab, (64, TOKENS), dtype=np.int32)
    tokens = scratch / "tokens.safetensors"
    save_file({"calibration": ids}, tokens)
    prompt = torch.from_numpy(ids[:2].astype(np.int64))
    worst = 0.0
    for name, options in shapes(config):
        out, again = scratch / "out", scratch / "again"
        run(
            slicegpt,
            "compress",
            source,
            "--out",
            out,
            "--force",
            "--device",
            "cpu",
            "--calibration",
            f"{tokens}:calibration",
            *options,
        )
        expected = ours(slicegpt, out, prompt, scratch)
        found = []
        with torch.no_grad():
            model = load(out)
            found.append(difference(model(prompt).logits, expected))
            found.append(
                difference(load(out, attn_implementation="eager")(prompt).logits, expected)
            )
            base = load(out, AutoModel)
            hidden = base(prompt).last_hidden_state
            found.append(difference(model.get_output_embeddings()(hidden), expected))
            found.append(max(0.0, greedy(slicegpt, out, model, prompt, scratch)))
            if config["model_type"] == "opt":
                # Its positions count the tokens that are kept.
                rows = prompt.clone()
                mask = torch.ones_like(rows)
                rows[0, :4], mask[0, :4] = 1, 0
                whole = model(rows, attention_mask=mask).logits[0, 4:]
                found.append(difference(whole, model(rows[:1, 4:]).logits[0]))
        # Training reaches every parameter.
        model(prompt, labels=prompt).loss.backward()
        idle = [key for key, value in model.named_parameters() if value.grad is None]
        if idle:
            sys.exit(f"{source.name}, {name}: no gradient for {idle}")
        model.save_pretrained(again)
        saved = AutoConfig.from_pretrained(again, trust_remote_code=True)
        assert saved.slicegpt == model.config.slicegpt
        with torch.no_grad():
            found.append(difference(load(again)(prompt).logits, expected))
        found.append(difference(ours(slicegpt, again, prompt, scratch), expected))
        worst = max(worst, *found)
        shown = " ".join(f"{value:.0e}" for value in found)
        print(f"{source.name:24} {name:20} {shown}", flush=True)
    return worst


def main():
    slicegpt, *models = asked(__doc__)
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
    print(f"{versions}, code of the checkpoint")
    print(
        "largest differences: logits, eager, base model, greedy token below the best, ..., "
        "saved, read back"
    )
    with tempfile.TemporaryDirectory() as scratch:
        worst = max(check(slicegpt, Path(model), Path(scratch)) for model in models)
    check_close(worst)


if __name__ == "__main__":
    main()
