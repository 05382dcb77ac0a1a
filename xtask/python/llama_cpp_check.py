#!/usr/bin/env python3
"""Shows that what `slicegpt export gguf` writes runs in llama.cpp as it does here.

    llama_cpp_check.py SLICEGPT MODEL...

Each MODEL is a checkpoint directory, dense or stock. It is taken as it is, and cut by the shared
method; both are exported. Needs llama-cpp-python, tokenizers, safetensors and numpy. Checked are:

- logits of llama.cpp against `slicegpt logits`, for float32, float16 and quantised files;
- greedy text: our logits on the text that llama.cpp writes have its every token as their largest, so
  that ours is the same;
- token ids of a strange text against Hugging Face's tokenizers, where the model has a tokenizer;
- quantised files against those that llama.cpp's own quantiser makes of the float32 file: the same
  type and the same bytes for every tensor.

The exit code is 1 if anything differs.
"""

import ctypes
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import llama_cpp
import numpy as np
from gguf import GGUFReader
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

# Largest difference of logits, as a fraction of their spread (standard deviation), and what must hold of
# a type.
EXACT = {"f32": 1e-3, "f16": 2e-2}
QUANTISED = ["q8_0", "q4_0", "q5_1", "q6_k", "q5_k_m", "q4_k_m", "q4_k_s", "q3_k_m", "q2_k"]
PROMPT, NEW = 24, 48

TEXT = """Once upon a time, there was a little girl named Lily. She had 3 apples, 12 pears and 100000 nuts.

  Two spaces,   three,\tand a tab.\r\n\r\nIt's  "quoted"; (1.5 + 2) * 3 = 10,5 -- don't you'LL see?
caf\u00e9 na\u00efve \u00dcber \u4f60\u597d \u3053\u3093\u306b\u3061\u306f \u0645\u0631\u062d\u0628\u0627 \U0001f600\U0001f469\u200d\U0001f680 e\u0301 x\u00a0y \ufeff<|x|> </s> <s>
"""


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


class Model:
    """A GGUF file in llama.cpp, on the processor, with float32 for keys and values."""

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
        """Logits of `ids` at positions from `start` on, those before being known already."""
        if start == 0:
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.logits[i] = int(token), start + i, 1
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
        if llama_cpp.llama_decode(self.context, batch):
            sys.exit("llama_decode failed")
        rows = [np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self.context, i), (self.size,)).copy()
                for i in range(len(ids))]
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
            length = llama_cpp.llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, False)
            pieces += buffer.raw[:length]
        return pieces.decode(errors="replace")


def ours(slicegpt, model, ids, scratch):
    """Our logits, `[tokens, vocabulary]`."""
    tokens, out = scratch / "tokens.safetensors", scratch / "logits.safetensors"
    save_file({"input_ids": np.asarray([ids], dtype=np.int32)}, tokens)
    run(slicegpt, "logits", model, "--tokens", tokens, "--seqlen", len(ids), "--out", out, "--device", "cpu")
    return load_file(out)["logits"][0]


def window(config):
    """How many tokens see each other in every layer."""
    windows = [config[key] for key in ["sliding_window"] if config.get(key)]
    used = config["model_type"] in ("mistral", "phi3") or config.get("use_sliding_window")
    return min(windows) if windows and used else config["max_position_embeddings"]


def prompt_of(model, config):
    tokenizer = model / "tokenizer.json"
    if tokenizer.is_file():
        return Tokenizer.from_file(str(tokenizer)).encode("Once upon a time, there was a").ids
    return np.random.default_rng(1).integers(4, config["vocab_size"], PROMPT).tolist()


def check_tokens(model, loaded):
    path = model / "tokenizer.json"
    if not path.is_file():
        return None
    tokenizer = Tokenizer.from_file(str(path))
    text = TEXT
    if not any("<0x0A>" == token or "\u0120" in token for token in tokenizer.get_vocab()):
        # Without tokens for bytes llama.cpp has nothing for other characters.
        known = set(tokenizer.get_vocab()) | {" "}
        text = "".join(c for c in text if c in known)
    theirs, mine = loaded.tokenize(text), tokenizer.encode(text).ids
    if theirs != mine:
        at = next(i for i, (a, b) in enumerate(zip(theirs + [-1], mine + [-2])) if a != b)
        show = lambda ids: [tokenizer.id_to_token(i) for i in ids[max(0, at - 3):at + 5]]
        return f"token {at}: llama.cpp {show(theirs)}, tokenizers {show(mine)}"
    return len(mine)


def requantised(source, out, number):
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype, parameters.nthread = number, 2
    if llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(parameters)):
        sys.exit(f"llama.cpp cannot quantise {source}")


