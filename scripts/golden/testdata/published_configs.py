"""How many parameters transformers gives each model of test/golden/published-configs, and which weights.

usage: published_configs.py [family...]
       published_configs.py --lines MODEL    prints the lines behind `weights`, to compare with a test's failure

Each file there maps a model's name to `config`, its published config.json without fields that mean nothing to its weights, and
`source`: the public repository and path where a copy or its sizes can be read. A source that begins with "transformers: " is a class whose
defaults are the model's: this script compares them. Without any public source it is null, and the name begins with "like ": a shape for
tests, of which docs/base-models.md claims nothing. `untied` names modules whose published
weights are separate although transformers ties them by that config; `refused` is what Graft says of a model that it does not compute.
For each model, this script builds it on torch's meta device,
which takes no memory, and writes:

- `task`: of the class that was built. A multimodal model is built as its text model alone.
- `parameters`: the number of values in its state dict, tied weights counted once.
- `weights`: SHA-256 of the sorted lines `name dimension,dimension` for each weight and `name = name` for each tied one.
"""

import hashlib
import json
import pathlib
import re
import sys

import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

FOLDER = pathlib.Path(__file__).parents[3] / "test/golden/published-configs"

# By the end of the name of the class that saved the model.
CLASSES = {
    "ForCausalLM": ("CAUSAL_LM", AutoModelForCausalLM),
    "LMHeadModel": ("CAUSAL_LM", AutoModelForCausalLM),
    "ForConditionalGeneration": ("SEQ_2_SEQ_LM", AutoModelForSeq2SeqLM),
    "ForSequenceClassification": ("SEQ_CLS", AutoModelForSequenceClassification),
    "ForTokenClassification": ("TOKEN_CLS", AutoModelForTokenClassification),
    "ForMaskedLM": ("FEATURE_EXTRACTION", AutoModel),
    "Model": ("FEATURE_EXTRACTION", AutoModel),
}


def task_and_model(fields):
    """The task, and the model on the meta device."""
    fields = dict(fields)
    config = AutoConfig.for_model(fields.pop("model_type"), **fields)
    task, builder = next(each for end, each in CLASSES.items() if config.architectures[0].endswith(end))
    if "text_config" in fields:
        config = config.get_text_config()
        task, builder = CLASSES["ForCausalLM"]
    with torch.device("meta"):
        model = builder.from_config(config)
        model.tie_weights()
    return task, model


def describe(fields, untied):
    """The task, the number of values and a line for each weight."""
    task, model = task_and_model(fields)
    for name in untied:
        module = model.get_submodule(name)
        module.weight = torch.nn.Parameter(torch.empty_like(module.weight))
    names = {}
    lines = []
    parameters = 0
    # The order is that of the modules: an embedding comes before the head that is tied to it.
    for name, weight in model.state_dict(keep_vars=True).items():
        if id(weight) in names:
            lines.append(f"{name} = {names[id(weight)]}")
            continue
        names[id(weight)] = name
        lines.append(f"{name} {','.join(map(str, weight.shape))}")
        parameters += weight.numel()
    return task, parameters, sorted(lines)


# Fields of a config that shape weights, or what is computed with them.
SIZES = re.compile(r"size|layers|heads|^n_|^d_|rope|num_|eps")


def check_defaults(name, fields):
    """Compares sizes with the defaults of the class, which the docstring of its file names after the model."""
    defaults = AutoConfig.for_model(fields["model_type"])
    checkpoint = type(defaults).__doc__ or ""
    assert name in checkpoint, f"{name}: transformers names another checkpoint: {checkpoint[:400]}"
    own = AutoConfig.for_model(**fields).to_dict()
    shaping = {field: value for field, value in defaults.to_dict().items() if SIZES.search(field)}
    wrong = {field: own[field] for field, value in shaping.items() if own[field] != value}
    assert not wrong, f"{name}: the defaults of transformers differ from {wrong}"


def main():
    wanted = sys.argv[1:]
    for file in sorted(FOLDER.glob("*.json")):
        models = json.loads(file.read_text())
        if wanted[:1] == ["--lines"]:
            for entry in (entry for name, entry in models.items() if name in wanted):
                print("\n".join(describe(entry["config"], entry.get("untied", []))[2]))
            continue
        if wanted and file.stem not in wanted:
            continue
        rows = []
        for name, entry in models.items():
            if (entry["source"] or "").startswith("transformers: "):
                check_defaults(name, entry["config"])
            task, parameters, lines = describe(entry["config"], entry.get("untied", []))
            digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
            entry |= {"task": task, "parameters": parameters, "weights": digest}
            print(f"{file.stem:18}{name:52}{task:20}{parameters:>18,}", flush=True)
            rows.append(f"  {json.dumps(name)}: {json.dumps(entry)}")
        file.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
