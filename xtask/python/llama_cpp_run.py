#!/usr/bin/env python3
"""Shows that what `slicegpt export gguf` writes runs in llama.cpp as it does here.

    llama_cpp_run.py SLICEGPT MODEL...

Each MODEL is a dense checkpoint directory. It is exported as it is, and cut by the shared method to
a few shapes, each axis by itself among them. A random model whose rows fill the blocks of K types
is exported as it is. The script checks:

- logits of llama.cpp against `slicegpt logits`, for float32, float16 and quantised files;
- greedy text: every token that llama.cpp writes has the largest of our logits, so our text is the
  same;
- token ids of an unusual text against Hugging Face's tokenizers, where the model has a tokenizer;
- quantised files against those that llama.cpp's own quantiser makes of the float32 file: the same
  type and the same bytes for every tensor.

The exit code is 1 if anything differs.
"""

import ctypes
import json
import shutil
import sys
import tempfile
from pathlib import Path

import llama_cpp
import numpy as np
from gguf import GGUFReader
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

import aligned
from command import run
from shapes import shapes

# The tolerance of logits for each type, as a fraction of their standard deviation.
LIMITS = {"f32": 1e-4, "f16": 5e-2}
FEW = ["f32", "f16", "q8_0"]
ALL = [
    *FEW,
    "q6_k",
    "q5_k_m",
    "q5_k_s",
    "q5_1",
    "q5_0",
    "q4_k_m",
    "q4_k_s",
    "q4_1",
    "q4_0",
    "q3_k_l",
    "q3_k_m",
    "q3_k_s",
    "q2_k",
]
PROMPT, NEW, CONTEXT = 24, 48, 256

# Position encodings that no fixture has, made by editing configs.
VARIANTS = {
    "phi3-longrope": {
        "short": {"original_max_position_embeddings": 4096, "max_position_embeddings": 8192}
    },
    "phi4-mini": {
        "longrope": {
            "original_max_position_embeddings": 16,
            "rope_scaling": {
                "type": "longrope",
                "long_factor": [1.1, 2.0, 1.7],
                "short_factor": [1.8, 2.1, 2.6],
            },
        }
    },
    "llama-yarn": {
        "own betas": {
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 4.0,
                "original_max_position_embeddings": 16,
                "beta_fast": 8,
                "beta_slow": 2,
                "attention_factor": 1.2,
            }
        }
    },
    "qwen2": {
        "yarn": {
            "rope_scaling": {
                "rope_type": "yarn",
                "factor": 4.0,
                "original_max_position_embeddings": 16,
                "attention_factor": 1.1,
            }
        },
        "llama3": {
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            }
        },
    },
}

TEXT = """Once upon a time, there was a little girl named Lily. She had 3 apples, \
12 pears and 100000 nuts.

  Two spaces,   three,\tand a tab.\r\n\r\nIt's  "quoted"; (1.5 + 2) * 3 = 10,5 -- don't you'LL see?
caf\u00e9 na\u00efve \u00dcber \u4f60\u597d \u3053\u3093\u306b\u3061\u306f \
\u0645\u0631\u062d\u0628\u0627 \U0001f600\U0001f469\u200d\U0001f680 e\u0301 \
x\u00a0y \ufeff<|x|> </s> <s>
"""


