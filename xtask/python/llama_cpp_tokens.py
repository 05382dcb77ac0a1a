#!/usr/bin/env python3
"""Shows that llama.cpp tokenizes as tokenizer.json does, for every kind of tokenizer that
`slicegpt export gguf` supports.

    llama_cpp_tokens.py SLICEGPT TEXT

Tokenizers of each kind are trained on TEXT with Hugging Face's tokenizers and exported with a
random model. The exit code is 1 if any token of TEXT, or of an unusual text, differs.
"""

import json
import sys
import tempfile
from pathlib import Path

import llama_cpp
from gguf import GGUFReader
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

import aligned
from llama_cpp_run import CONTEXT, TEXT, Model, run

C = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
END = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+<c>|"
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*<c>|\p{{N}}<n>{END}"
)
WORDS = (
    C + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# The expressions that split a text, in order; None is the built-in expression of GPT-2.
SPLITS = {
    "gpt-2": [None],
    "smollm": ["digits", None],
    "llama-bpe": [WORDS.replace("DIGITS", "{1,3}")],
    "smaug-bpe": [WORDS.replace("DIGITS", "{1,3}")],
    "qwen2": [WORDS.replace("DIGITS", "")],
    "gpt-4o": [GPT4O.replace("<c>", C + "?").replace("<n>", "{1,3}")],
    "tekken": [GPT4O.replace("<c>", "").replace("<n>", "")],
    "deepseek-coder": [
        r"[\r\n]",
        r"\s?\p{L}+",
        r"\s?\p{P}+",
        "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+",
        "digits",
    ],
    "deepseek-v3": [
        r"\p{N}{1,3}",
        "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
        "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
        "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
        " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
    ],
}


def byte_level(name):
    tokenizer = Tokenizer(models.BPE(ignore_merges=name == "llama-bpe"))
    steps = []
    for split in SPLITS[name]:
        if split == "digits":
            steps.append(pre_tokenizers.Digits(individual_digits=True))
        elif split is not None:
            steps.append(pre_tokenizers.Split(Regex(split), "isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=None in SPLITS[name]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer, dict(
        special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )


def sentence_piece(scheme):
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    if scheme == "legacy":
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    return tokenizer, dict(
        special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)],
        limit_alphabet=200,
    )


def train(tokenizer, options, lines, vocabulary):
    tokenizer.train_from_iterator(
        lines, trainers.BpeTrainer(vocab_size=vocabulary, show_progress=False, **options)
    )
    if tokenizer.model.unk_token:
        # Bytes were passed as special tokens to get into the vocabulary; they are ordinary tokens.
        settings = json.loads(tokenizer.to_str())
        settings["added_tokens"] = [
            token for token in settings["added_tokens"] if not token["content"].startswith("<0x")
        ]
        tokenizer = Tokenizer.from_str(json.dumps(settings))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    tokenizer.add_tokens([AddedToken("<|mine|>", special=True), AddedToken("two  words")])
    return tokenizer


def main():
    slicegpt, path = sys.argv[1:]
    silent = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(silent, None)
    text = Path(path).read_text()
    lines = (text + 3 * TEXT).splitlines(keepends=True)
    failures = 0
    kinds = {name: (name, byte_level(name)) for name in SPLITS}
    kinds |= {
        f"SentencePiece, {scheme}": ("default", sentence_piece(scheme))
        for scheme in ["legacy", "first", "never"]
    }
    with tempfile.TemporaryDirectory() as scratch:
        for name, (pre, (tokenizer, options)) in kinds.items():
            model = aligned.write(Path(scratch) / name, layers=1, vocabulary=1200)
            tokenizer = train(tokenizer, options, lines, 1000)
            tokenizer.save(str(model / "tokenizer.json"))
            (model / "tokenizer_config.json").write_text(
                json.dumps({"bos_token": "<s>", "eos_token": "</s>"})
            )
            out = Path(scratch) / "model.gguf"
            run(slicegpt, "export", "gguf", model, "--out", out, "--type", "q8_0", "--force")
            detected = GGUFReader(out).fields["tokenizer.ggml.pre"].contents()
            loaded = Model(out, CONTEXT)
            wrong = [] if detected == pre else [f"detected as {detected}"]
            count = 0
            pieces = [TEXT, "two  words<|mine|> and  two words", " ", "\n\n", *text.split("\n\n")]
            if name.endswith("first"):
                # llama.cpp adds a space before a text that begins with one or follows a special
                # token; the export warns of it.
                pieces = [
                    piece.replace("</s> <s>", "")
                    for piece in pieces
                    if "<|mine|>" not in piece and not piece.startswith(" ")
                ]
            for piece in pieces:
                theirs, mine = loaded.tokenize(piece), tokenizer.encode(piece).ids
                count += len(mine)
                if theirs != mine:
                    at = next(
                        i for i, (a, b) in enumerate(zip(theirs + [-1], mine + [-2])) if a != b
                    )
                    show = lambda ids: [
                        tokenizer.id_to_token(i) for i in ids[max(0, at - 2) : at + 4]
                    ]
                    wrong.append(f"llama.cpp {show(theirs)}, tokenizers {show(mine)}")
            loaded.close()
            failures += len(wrong)
            print(f"{name:24} {count} tokens: {'alike' if not wrong else wrong[:2]}")
    if failures:
        sys.exit(f"{failures} things differ: see above")


if __name__ == "__main__":
    main()
