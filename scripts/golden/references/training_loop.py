"""Training with PyTorch on given batches, as the HF Trainer would do it."""

from base_models import class_logits, embedding

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.nn.functional import binary_cross_entropy_with_logits, cosine_similarity, cross_entropy
from transformers import get_scheduler
from transformers.loss.loss_utils import ForSequenceClassificationLoss
from transformers.models.qwen3_moe.modeling_qwen3_moe import load_balancing_loss_func


def collate(examples):
    """Right-padded ids, attention mask and labels (-100 where the token is no target), each [examples, longest]."""
    longest = max(len(e["ids"]) for e in examples)
    ids, mask, labels = [], [], []
    for e in examples:
        pad = longest - len(e["ids"])
        ids.append(e["ids"] + [0] * pad)
        mask.append([1] * len(e["ids"]) + [0] * pad)
        labels.append([t if on else -100 for t, on in zip(e["ids"], e["labelled"])] + [-100] * pad)
    return torch.tensor(ids), torch.tensor(mask), torch.tensor(labels)


def target_weights(examples, key=None):
    """Weight of each example, or of each of its targets: [examples], or [examples, longest]; None where all are 1."""
    if not any("weight" in e or "weights" in e for e in examples):
        return None
    own = [e.get("weight", 1.0) for e in examples]
    if key is None:
        return torch.tensor(own)
    longest = max(len(e[key]) for e in examples)
    rows = [[w * x for x in e.get("weights", [1.0] * len(e[key]))] for e, w in zip(examples, own)]
    return torch.tensor([row + [0.0] * (longest - len(row)) for row in rows])


def token_losses(logits, wanted, options, weights=None):
    """The summed cross entropy, each times its weight, with transformers' label smoothing where it is asked for."""
    if weights is not None:
        losses = cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-100, reduction="none")
        return (losses * weights.flatten()).sum()
    if factor := options.get("label_smoothing_factor"):
        from transformers.trainer_pt_utils import LabelSmoother

        return LabelSmoother(epsilon=factor)({"logits": logits}, wanted, num_items_in_batch=1)
    return cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-100, reduction="sum")


def language_loss(model, examples, options):
    ids, mask, labels = collate(examples)
    outputs = model(input_ids=ids, attention_mask=mask)
    # Virtual tokens of a soft prompt come before the sequence's own; the first token of an example is never predicted.
    logits = outputs.logits[:, -ids.shape[1] : -1].float()
    wanted = labels[:, 1:]
    weights = target_weights(examples, "ids")
    loss = token_losses(logits, wanted, options, None if weights is None else weights[:, 1:])
    return loss, int(((logits.argmax(-1) == wanted) & (wanted != -100)).sum()), balancing_loss(model, outputs, mask)


def balancing_loss(model, outputs, mask):
    """
    What transformers adds to the mean loss of a model whose config sets output_router_logits, of the tokens that Graft computes: all but
    the last of each sequence, which predicts nothing.
    """
    if getattr(outputs, "aux_loss", None) is None:
        return 0.0
    config = model.config
    virtual = outputs.logits.shape[1] - mask.shape[1]
    counted = torch.cat([torch.ones(mask.shape[0], virtual), mask[:, 1:], torch.zeros(mask.shape[0], 1)], dim=1)
    aux = load_balancing_loss_func(outputs.router_logits, config.num_experts, config.num_experts_per_tok, counted)
    return config.router_aux_loss_coef * aux


def pair_loss(model, examples, options):
    """Loss of an encoder-decoder: every label is a target."""

    def padded(key, filler):
        longest = max(len(e[key]) for e in examples)
        return torch.tensor([e[key] + [filler] * (longest - len(e[key])) for e in examples])

    ids, labels = padded("input", 0), padded("labels", -100)
    mask = torch.tensor([[int(i < len(e["input"])) for i in range(ids.shape[1])] for e in examples])
    logits = model(input_ids=ids, attention_mask=mask, labels=labels).logits.float()
    loss = token_losses(logits, labels, options, target_weights(examples, "labels"))
    return loss, int((logits.argmax(-1) == labels).sum())


