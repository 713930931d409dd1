"""Expected values of packages/peft-core/src/train/objectives/contrastive/pairs.test.ts: losses of random unit vectors, and their gradients, by
sentence-transformers' MultipleNegativesRankingLoss and CachedMultipleNegativesRankingLoss. Writes
../../../packages/peft-core/src/train/objectives/contrastive/testdata/contrastive-losses.json. Needs: sentence-transformers 6.2.0, torch."""

import json
from pathlib import Path

import torch
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)

OUT = Path(__file__).parents[3] / "packages/peft-core/src/train/objectives/contrastive/testdata/contrastive-losses.json"
PAIRS, WIDTH, MINI_BATCH = 7, 6, 3


class Table(torch.nn.Module):
    """A model that embeds a text by its number."""

    def __init__(self, vectors):
        super().__init__()
        self.vectors = torch.nn.Parameter(vectors)

    def forward(self, features):
        return {"sentence_embedding": self.vectors[features["input_ids"][:, 0]]}


def measured(loss_of, vectors, columns):
    """The loss, and its gradients with respect to the vectors."""
    table = Table(vectors.clone())
    model = torch.nn.Sequential(table)
    features = [{"input_ids": torch.arange(i * PAIRS, (i + 1) * PAIRS)[:, None]} for i in range(columns)]
    loss = loss_of(model)(features, torch.zeros(PAIRS))
    loss.backward()
    return {"loss": loss.item(), "gradients": table.vectors.grad.flatten().tolist()}


cases = {}
for name, columns in {"pairs": 2, "with_negatives": 3}.items():
    torch.manual_seed(columns)
    vectors = torch.nn.functional.normalize(torch.randn(columns * PAIRS, WIDTH), dim=-1)
    cases[name] = {
        "vectors": vectors.flatten().tolist(),
        "plain": measured(MultipleNegativesRankingLoss, vectors, columns),
        "cached": measured(
            lambda model: CachedMultipleNegativesRankingLoss(model, mini_batch_size=MINI_BATCH), vectors, columns
        ),
    }
OUT.write_text(json.dumps({"pairs": PAIRS, "width": WIDTH, "cases": cases}, indent=1) + "\n")