def same_tensors(a, b):
    """How many tensors of two files have another type or other bytes, of how many."""
    a, b = ({tensor.name: tensor for tensor in GGUFReader(path).tensors} for path in (a, b))
    differ = [name for name in a
              if name not in b or a[name].tensor_type != b[name].tensor_type or not np.array_equal(a[name].data, b[name].data)]
    return len(differ) + len(set(b) - set(a)), len(a), differ[:3]


def check(slicegpt, model, name, scratch):
    config = json.loads((model / "config.json").read_text())
    failures = []
    prompt = prompt_of(model, config)
    seen = window(config)
    prompt = prompt[:max(1, seen // 2)]
    count = min(NEW, seen - len(prompt), config["max_position_embeddings"] - len(prompt))
    original = config.get("original_max_position_embeddings") or 0
    context = config["max_position_embeddings"]
    if config.get("rope_scaling") and "long_factor" in config["rope_scaling"]:
        # llama.cpp chooses the factors by its context, transformers and slicegpt by the sequence.
        context = original
        count = min(count, original - len(prompt))
    reference = None
    line = []
    for kind in [*EXACT, *QUANTISED]:
        out = scratch / f"{kind}.gguf"
        result = json.loads(run(slicegpt, "export", "gguf", model, "--out", out, "--type", kind, "--force", "--json"))
        loaded = Model(out, context)
        if reference is None:
            ids = loaded.greedy(prompt, count)
            reference = ours(slicegpt, model, ids, scratch)
            agrees = sum(int(reference[i].argmax()) == ids[i + 1] for i in range(len(prompt) - 1, len(ids) - 1))
            print(f"{name:28} as {result['architecture']}: {agrees} of {count} greedy tokens are ours too")
            if agrees != count:
                failures.append("greedy text")
            tokens = check_tokens(model, loaded)
            if isinstance(tokens, str):
                failures.append("tokens")
            if tokens:
                print(f"{'':28} {loaded.text(ids)!r}\n{'':28} tokens of a strange text: {tokens} {'' if isinstance(tokens, str) else 'alike'}")
        theirs = loaded.logits(ids)
        loaded.close()
        difference = float(np.abs(theirs - reference).max())
        spread = float(reference.std())
        top = float((theirs.argmax(-1) == reference.argmax(-1)).mean())
        line.append(f"{kind} {difference:.1e} ({100 * top:.0f} %)")
        if kind in EXACT and not difference <= EXACT[kind] * spread:
            failures.append(f"logits as {kind}")
        if kind in QUANTISED:
            numbers = {field: GGUFReader(out).fields["general.file_type"].contents() for field in ["n"]}
            again = scratch / "again.gguf"
            requantised(scratch / "f32.gguf", again, numbers["n"])
            differ, total, which = same_tensors(out, again)
            if differ:
                failures.append(f"{differ} of {total} tensors as {kind}: {which}")
            if kind == "q4_k_m":
                fell = len(result["fallbacks"])
        out.unlink() if kind != "f32" else None
    print(f"{'':28} largest difference of logits (same first choice), of a spread of {spread:.1f}: {', '.join(line)}")
    print(f"{'':28} llama.cpp's own quantiser makes the same files; {fell} tensors fell back as q4_k_m")
    for failure in failures:
        print(f"{'':28} DIFFERS: {failure}")
    return failures


def cuts(config, trained):
    if trained:
        yield "75 %", ["--keep-params", "0.75"]
        return
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    yield "cut", ["--hidden-size", hidden * 3 // 4 // heads * heads, "--intermediate-size", config["intermediate_size"] * 4 // 5]


def main():
    slicegpt, *models = sys.argv[1:]
    if not models:
        sys.exit(__doc__)
    silent = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(silent, None)
    print(f"llama-cpp-python {llama_cpp.__version__}")
    failures = []
    for model in map(Path, models):
        with tempfile.TemporaryDirectory() as scratch:
            scratch = Path(scratch)
            failures += check(slicegpt, model, model.name, scratch)
            config = json.loads((model / "config.json").read_text())
            trained = (model / "tokenizer.json").is_file()
            calibration = []
            if not trained:
                ids = np.random.default_rng(1).integers(0, config["vocab_size"], (64, 24), dtype=np.int32)
                save_file({"input_ids": ids}, scratch / "calibration.safetensors")
                calibration = ["--calibration", scratch / "calibration.safetensors"]
            for cut, options in cuts(config, trained):
                out = scratch / "cut"
                run(slicegpt, "compress", model, "--out", out, "--device", "cpu", *calibration, *options)
                failures += check(slicegpt, out, f"{model.name}, {cut}", scratch)
    if failures:
        sys.exit(f"{len(failures)} things differ: see above")


if __name__ == "__main__":
    main()
