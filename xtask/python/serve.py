#!/usr/bin/env python3
"""Shows that `slicegpt serve` works with existing clients: the OpenAI Python client and
lm-evaluation-harness's `local-completions`.

    serve.py SLICEGPT MODEL TEXT

MODEL is a checkpoint directory with a tokenizer, TEXT a file of stories. The responses are compared
with `slicegpt generate` and `slicegpt logits`. The exit code is 1 at the first difference.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import openai
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.tasks import TaskManager
from safetensors.numpy import load_file, save_file

PROMPTS = ["Once upon a time, there was a little", "Tom and Lily", "The dog was", "One day"]
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
CONCURRENT = 200
TOLERANCE = 1e-3


class Server:
    """A process of `slicegpt serve`, which ends as after Ctrl-C."""

    def __init__(self, slicegpt, model, *options):
        command = [slicegpt, "serve", model, "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.name, self.url = re.fullmatch(r"(.*): (http://\S+/v1)\n", line).groups()

    def client(self, **more):
        return openai.OpenAI(base_url=self.url, api_key="none", **more)

    def peak(self):
        """The peak resident set size in bytes; only Linux reports it."""
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            return None
        return int(re.search(r"VmHWM:\s*(\d+) kB", status.read_text()).group(1)) * 1024

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        assert failure[0] or code == 0, f"the server ended with {code}"


def generated(slicegpt, model, prompt, tokens):
    command = [slicegpt, "generate", model, "--prompt", prompt, "-n", str(tokens), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def check_completions(server, slicegpt, model):
    client = server.client()
    assert [found.id for found in client.models.list()] == [server.name]
    assert client.models.retrieve(server.name).id == server.name
    asked = {"model": server.name, "max_tokens": 40, "temperature": 0}
    for prompt in PROMPTS:
        want = generated(slicegpt, model, prompt, 40)
        found = client.completions.create(prompt=prompt, **asked)
        assert found.choices[0].text == want["text"], (found, want)
        assert found.choices[0].finish_reason == want["finish_reason"]
        assert found.usage.completion_tokens == want["generated_tokens"]
        assert found.usage.prompt_tokens == want["prompt_tokens"]
        options = {"stream": True, "stream_options": {"include_usage": True}}
        parts = list(client.completions.create(prompt=prompt, **asked, **options))
        assert "".join(c.text for part in parts for c in part.choices) == want["text"]
        assert parts[-1].usage == found.usage and len(parts) > 3
    several = client.completions.create(prompt=PROMPTS, n=2, **asked)
    assert [choice.index for choice in several.choices] == list(range(2 * len(PROMPTS)))
    told = client.completions.create(prompt=PROMPTS[0], logprobs=3, echo=True, **asked)
    logprobs = told.choices[0].logprobs
    assert logprobs.token_logprobs[0] is None and logprobs.top_logprobs[0] is None
    for offset, token in zip(logprobs.text_offset[1:], logprobs.tokens[1:]):
        if "\ufffd" not in token and not token.startswith("<"):
            assert told.choices[0].text[offset:].startswith(token)
    print("openai: completions, streams, several prompts, logprobs", flush=True)


def check_chat(server):
    client = server.client()
    asked = {"model": server.name, "max_tokens": 40, "temperature": 0}
    messages = [
        {"role": "system", "content": "Once upon a time"},
        {"role": "user", "content": ", there was a little"},
    ]
    # The template adds no special tokens.
    extra = {"add_special_tokens": False}
    want = client.completions.create(prompt=PROMPTS[0], extra_body=extra, **asked).choices[0].text
    found = client.chat.completions.create(
        messages=messages, logprobs=True, top_logprobs=2, **asked
    )
    assert found.choices[0].message.content == want
    assert found.choices[0].message.role == "assistant"
    content = found.choices[0].logprobs.content
    assert all(len(token.top_logprobs) == 2 for token in content)
    assert "".join(token.token for token in content) == want
    parts = list(client.chat.completions.create(messages=messages, stream=True, **asked))
    assert parts[0].choices[0].delta.role == "assistant"
    assert "".join(part.choices[0].delta.content or "" for part in parts) == want
    assert parts[-1].choices[0].finish_reason == found.choices[0].finish_reason
    print("openai: chat, streamed, logprobs", flush=True)


def check_errors(server, slicegpt, model):
    client = server.client(max_retries=0)

    def refused(kind, code, **asked):
        asked = {"model": server.name, "prompt": "a", **asked}
        try:
            client.completions.create(**asked)
        except kind as error:
            assert error.code == code, error
            return error
        raise AssertionError(f"{asked} was answered")

    long = refused(openai.BadRequestError, "context_length_exceeded", prompt="once " * 20000)
    assert "maximum context length" in long.message and long.param == "prompt"
    refused(openai.NotFoundError, "model_not_found", model="other")
    wrong = refused(openai.BadRequestError, "invalid_value", temperature=-1)
    assert wrong.param == "temperature" and wrong.type == "invalid_request_error"
    refused(openai.BadRequestError, "unsupported_parameter", best_of=3)
    with Server(slicegpt, model, "--api-key", "secret") as guarded:
        try:
            guarded.client().models.list()
            raise AssertionError("no key was needed")
        except openai.AuthenticationError as error:
            assert error.code == "invalid_api_key"
        known = openai.OpenAI(base_url=guarded.url, api_key="secret")
        assert known.models.list().data[0].id == guarded.name
    print("openai: errors", flush=True)


async def check_concurrent(server):
    """Each of many at once is answered as if it were alone."""
    client = openai.AsyncOpenAI(base_url=server.url, api_key="none")

    async def ask(index):
        found = await client.completions.create(
            model=server.name,
            prompt=PROMPTS[index % len(PROMPTS)],
            temperature=0,
            max_tokens=40 + 20 * (index % 3),
        )
        return found.choices[0].text

    kinds = 3 * len(PROMPTS)
    alone = [await ask(index) for index in range(kinds)]
    before = server.peak()
    together = await asyncio.gather(*(ask(index) for index in range(CONCURRENT)))
    for index, text in enumerate(together):
        assert text == alone[index % kinds], (index, text, alone[index % kinds])
    peak = server.peak()
    memory = "" if peak is None else f"; peak memory {before / 1e6:.0f} -> {peak / 1e6:.0f} MB"
    print(f"openai: {CONCURRENT} requests at once, each as if alone{memory}", flush=True)


def documents(text):
    """Beginnings of stories, each with its own continuation and those of other stories."""
    stories = [re.findall(r"[^.!?]+[.!?]\"?\s*", line) for line in text.splitlines()]
    stories = [story for story in stories if len(story) >= 3][:60]
    assert len(stories) >= 20, f"{len(stories)} stories"
    for index, story in enumerate(stories):
        others = [stories[(index + step) % len(stories)][1].strip() for step in (1, 7)]
        choices = [story[1].strip(), *others]
        gold = index % 3
        choices[0], choices[gold] = choices[gold], choices[0]
        yield {"context": story[0].strip(), "choices": choices, "gold": gold}


def likelihoods(slicegpt, model, lm, pairs):
    """For each continuation, from `slicegpt logits`: the sum of its logprobs, and whether every
    token was the most likely one."""
    for context, continuation in pairs:
        whole = lm.tok_encode(context + continuation)
        start = len(lm.tok_encode(context))
        with tempfile.TemporaryDirectory() as scratch:
            tokens, out = Path(scratch, "tokens.safetensors"), Path(scratch, "logits.safetensors")
            save_file({"input_ids": np.array([whole], dtype=np.int32)}, tokens)
            command = [slicegpt, "logits", model, "--tokens", tokens, "--out", out]
            subprocess.run(command, check=True, capture_output=True)
            logits = load_file(out)["logits"][0].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        rows = range(start, len(whole))
        yield (
            sum(logits[row - 1][whole[row]] for row in rows),
            all(logits[row - 1].argmax() == whole[row] for row in rows),
        )


def check_harness(server, slicegpt, model, text, scratch):
    docs = list(documents(text))
    data = Path(scratch, "stories.jsonl")
    data.write_text("".join(json.dumps(doc) + "\n" for doc in docs))
    task = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "doc_to_text": "{{context}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "gold",
        "target_delimiter": " ",
    }
    metrics = [{"metric": metric} for metric in ("acc", "acc_norm")]
    chosen = {
        **task,
        "task": "stories_choice",
        "output_type": "multiple_choice",
        "metric_list": metrics,
    }
    written = {
        **task,
        "task": "stories_text",
        "output_type": "generate_until",
        "doc_to_target": "{{choices[gold]}}",
        "metric_list": [{"metric": "exact_match"}],
        "generation_kwargs": {"until": ["."], "max_gen_toks": 24, "do_sample": False},
    }
    del written["doc_to_choice"]
    results = {}
    for tokenised in (True, False):
        for concurrent in (1, 16):
            lm = LocalCompletionsAPI(
                base_url=server.url + "/completions",
                model=server.name,
                tokenizer=model,
                tokenizer_backend="huggingface",
                tokenized_requests=tokenised,
                add_bos_token=True,
                max_length=256,
                num_concurrent=concurrent,
                batch_size=4,
                max_retries=1,
            )
            pairs = [(doc["context"], " " + doc["choices"][doc["gold"]]) for doc in docs[:8]]
            asked = [
                Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=0)
                for pair in pairs
            ]
            found = lm.loglikelihood(asked, disable_tqdm=True)
            want = list(likelihoods(slicegpt, model, lm, pairs))
            for (likely, greedy), (expected, most) in zip(found, want):
                assert abs(likely - expected) < TOLERANCE * (1 + abs(expected)), (likely, expected)
                assert greedy == most
            evaluated = simple_evaluate(
                lm,
                tasks=[chosen, written],
                task_manager=TaskManager(include_defaults=False),
                bootstrap_iters=0,
                log_samples=True,
            )
            scores = evaluated["results"]["stories_choice"]
            texts = [sample["resps"] for sample in evaluated["samples"]["stories_text"]]
            results[tokenised, concurrent] = (scores["acc,none"], scores["acc_norm,none"], texts)
    first = results[True, 1]
    # Encoding and decoding a text may change it; token ids stay the same.
    assert all(result == first for result in results.values()), results
    right = 0
    for doc in docs:
        pairs = [(doc["context"], " " + choice) for choice in doc["choices"]]
        sums = [likely for likely, _ in likelihoods(slicegpt, model, lm, pairs)]
        right += sums.index(max(sums)) == doc["gold"]
    assert abs(first[0] - right / len(docs)) < 1e-9, (first[0], right / len(docs))
    print(
        f"lm-evaluation-harness: {len(docs)} documents of three choices, accuracy {first[0]:.3f} "
        f"(normalised {first[1]:.3f}), as of `slicegpt logits`; the same with tokens and with "
        f"text, one request at a time and 16",
        flush=True,
    )


def main():
    slicegpt, model, text = sys.argv[1:]
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with tempfile.TemporaryDirectory() as scratch:
        os.environ.setdefault("HF_DATASETS_CACHE", str(Path(scratch, "datasets")))
        template = Path(scratch, "chat.jinja")
        template.write_text(TEMPLATE)
        with Server(slicegpt, model, "--chat-template", str(template)) as server:
            check_completions(server, slicegpt, model)
            check_chat(server)
            check_errors(server, slicegpt, model)
            asyncio.run(check_concurrent(server))
            check_harness(server, slicegpt, model, Path(text).read_text(), scratch)


if __name__ == "__main__":
    main()
