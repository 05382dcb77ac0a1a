"""The keys of config.json and generation_config.json that transformers knows.

config_keys.py write   writes them to fixtures/config_keys.json, for the test of
                       docs/config-keys.md
config_keys.py check   fails if this version of transformers has others
"""

import json
import pathlib
import sys

import transformers

FILE = pathlib.Path(__file__).parents[2] / "fixtures" / "config_keys.json"
FAMILIES = ["Llama", "Mistral", "Qwen2", "Qwen3", "OPT", "Phi", "Phi3"]


def keys(config):
    names = set(config.to_dict()) | {name for name in vars(config) if not name.startswith("_")}
    return sorted(names - {"_from_model_config", "_name_or_path"})


found = {name.lower(): keys(getattr(transformers, f"{name}Config")()) for name in FAMILIES}
found["generation"] = keys(transformers.GenerationConfig())
if sys.argv[1] == "write":
    FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
elif json.loads(FILE.read_text(encoding="utf-8")) != found:
    sys.exit("transformers has other keys than fixtures/config_keys.json: see docs/config-keys.md")
