"""Which options the reference libraries' configs have, with their defaults and the words that a value may be.

usage: library_options.py peft | adapters

Writes one JSON object: {"methods": {peft_type: {option: {"default", "words": [...]}}},
"peft_types": [...], "task_types": [...], "presets": [...]}. BOTTLENECK stands for the `adapters` library's BnConfig. A default that is
no JSON value is left out.
"""

import dataclasses
import enum
import json
import sys
import typing


def words(annotation):
    """Strings that an annotation names: of literals and enumerations, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return [member.value for member in annotation]
    if typing.get_origin(annotation) is typing.Literal:
        return [value for value in typing.get_args(annotation) if isinstance(value, str)]
    return [word for inner in typing.get_args(annotation) for word in words(inner)]


def described(config):
    hints = typing.get_type_hints(config)
    options = {}
    for field in dataclasses.fields(config):
        options[field.name] = {"words": words(hints[field.name])}
        default = field.default_factory() if field.default is dataclasses.MISSING and field.default_factory is not dataclasses.MISSING else field.default
        if dataclasses.is_dataclass(default):
            default = dataclasses.asdict(default)
        if isinstance(default, enum.Enum):
            default = default.value
        try:
            json.dumps(default)
            options[field.name]["default"] = default
        except TypeError:
            pass
    return options


def of_peft():
    from peft import PEFT_TYPE_TO_CONFIG_MAPPING, PeftType, TaskType

    named = ["LORA", "IA3", "PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING", "TRAINABLE_TOKENS", "LN_TUNING", "MISS", "OFT", "HIRA", "LOKR", "LOHA", "VERA"]
    return {
        "methods": {name: described(PEFT_TYPE_TO_CONFIG_MAPPING[PeftType[name]]) for name in named},
        "peft_types": [each.value for each in PeftType],
        "task_types": [each.value for each in TaskType],
        "presets": [],
    }


def of_adapters():
    from adapters import ADAPTER_CONFIG_MAP, BnConfig
    from transformers.activations import ACT2FN

    options = described(BnConfig)
    options["non_linearity"]["words"] = sorted(ACT2FN)
    return {"methods": {"BOTTLENECK": options}, "peft_types": [], "task_types": [], "presets": sorted(k for k, v in ADAPTER_CONFIG_MAP.items() if isinstance(v, BnConfig))}


print(json.dumps({"peft": of_peft, "adapters": of_adapters}[sys.argv[1]]()))
