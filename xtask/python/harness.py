#!/usr/bin/env python3
"""Shows that `slicegpt eval tasks` uses the prompts of lm-evaluation-harness and gives its scores.

    harness.py SLICEGPT --data DIR [--num-fewshot N] [--limit N] [--cut MODEL] MODEL...

Each MODEL is a checkpoint directory that transformers loads; the model of --cut is scored after a
quarter of its parameters was cut. Both programs score the tasks whose files are in DIR. The harness
uses its own task definitions with the data of DIR; documents that are already formatted are turned
back into those of the data sets on the Hub. The exit code is 1 if prompts or scores differ, or
log-likelihoods differ by more than rounding.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import lm_eval
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from command import run

TASKS = ["piqa", "hellaswag", "winogrande", "arc_easy", "arc_challenge", "lambada_openai", "mmlu"]
SPLITS = ["train", "dev", "validation", "test"]
# The tolerance of a log-likelihood: float32 sums in another order.
ABSOLUTE, RELATIVE = 1e-3, 1e-4


def read(path):
    text = path.read_text()
    if path.suffix == ".json" and not text.lstrip().startswith("["):
        return json.loads(text)["test"]
    return (
        json.loads(text)
        if text.lstrip().startswith("[")
        else [json.loads(x) for x in text.splitlines() if x]
    )


def find(folder, task):
    """Documents by split; for a file that names none, the harness defines the split."""
    found = {}
    for path in sorted(folder.glob(f"{task}*.json*")):
        rest = path.stem.removeprefix(task).removeprefix("_")
        if rest in SPLITS:
            found[rest] = read(path)
        elif path.stem == task or path.stem.startswith(task + "_"):
            found.setdefault("", read(path))
    return found


def plain(task, row):
    """A document as in the data set on the Hub."""
    question = str(row.get("query", "")).rstrip().removeprefix("Question: ")
    if task == "piqa" and "query" in row:
        first, second = row["choices"]
        return {"goal": question, "sol1": first, "sol2": second, "label": row["gold"]}
    if task.startswith("arc_") and "query" in row:
        labels = list("ABCDEFGH"[: len(row["choices"])])
        choices = {"text": row["choices"], "label": labels}
        return {"question": question, "choices": choices, "answerKey": labels[row["gold"]]}
    if task == "winogrande" and "context_options" in row:
        one, other = row["context_options"]
        same = 0
        while same < min(len(one), len(other)) and one[same] == other[same]:
            same += 1
        sentence = f"{one[:same]}_ {row['continuation']}"
        return {
            "sentence": sentence,
            "option1": one[same:],
            "option2": other[same:],
            "answer": str(row["gold"] + 1),
        }
    if task == "lambada_openai" and "context" in row:
        return {"text": f"{row['context']} {row['continuation']}"}
    if task == "hellaswag" and "question" in row:
        # The activity is not in these files. Any text will do, if both programs get the same.
        label = str(list(row["choices"]).index(row["answer"]))
        endings = list(row["choices"].values())
        return {
            "activity_label": "Text",
            "ctx_a": row["question"],
            "ctx_b": "",
            "endings": endings,
            "label": label,
        }
    return row


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


class Data:
    """Files for both programs."""

    def __init__(self, folder, scratch, shots):
        self.ours = scratch / "ours"
        self.theirs = scratch / "theirs"
        self.ours.mkdir()
        self.theirs.mkdir()
        self.tasks, self.definitions = [], []
        manager = TaskManager()
        for task in TASKS:
            found = find(folder, task)
            if not found:
                continue
            self.tasks.append(task)
            for split, rows in found.items():
                rows = [plain(task, row) for row in rows] if task == "hellaswag" else rows
                write(self.ours / f"{task}{'_' * bool(split)}{split}.jsonl", rows)
            subjects = (
                sorted({row["subject"] for rows in found.values() for row in rows})
                if task == "mmlu"
                else [""]
            )
            for subject in subjects:
                name = f"mmlu_{subject}" if subject else task
                config = load_yaml(manager.task_index[name].yaml_path, resolve_func=True)
                scored = config.get("test_split") or config["validation_split"]
                files = {}
                for split, rows in found.items():
                    rows = [
                        plain(task, row) for row in rows if not subject or row["subject"] == subject
                    ]
                    split = split or scored
                    files[split] = write(self.theirs / f"{name}_{split}.jsonl", rows)
                if not shots:
                    files = {scored: files[scored]}
                    config |= {"training_split": None, "fewshot_split": None}
                    config |= (
                        {"validation_split": scored}
                        if "validation" in scored
                        else {"validation_split": None}
                    )
                config |= {"task": name, "dataset_path": "json", "dataset_name": None}
                config["dataset_kwargs"] = {"data_files": files}
                self.definitions.append((manager, config))

    def load(self):
        return [
            manager.load([dict(config)])["tasks"][config["task"]]
            for manager, config in self.definitions
        ]


def ours(slicegpt, model, data, shots, limit, log):
    command = [
        slicegpt,
        "eval",
        "tasks",
        model,
        "--tasks",
        ",".join(data.tasks),
        "--data",
        data.ours,
    ]
    command += ["--num-fewshot", shots, "--device", "cpu", "--json", "--log-samples", log]
    command += ["--limit", limit] if limit else []
    begin = time.time()
    found = json.loads(run(*command))
    seconds = time.time() - begin
    samples = {}
    for line in log.read_text().splitlines():
        sample = json.loads(line)
        samples.setdefault(sample["task"], []).append(sample)
    return found, samples, seconds


def theirs(model, data, shots, limit):
    begin = time.time()
    found = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(model), "dtype": "float32"},
        tasks=data.load(),
        num_fewshot=shots,
        limit=limit,
        device="cpu",
        batch_size=8,
    )
    return found, time.time() - begin


def close(one, other):
    return abs(one - other) <= ABSOLUTE + RELATIVE * abs(other)


def compare(name, mine, harness, complaints):
    """Compares answers one by one; returns their number and the largest difference."""
    harness = sorted(harness, key=lambda sample: sample["doc_id"])
    if len(mine) != len(harness):
        complaints.append(f"{name}: {len(mine)} documents, and {len(harness)} in the harness")
    answers, worst = 0, 0.0
    for one, other in zip(mine, harness):
        place = f"{name}, document {one['doc_id']}"
        arguments = [list(pair) for pair in other["arguments"]]
        if one["arguments"] != arguments:
            complaints.append(
                f"{place}: {one['arguments']!r} is asked, and {arguments!r} by the harness"
            )
            continue
        likelihoods = [
            tuple(answer[0]) if isinstance(answer[0], (list, tuple)) else tuple(answer)
            for answer in other["resps"]
        ]
        if len(likelihoods) != len(one["resps"]):
            complaints.append(
                f"{place}: {len(one['resps'])} answers, and {len(likelihoods)} in the harness"
            )
        for (log, greedy), (want, want_greedy) in zip(one["resps"], likelihoods):
            answers += 1
            worst = max(worst, abs(log - want))
            if not close(log, want):
                complaints.append(f"{place}: log-likelihood {log}, and {want} by the harness")
            if greedy != want_greedy:
                complaints.append(f"{place}: greedy {greedy}, and {want_greedy} by the harness")
        for metric in ("acc", "acc_norm", "perplexity"):
            if metric in other and not close(one[metric], float(other[metric])):
                complaints.append(
                    f"{place}: {metric} {one[metric]}, and {other[metric]} by the harness"
                )
    return answers, worst


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("slicegpt")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--num-fewshot", type=int, default=0)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--cut", type=Path)
    parser.add_argument("models", nargs="+", type=Path)
    args = parser.parse_args()
    complaints, documents, answers, worst = [], 0, 0, 0.0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        data = Data(args.data, scratch, args.num_fewshot)
        models = args.models
        if args.cut:
            models.append(scratch / f"{args.cut.name}-25")
            run(
                args.slicegpt,
                "compress",
                args.cut,
                "--keep-params",
                "0.75",
                "--samples",
                "16",
                "--out",
                models[-1],
            )
        for model in models:
            found, samples, seconds = ours(
                args.slicegpt, model, data, args.num_fewshot, args.limit, scratch / "log.jsonl"
            )
            harness, their_seconds = theirs(model, data, args.num_fewshot, args.limit)
            for name, of_task in harness["samples"].items():
                count, difference = compare(
                    f"{model.name}: {name}", samples[name], of_task, complaints
                )
                documents, answers, worst = (
                    documents + len(of_task),
                    answers + count,
                    max(worst, difference),
                )
                row = []
                for key, want in harness["results"][name].items():
                    mine = found["results"][name].get(key)
                    if "," not in key or isinstance(want, str):
                        continue
                    row.append(f"{key.split(',')[0]} {mine:.4f}")
                    if not close(mine, want):
                        complaints.append(
                            f"{model.name}: {name}: {key} is {mine}, and {want} in the harness"
                        )
                documents_of_task = f"{model.name:16} {name:28} {len(of_task):5} documents"
                print(
                    f"{documents_of_task}, largest difference {difference:.1e}: " + ", ".join(row),
                    flush=True,
                )
            print(
                f"{model.name:16} slicegpt {seconds:.1f} s, harness {their_seconds:.1f} s",
                flush=True,
            )
    for complaint in complaints[:20]:
        print(complaint, file=sys.stderr)
    if complaints:
        sys.exit(f"{len(complaints)} differences from lm-evaluation-harness")
    print(
        f"{documents} documents, {answers} answers, "
        f"largest difference of a log-likelihood {worst:.1e}"
    )


if __name__ == "__main__":
    main()
