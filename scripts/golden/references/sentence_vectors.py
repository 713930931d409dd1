"""Embeds texts with sentence-transformers, and computes its loss of pairs.

usage: sentence_vectors.py PLAN.json

PLAN.json: {"packages": folder of the packages of requirements.txt, "runs": [{
  "model": a folder of sentence-transformers,
  "adapter": a folder of a PEFT adapter with a config_sentence_transformers.json to load as its README.md says, or absent,
  "texts": [text, ...], "prompts": [name of a prompt, null for the default, or "" for none, ...],
  "pairs": {"rows": [[anchor, positive], ...], "prompts": [text before anchors, text before positives]}, or absent
}]}
Writes to standard output one JSON object per run: {"vectors": those of the texts for each of the prompts, "loss": that of
MultipleNegativesRankingLoss for the pairs as one batch, or null}.
"""

import json
import sys

with open(sys.argv[1]) as source:
    plan = json.load(source)
# The versions of requirements.txt go first.
sys.path.insert(1, plan["packages"])

import torch  # noqa: E402
from sentence_transformers import SentenceTransformer  # noqa: E402
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss  # noqa: E402


def vectors(model, texts, name):
    given = {"prompt": ""} if name == "" else {"prompt_name": name}
    return model.encode(texts, show_progress_bar=False, **given).tolist()


def loss(model, pairs):
    """As SentenceTransformerTrainer: its collator passes each column's prompt to `preprocess`."""
    columns = zip(*pairs["rows"])
    features = [model.preprocess(list(texts), prompt=prompt) for texts, prompt in zip(columns, pairs["prompts"])]
    with torch.no_grad():
        return MultipleNegativesRankingLoss(model)(features, labels=None).item()


def load(run):
    if not run.get("adapter"):
        return SentenceTransformer(run["model"], device="cpu").eval()
    with open(f"{run['adapter']}/config_sentence_transformers.json") as source:
        prompts = json.load(source)["prompts"]
    model = SentenceTransformer(run["model"], prompts=prompts, device="cpu")
    model.load_adapter(run["adapter"])
    return model.eval()


for run in plan["runs"]:
    model = load(run)
    found = [vectors(model, run["texts"], name) for name in run["prompts"]]
    print(json.dumps({"vectors": found, "loss": loss(model, run["pairs"]) if run.get("pairs") else None}), flush=True)