def classifier_loss(model, task, examples, options):
    # One by one: of padded sequences with a soft prompt transformers takes the padding's logits.
    logits = torch.cat([class_logits(model, task, e["ids"]).reshape(-1, model.config.num_labels) for e in examples])
    if "label_targets" in examples[0]:
        targets = torch.tensor([e["label_targets"] for e in examples], dtype=torch.float)
        # transformers' loss of problem_type "multi_label_classification": the mean over examples and classes.
        model.config.problem_type = "multi_label_classification"
        own = target_weights(examples)
        if own is not None:
            losses = binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(-1)
            return (losses * own).sum(), int(((logits > 0) == (targets > 0)).all(-1).sum())
        loss = ForSequenceClassificationLoss(targets, logits, model.config) * len(examples)
        return loss, int(((logits > 0) == (targets > 0)).all(-1).sum())
    wanted = torch.tensor([label for e in examples for label in e.get("classes", [e.get("label")])])
    weights = options.get("class_weights")
    own = target_weights(examples, "classes" if "classes" in examples[0] else None)
    if own is not None:
        # One row for each target: the padding of [examples, longest] is left out.
        own = torch.cat([row[: len(e.get("classes", [0]))] for e, row in zip(examples, own.reshape(len(examples), -1))])
    loss = cross_entropy(
        logits,
        wanted,
        weight=None if weights is None else torch.tensor(weights),
        label_smoothing=options.get("label_smoothing_factor", 0.0),
        ignore_index=-100,
        reduction="sum" if own is None else "none",
    )
    if own is not None:
        loss = (loss * own).sum()
    return loss, int((logits.argmax(-1) == wanted).sum())


def embedding_loss(model, examples):
    """sentence-transformers' MultipleNegativesRankingLoss (scale 20), or its CosineSimilarityLoss for scored pairs."""
    own = target_weights(examples)
    own = torch.ones(len(examples)) if own is None else own
    vectors = [[embedding(model, ids) for ids in e["sequences"]] for e in examples]
    if examples[0]["score"] is not None:
        cosines = torch.stack([cosine_similarity(a, b, dim=0) for a, b in vectors])
        return ((cosines - torch.tensor([e["score"] for e in examples])) ** 2 * own).sum(), 0
    anchors = torch.stack([v[0] for v in vectors])
    candidates = torch.stack([v[1] for v in vectors] + [v[2] for v in vectors if len(v) > 2])
    scores = 20 * cosine_similarity(anchors[:, None], candidates[None], dim=-1)
    wanted = torch.arange(len(examples))
    return (cross_entropy(scores, wanted, reduction="none") * own).sum(), int((scores.argmax(-1) == wanted).sum())


def batch_loss(model, task, examples, options):
    """The summed loss of one micro-batch, how many of its targets were right, and what is added to the mean."""
    if task == "CAUSAL_LM":
        return language_loss(model, examples, options)
    if task == "SEQ_2_SEQ_LM":
        return *pair_loss(model, examples, options), 0.0
    if task == "FEATURE_EXTRACTION":
        return *embedding_loss(model, examples), 0.0
    return *classifier_loss(model, task, examples, options), 0.0


def count_targets(task, examples):
    if task == "CAUSAL_LM":
        return sum(sum(e["labelled"][1:]) for e in examples)
    if task == "SEQ_2_SEQ_LM":
        return sum(len(e["labels"]) for e in examples)
    return sum(sum(c != -100 for c in e.get("classes", [0])) for e in examples)


