"""The PyTorch + HF PEFT side of bench/serving: the same prompts, greedily, on the same adapters. Writes one JSON object.

The first line of standard input is its plan:
{"model": HF folder, "adapters": [folder], "chats": [{"adapter": number, "prompt"}], "tokens": of each answer, "rows": of a batch,
 "alone": number of chats that are answered one by one, "seconds": time after which no further chat is started,
 "threads": number of threads of PyTorch}
"oneByOne": set_adapter and generate for each chat in turn. "together": batches of `rows` chats, padded on the left, with PEFT's
adapter_names, which names an adapter for each row; a batch ends when its longest answer does, and what comes meanwhile waits.
"""

import json
import os
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

plan = json.loads(sys.stdin.readline())
torch.set_num_threads(plan["threads"])


def report(line):
    print(f"PEFT, {line}", file=sys.stderr, flush=True)


report("loading")
tokenizer = AutoTokenizer.from_pretrained(plan["model"], padding_side="left")
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
base = AutoModelForCausalLM.from_pretrained(plan["model"], dtype=torch.float32)
model = None
for number, folder in enumerate(plan["adapters"]):
    if model is None:
        model = PeftModel.from_pretrained(base, folder, adapter_name=f"a{number}")
    else:
        model.load_adapter(folder, adapter_name=f"a{number}")
model.eval()
ends = base.generation_config.eos_token_id
ends = {tokenizer.pad_token_id, *(ends if isinstance(ends, list) else [ends])}


def own(ids):
    """The tokens before the first that ends an answer."""
    return ids[: next((i for i, token in enumerate(ids) if token in ends), len(ids))]


def answer(chats, **more):
    batch = tokenizer([chat["prompt"] for chat in chats], return_tensors="pt", padding=True)
    with torch.inference_mode():
        ids = model.generate(**batch, max_new_tokens=plan["tokens"], do_sample=False, pad_token_id=tokenizer.pad_token_id, **more)
    return [own(row) for row in ids[:, batch["input_ids"].shape[1] :].tolist()]


def alone(group):
    model.set_adapter(f"a{group[0]['adapter']}")
    return answer(group)


def together(group):
    return answer(group, adapter_names=[f"a{chat['adapter']}" for chat in group])


def measured(way, groups, run):
    start, ids = time.perf_counter(), []
    for number, group in enumerate(groups):
        if time.perf_counter() - start > plan["seconds"]:
            break
        ids += run(group)
        seconds = time.perf_counter() - start
        if len(group) > 1 or number % 4 == 3:
            report(f"{way}: {len(ids)} of {sum(map(len, groups))} answers, {seconds:.0f} s")
    return {"ids": ids, "tokens": sum(map(len, ids)), "seconds": time.perf_counter() - start}


chats, rows = plan["chats"], plan["rows"]
alone(chats[:1])
together(chats[:rows])
results = {
    "oneByOne": measured("one by one", [[chat] for chat in chats[: plan["alone"]]], alone),
    "together": measured("in batches", [chats[i : i + rows] for i in range(0, len(chats), rows)], together),
}
print(json.dumps(results))