class Model:
    """A GGUF file in llama.cpp, on the CPU, with a float32 KV cache."""

    def __init__(self, path, context):
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), parameters)
        if not self.model:
            sys.exit(f"{path}: llama.cpp does not load it")
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.size = llama_cpp.llama_vocab_n_tokens(self.vocab)
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = context
        parameters.type_k = parameters.type_v = llama_cpp.GGML_TYPE_F32
        parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.n_threads = parameters.n_threads_batch = 2
        self.context = llama_cpp.llama_init_from_model(self.model, parameters)

    def close(self):
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)

    def logits(self, ids, start=0):
        """Logits of `ids` at positions from `start` on; earlier tokens are in the cache."""
        if start == 0:
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.logits[i] = int(token), start + i, 1
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
        if llama_cpp.llama_decode(self.context, batch):
            sys.exit("llama_decode failed")
        rows = [
            np.ctypeslib.as_array(
                llama_cpp.llama_get_logits_ith(self.context, i), (self.size,)
            ).copy()
            for i in range(len(ids))
        ]
        llama_cpp.llama_batch_free(batch)
        return np.stack(rows)

    def greedy(self, prompt, count):
        ids, row = list(prompt), self.logits(prompt)[-1]
        for _ in range(count):
            ids.append(int(row.argmax()))
            row = self.logits(ids[-1:], len(ids) - 1)[-1]
        return ids

    def tokenize(self, text):
        data = text.encode()
        out = (llama_cpp.llama_token * (len(data) + 16))()
        count = llama_cpp.llama_tokenize(self.vocab, data, len(data), out, len(out), True, True)
        return list(out[:count])

    def text(self, ids):
        pieces = b""
        buffer = ctypes.create_string_buffer(256)
        for token in ids:
            length = llama_cpp.llama_token_to_piece(
                self.vocab, token, buffer, len(buffer), 0, False
            )
            pieces += buffer.raw[:length]
        return pieces.decode(errors="replace")


def ours(slicegpt, model, ids, scratch):
    """Our logits, `[tokens, vocabulary]`."""
    tokens, out = scratch / "tokens.safetensors", scratch / "logits.safetensors"
    save_file({"input_ids": np.asarray([ids], dtype=np.int32)}, tokens)
    run(
        slicegpt,
        "logits",
        model,
        "--tokens",
        tokens,
        "--seqlen",
        len(ids),
        "--out",
        out,
        "--device",
        "cpu",
    )
    return load_file(out)["logits"][0]


def window(config):
    """The number of tokens that can attend to each other in every layer."""
    used = config["model_type"] in ("mistral", "phi3") or config.get("use_sliding_window")
    return used and config.get("sliding_window") or config["max_position_embeddings"]


def prompt_of(model, config):
    tokenizer = model / "tokenizer.json"
    if tokenizer.is_file():
        return Tokenizer.from_file(str(tokenizer)).encode("Once upon a time, there was a").ids
    return np.random.default_rng(1).integers(4, config["vocab_size"], PROMPT).tolist()


def check_tokens(model, loaded):
    """The first difference, and the number of tokens compared."""
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    text = TEXT
    if not any(token == "<0x0A>" or "\u0120" in token for token in tokenizer.get_vocab()):
        # Without byte tokens, llama.cpp cannot encode other characters.
        text = "".join(c for c in text if c in tokenizer.get_vocab() or c == " ")
    theirs, mine = loaded.tokenize(text), tokenizer.encode(text).ids
    if theirs == mine:
        return None, len(mine)
    at = next(i for i, (a, b) in enumerate(zip(theirs + [-1], mine + [-2])) if a != b)
    show = lambda ids: [tokenizer.id_to_token(i) for i in ids[max(0, at - 3) : at + 5]]
    return f"token {at}: llama.cpp {show(theirs)}, tokenizers {show(mine)}", len(mine)


def requantised(source, out):
    """The float32 file `source`, quantised by llama.cpp to the type of `out`."""
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype, parameters.nthread = GGUFReader(out).fields["general.file_type"].contents(), 2
    again = out.with_name("again.gguf")
    if llama_cpp.llama_model_quantize(
        str(source).encode(), str(again).encode(), ctypes.byref(parameters)
    ):
        sys.exit(f"llama.cpp cannot quantise {source}")
    return again


def differing(a, b):
    """The tensors whose type or bytes differ between two files."""
    a, b = ({tensor.name: tensor for tensor in GGUFReader(path).tensors} for path in (a, b))
    same = lambda name: a[name].tensor_type == b[name].tensor_type and np.array_equal(
        a[name].data, b[name].data
    )
    return [name for name in a.keys() | b.keys() if not (name in a and name in b and same(name))]