def weigh_targets(task, examples, options):
    """Divisor of the summed loss: targets, each times its own weight and that of its class."""
    weights = options.get("class_weights")
    own = target_weights(examples)
    if weights is not None:
        own = [1.0] * len(examples) if own is None else own.tolist()
        return sum(w * weights[c] for e, w in zip(examples, own) for c in e.get("classes", [e.get("label")]) if c != -100)
    if own is None:
        return count_targets(task, examples)
    if task == "CAUSAL_LM":
        on = torch.tensor([x for e in examples for x in [0] + e["labelled"][1:]])
        rows = [e.get("weights", [1.0] * len(e["ids"])) for e in examples]
        each = torch.tensor([w * x for w, row in zip(own.tolist(), rows) for x in row])
        return (each * on).sum().item()
    return sum(w * count_targets(task, [e]) for e, w in zip(examples, own.tolist()))


def make_optimizer(model, trained, options):
    adam = {"betas": (options["adam_beta1"], options["adam_beta2"]), "eps": options["adam_epsilon"]}
    if "loraplus_lr_ratio" in options:
        from peft.optimizers import create_loraplus_optimizer

        return create_loraplus_optimizer(
            model,
            torch.optim.AdamW,
            lr=options["learning_rate"],
            loraplus_lr_ratio=options["loraplus_lr_ratio"],
            loraplus_lr_embedding=options["loraplus_lr_embedding"],
            loraplus_weight_decay=options["weight_decay"],
            **adam,
        )
    # The Trainer's groups: biases and norms are not decayed.
    decayed = [p for name, p in trained if not name.endswith("bias") and "norm" not in name]
    plain = [p for name, p in trained if name.endswith("bias") or "norm" in name]
    groups = [{"params": decayed, "weight_decay": options["weight_decay"]}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options["learning_rate"], **adam)


def train_steps(model, task, steps, options):
    """
    Trains what requires a gradient. steps: [[[example, ...] per micro-batch] per optimizer step], an example being
    {"ids", "labelled": [0|1, ...]} for CAUSAL_LM, {"input", "labels"} for SEQ_2_SEQ_LM, {"ids", "label"} for SEQ_CLS, {"ids", "classes"} for TOKEN_CLS (-100 for
    none) and {"sequences", "score": number or null} for FEATURE_EXTRACTION. Each may have a "weight", and for CAUSAL_LM "weights" of its ids: the loss of
    a step is the weighted mean over its targets.
    Returns [{"loss", "learning_rate", "grad_norm", "token_accuracy"} per step].
    """
    model.train()
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    optimizer = make_optimizer(model, trained, options)
    kind = options["lr_scheduler_type"]
    schedule = get_scheduler(
        "constant_with_warmup" if kind == "constant" else kind,
        optimizer,
        num_warmup_steps=options["warmup_steps"],
        num_training_steps=len(steps),
        scheduler_specific_kwargs=options.get("lr_scheduler_kwargs"),
    )
    decay = options.get("ema_decay")
    averaged = None if decay is None else AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    records = []
    for micro_batches in steps:
        targets = sum(count_targets(task, examples) for examples in micro_batches)
        weight = sum(weigh_targets(task, examples, options) for examples in micro_batches)
        loss_sum, right = 0.0, 0
        for examples in micro_batches:
            loss, hits, added = batch_loss(model, task, examples, options)
            mean = loss / weight + added / len(micro_batches)
            mean.backward()
            loss_sum += mean.item()
            right += hits
        norm = torch.nn.utils.clip_grad_norm_([p for _, p in trained], options["max_grad_norm"])
        records.append(
            {
                "loss": loss_sum,
                "learning_rate": schedule.get_last_lr()[0],
                "grad_norm": norm.item(),
                "token_accuracy": right / targets,
            }
        )
        optimizer.step()
        if averaged is not None:
            averaged.update_parameters(model)
        schedule.step()
        optimizer.zero_grad()
    if averaged is not None:
        # The average is the result.
        model.load_state_dict(averaged.module.state_dict())
    return records
