"""Conversations rendered by chat templates, by transformers: texts, tokens, and which of them the assistant generates.

usage: chat_templates.py PLAN.json

PLAN.json: {"tokenizers": {template's name: {"chat_template", "tokenizer_json", "tokens": {"bos_token", ...}}}, "now": ISO date that
`strftime_now` shows, "cases": [{"template", "messages", "tools", "kwargs", "mask": whether tokens are wanted, "line": JSON text, if any, whose messages
and tools replace the others}]}
Writes a line of JSON for each case: {"text", "prompt": with the assistant's turn opened, "ids", "mask"}. "text" and "prompt" are null where the
template refuses the conversation.
"""

import json
import sys
from datetime import datetime

import transformers.utils.chat_template_utils as utils
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

with open(sys.argv[1]) as source:
    plan = json.load(source)


class Clock(datetime):
    """`datetime` with the plan's date as now."""

    @classmethod
    def now(cls, tz=None):
        return datetime.fromisoformat(plan["now"])


utils.datetime = Clock
made = {}


def tokenizer_of(name):
    if name not in made:
        given = plan["tokenizers"][name]
        backend = Tokenizer.from_str(json.dumps(given["tokenizer_json"]))
        made[name] = PreTrainedTokenizerFast(tokenizer_object=backend, **given["tokens"])
        made[name].chat_template = given["chat_template"]
    return made[name]


def render(case, **options):
    """None where the template refuses the conversation."""
    try:
        return tokenizer_of(case["template"]).apply_chat_template(
            case["messages"], tools=case["tools"], **case["kwargs"], **options
        )
    except Exception as error:
        # Jinja's errors, and Python's in an expression of the template.
        print(case["template"], type(error).__name__, error, file=sys.stderr)
        return None


for case in plan["cases"]:
    if case.get("line"):
        case |= json.loads(case["line"])
    text = render(case, tokenize=False)
    answer = {"text": text, "prompt": render(case, tokenize=False, add_generation_prompt=True), "ids": None, "mask": None}
    if case["mask"] and text is not None:
        encoded = render(case, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
        answer["ids"], answer["mask"] = encoded["input_ids"], encoded["assistant_masks"]
    print(json.dumps(answer))
