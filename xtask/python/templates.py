"""Compares chat templates here with Jinja in Python, in the environment that transformers makes.

templates.py check PROGRAM   runs PROGRAM (the example `render` of slicegpt-chat) on all cases
templates.py write           writes the results of Python, for the tests of slicegpt-chat

The cases are in fixtures/templates: expressions and calls of methods, one a line, and templates
with a line of dashes between them. To these come every attribute of Python's types, and the
methods about single characters for some hundred characters.
"""

import json
import pathlib
import subprocess
import sys

from transformers.utils.chat_template_utils import _compile_jinja_template

FOLDER = pathlib.Path(__file__).parents[2] / "fixtures" / "templates"
VARIABLES = json.loads((FOLDER / "variables.json").read_text(encoding="utf-8"))

# What differs on purpose, and why.
DIFFERENT = {
    "{{ text.encode().decode() }}": "there are no bytes",
    "{{ '\\N{BULLET}' }}": "characters are not known by name",
    "{{ text.format }}": "Python prints an address",
    "{{ range }}": "Python prints its own class",
    "{{ '\\ud83d\\ude00' }}": "two halves of a character are one",
    "{{ number.is_integer() }}": "Python has it since 3.12",
    "{{ real.hex() }}": "nobody needs it",
    "{{ self }}": "Jinja has an object for the template",
}

LINE_ENDS = [
    "a\r\nb\r{{ 'c\r\nd' }}\n", "x\n\n", "x\r\n", "\n{{ 1 }}\n",
    "a \n {% if 1 %} \n b {% endif %}\n",
]

TYPES = {"'x'": str, "[1]": list, "(1,)": tuple, "{'k': 1}": dict, "5": int, "5.5": float}

# Without those whose case depends on the version of Unicode.
CHARACTERS = [
    *range(0x20, 0x19B), *range(0x19C, 0x250), *range(0x370, 0x37A), *range(0x37B, 0x400),
    0x0661, 0x2028, 0x2160, 0x2460, 0x3042, 0x4E00, 0xE000, 0xFB01, 0x1D7D8, 0x1F600,
]


def lines(name):
    return (FOLDER / name).read_text(encoding="utf-8").rstrip("\n").split("\n")


def cases(characters):
    """All templates, with those about single `characters`."""
    yield from (FOLDER / "templates.txt").read_text(encoding="utf-8").rstrip("\n").split("\n----\n")
    yield from LINE_ENDS
    for expression in lines("expressions.txt") + lines("methods.txt"):
        yield "{{ " + expression + " }}"
    for literal, kind in TYPES.items():
        for name in dir(kind):
            yield "{{ (" + literal + ")." + name + " is defined }}"
    tests = "alnum alpha ascii decimal digit identifier lower numeric printable space title upper"
    parts = [f"c.is{test}()" for test in tests.split()]
    changes = "upper lower title capitalize swapcase casefold"
    parts += [f"c.{change}()" for change in changes.split()]
    for code in characters:
        start = "{% set c = '" + f"\\U{code:08x}" + "' %}{{ "
        yield start + " ~ ' ' ~ ".join([*parts, "[c]"]) + " }}"


def expected(characters=CHARACTERS):
    """All templates with what Python gives, or none where it fails."""
    for template in cases(characters):
        if template in DIFFERENT:
            continue
        try:
            text = _compile_jinja_template(template).render(**VARIABLES)
        except Exception:
            text = None
        yield template, text


def check(program):
    wanted = list(expected())
    questions = ({"template": template, "variables": VARIABLES} for template, _ in wanted)
    questions = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run([program], input=questions, capture_output=True, text=True, check=True)
    results = [json.loads(line) for line in done.stdout.rstrip("\n").split("\n")]
    assert len(results) == len(wanted), "a template without a result"
    wrong = 0
    for (template, want), result in zip(wanted, results):
        if result.get("text") != want:
            wrong += 1
            print(f"{template!r}\n  Python: {want!r}\n  here:   {result}")
    print(f"templates: {len(wanted) - wrong} of {len(wanted)} as in Python")
    return 1 if wrong else 0


def write():
    with open(FOLDER / "python.jsonl", "w", encoding="utf-8") as file:
        for template, text in expected(CHARACTERS[::20] + CHARACTERS[-10:]):
            file.write(json.dumps({"template": template, "text": text}) + "\n")
    return 0


sys.exit(check(sys.argv[2]) if sys.argv[1] == "check" else write())
