#!/usr/bin/env python3
"""Shows that LoRA adapters are those of PEFT, in both directions.

    adapters.py SLICEGPT RANDOM_ADAPTER MODEL...

Each MODEL is a dense checkpoint directory; it is also sliced, and adapters are made for the result.
PEFT makes adapters of several kinds with random values, and `slicegpt merge` adds them to the
model: the merged checkpoint must have the logits of the PeftModel, in transformers and in
`slicegpt logits`. RANDOM_ADAPTER writes an adapter with this project's code: PEFT must load it
without a complaint and compute the same. The exit code is 1 if logits differ by more than 1e-5 of
the largest one.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import peft
import torch
import transformers
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from command import run

TOKENS = 24
TOLERANCE = 1e-5


def linears(model):
    """The last components of the names of linear modules in blocks, in order."""
    found = []
    for name, module in model.named_modules():
        last = name.rsplit(".", 1)[-1]
        if isinstance(module, torch.nn.Linear) and "layers." in name and last not in found:
            found.append(last)
    return found


def kinds(model):
    """Arguments of LoraConfig by the name of the case."""
    names = linears(model)
    first, last = names[0], names[-1]
    embedding = next(
        name for name, part in model.named_modules() if part is model.get_input_embeddings()
    )
    norm = [name for name, _ in model.named_modules() if name.endswith("norm")][-1]
    return {
        "plain": dict(r=4, lora_alpha=8, target_modules=names),
        "pattern": dict(r=4, lora_alpha=3, target_modules=rf".*\.({first}|{last})"),
        "ranks": dict(
            r=4,
            lora_alpha=8,
            target_modules=[first, last],
            use_rslora=True,
            rank_pattern={last: 2, rf"layers\.1\..*{first}": 6},
            alpha_pattern={first: 5, last: 2.5},
        ),
        "some layers": dict(
            r=2,
            target_modules=names,
            layers_to_transform=[0, 2],
            exclude_modules=[first],
            init_lora_weights="gaussian",
        ),
        "biases": dict(r=2, target_modules=[last], bias="lora_only"),
        "all biases": dict(r=2, target_modules="all-linear", bias="all"),
        "saved modules": dict(r=2, target_modules=[first], modules_to_save=["lm_head", norm]),
        "embedding": dict(r=2, target_modules=[first, embedding.rsplit(".", 1)[-1]]),
        "head": dict(r=2, target_modules=[first, "lm_head"]),
    }


def randomise(model, seed):
    """Random values for everything that is trained, near those that are there."""
    torch.manual_seed(seed)
    for name, value in model.named_parameters():
        if value.requires_grad:
            scale = 0.1 if "lora_" in name else 0.02
            value.data += scale * torch.randn_like(value)


def load(source):
    return AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.float32, attn_implementation="eager", trust_remote_code=True
    ).eval()


def logits(model, ids):
    with torch.no_grad():
        return model(torch.from_numpy(ids.astype(np.int64))).logits


class Check:
    """Compares logits of one model with all adapters."""

    def __init__(self, slicegpt, source, scratch):
        self.slicegpt, self.source, self.scratch = slicegpt, source, scratch
        config = json.loads((source / "config.json").read_text())
        rng = np.random.default_rng(1)
        self.ids = rng.integers(0, config["vocab_size"], (2, TOKENS), dtype=np.int32)
        self.tokens = scratch / "tokens.safetensors"
        save_file({"prompt": self.ids}, self.tokens)
        self.base = logits(load(source), self.ids)
        self.worst = 0.0

    def merged(self, name, adapter, expected):
        """Merges `adapter` and compares the result with `expected`."""
        out, file = self.scratch / "out", self.scratch / "logits.safetensors"
        options = ["--out", out, "--dtype", "f32", "--force", "--json"]
        summary = json.loads(run(self.slicegpt, "merge", self.source, adapter, *options))
        options = ["--tokens", f"{self.tokens}:prompt", "--out", file, "--device", "cpu"]
        run(self.slicegpt, "logits", out, *options)
        model = load(out)
        size = expected.abs().max().item()
        ours = torch.from_numpy(load_file(file)["logits"])
        both = logits(model, self.ids), ours
        worst = [(got - expected).abs().max().item() / size for got in both]
        moved = (expected - self.base).abs().max().item() / size
        print(
            f"{self.source.name:22} {name:14} {summary['merged']:3} merged "
            f"{summary['replaced']:3} replaced, changes logits by {moved:.1e}: "
            f"differs by {worst[0]:.1e} in transformers, {worst[1]:.1e} here",
            flush=True,
        )
        if not moved > 1e-3:
            sys.exit(f"{name}: the adapter changes nothing, which shows nothing")
        self.worst = np.max([self.worst, *worst])

    def from_peft(self, names=None):
        for seed, name in enumerate(names or kinds(load(self.source))):
            model = load(self.source)
            options = kinds(model)[name]
            config = peft.LoraConfig(task_type="CAUSAL_LM", **options)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = peft.get_peft_model(model, config).eval()
                randomise(model, seed)
                adapter = self.scratch / "adapter"
                model.save_pretrained(adapter)
            self.merged(name, adapter, logits(model, self.ids))

    def to_peft(self, random_adapter):
        adapter = self.scratch / "ours"
        run(random_adapter, self.source, adapter)
        with warnings.catch_warnings():
            # PEFT warns about keys that are missing or not expected.
            warnings.simplefilter("error", category=UserWarning)
            model = peft.PeftModel.from_pretrained(load(self.source), adapter).eval()
        self.merged("made here", adapter, logits(model, self.ids))


def sliced(slicegpt, model, scratch):
    """The model cut by the shared method: stock, or with the code next to it."""
    config = json.loads((model / "config.json").read_text())
    rng = np.random.default_rng(2)
    ids = rng.integers(0, config["vocab_size"], (32, TOKENS), dtype=np.int32)
    tokens, out = scratch / "calibration.safetensors", scratch / f"{model.name} sliced"
    save_file({"input_ids": ids}, tokens)
    options = ["--out", out, "--hidden-size", "112", "--calibration", tokens, "--device", "cpu"]
    run(slicegpt, "compress", model, *options)
    return out


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    slicegpt, random_adapter, *models = sys.argv[1:]
    print(f"peft {peft.__version__}, transformers {transformers.__version__}")
    worst = 0.0
    for model in models:
        with tempfile.TemporaryDirectory() as scratch:
            check = Check(slicegpt, Path(model), Path(scratch))
            check.from_peft()
            check.to_peft(random_adapter)
            small = Check(slicegpt, sliced(slicegpt, Path(model), Path(scratch)), Path(scratch))
            small.from_peft(["plain", "ranks"])
            small.to_peft(random_adapter)
            worst = np.max([worst, check.worst, small.worst])
    if not worst <= TOLERANCE:
        sys.exit(f"logits differ by {worst:.1e} of the largest, more than {TOLERANCE:.0e}")


if __name__ == "__main__":
    main()