def check(slicegpt, model, name, kinds, scratch):
    config = json.loads((model / "config.json").read_text())
    failures, differences, types = [], [], set()
    seen = window(config)
    prompt = prompt_of(model, config)[: max(1, seen // 2)]
    count = min(NEW, seen - len(prompt))
    for kind in kinds:
        out = scratch / f"{kind}.gguf"
        export = json.loads(
            run(
                slicegpt, "export", "gguf", model, "--out", out, "--type", kind, "--force", "--json"
            )
        )
        types |= set(export["types"])
        loaded = Model(out, CONTEXT)
        if kind == "f32":
            ids = loaded.greedy(prompt, count)
            reference = ours(slicegpt, model, ids, scratch)
            spread = float(reference.std())
            own = reference.argmax(-1).tolist()
            same = sum(own[i] == ids[i + 1] for i in range(len(prompt) - 1, len(ids) - 1))
            if same != count:
                failures.append("greedy text")
            print(f"{name} (as {export['architecture']})")
            print(f"    greedy: {same} of {count} tokens the same")
            if (model / "tokenizer.json").is_file():
                wrong, tokens = check_tokens(model, loaded)
                failures += [wrong] if wrong else []
                print(f"    {loaded.text(ids)!r}")
                print(f"    tokens of an unusual text: {'not ' if wrong else ''}the same {tokens}")
        theirs = loaded.logits(ids)
        loaded.close()
        difference = float(np.abs(theirs - reference).max())
        first = float((theirs.argmax(-1) == reference.argmax(-1)).mean())
        differences.append(f"{kind} {difference:.1e} ({100 * first:.0f} %)")
        if not difference <= LIMITS.get(kind, np.inf) * spread:
            failures.append(f"logits as {kind}")
        if kind != "f32":
            # For float16 too: the rounding must be the same.
            other = differing(out, requantised(scratch / "f32.gguf", out))
            failures += [f"{len(other)} tensors as {kind}: {sorted(other)[:3]}"] if other else []
            out.unlink()
    print(f"    largest difference of logits (same first choice); their spread is {spread:.1f}:")
    print(f"      {', '.join(differences)}")
    print(f"    llama.cpp quantises the float32 file to the same bytes: {', '.join(sorted(types))}")
    for failure in failures:
        print(f"    DIFFERS: {failure}")
    return failures


def cuts(slicegpt, model, scratch):
    """The model cut to each of a few shapes, one after the other, with a name of the shape.

    The last of a trained model has a quarter of its parameters fewer.
    """
    config = json.loads((model / "config.json").read_text())
    calibration, wanted = [], list(shapes(config))
    if (model / "tokenizer.json").is_file():
        wanted.append(("a quarter", ["--keep-params", "0.75"]))
    else:
        tokens = scratch / "calibration.safetensors"
        ids = np.random.default_rng(1).integers(0, config["vocab_size"], (64, 24), dtype=np.int32)
        save_file({"input_ids": ids}, tokens)
        calibration = ["--calibration", tokens]
    out = scratch / f"{model.name}-cut"
    for shape, options in wanted:
        options = [*options, *calibration]
        run(slicegpt, "compress", model, "--out", out, "--force", "--device", "cpu", *options)
        yield shape, out


def changed(model, label, changes, scratch):
    out = scratch / f"{model.name}-{label.replace(' ', '-')}"
    shutil.copytree(model, out)
    config = json.loads((model / "config.json").read_text()) | changes
    (out / "config.json").write_text(json.dumps(config))
    return out


def main():
    slicegpt, *models = sys.argv[1:]
    if not models:
        sys.exit(__doc__)
    silent = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(silent, None)
    print(f"llama-cpp-python {llama_cpp.__version__}")
    failures = []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        failures += check(
            slicegpt, aligned.write(scratch / "aligned"), "rows of whole blocks", ALL, scratch
        )
        for model in map(Path, models):
            kinds = ALL if (model / "tokenizer.json").is_file() else FEW
            dense = [(model.name, model)]
            dense += [
                (f"{model.name}, {label}", changed(model, label, changes, scratch))
                for label, changes in VARIANTS.get(model.name, {}).items()
            ]
            for name, model in dense:
                failures += check(slicegpt, model, name, kinds, scratch)
                for shape, small in cuts(slicegpt, model, scratch):
                    types = kinds if shape in ("stream and MLP", "a quarter") else ["f32"]
                    failures += check(slicegpt, small, f"{name}, cut: {shape}", types, scratch)
    if failures:
        sys.exit(f"{len(failures)} things differ: see above")


if __name__ == "__main__":
    main()
