"""Base models of the reference scripts, without any PEFT library: loading and scoring with transformers alone."""

import contextlib
import hashlib
import json
import os
import sys
import tempfile
import traceback

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import torch
import transformers
from tokenizers import pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

transformers.utils.logging.disable_progress_bar()


MODEL_CLASSES = {
    "CAUSAL_LM": AutoModelForCausalLM,
    "SEQ_CLS": AutoModelForSequenceClassification,
    "TOKEN_CLS": AutoModelForTokenClassification,
    "SEQ_2_SEQ_LM": AutoModelForSeq2SeqLM,
    "FEATURE_EXTRACTION": AutoModel,
}


def model_class(task, config):
    """AutoModelForCausalLM does not know every multimodal model, and has only the text part of some."""
    if task == "CAUSAL_LM" and hasattr(config, "text_config"):
        return AutoModelForImageTextToText
    return MODEL_CLASSES[task]


def load_gguf(path, dtype):
    """Takes 13 s of CPU for SmolLM2-135M, so the scripts of one run of tests share what it gave the first of them."""
    folder, file = os.path.split(path)
    shared = os.environ.get("GRAFT_TEST_SCRATCH")
    name = hashlib.sha256(f"{os.path.realpath(path)} {os.stat(path).st_mtime_ns} {dtype}".encode()).hexdigest()
    unpacked = shared and os.path.join(shared, f"unpacked-{name[:16]}")
    if unpacked and os.path.exists(unpacked):
        model = AutoModelForCausalLM.from_pretrained(unpacked, dtype=dtype)
        model.name_or_path = model.config._name_or_path = folder
        return model
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=dtype)
    # The unpacked weights are plain tensors; transformers still calls the model quantised and refuses to save it.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.is_quantized = False
    if unpacked:
        unfinished = tempfile.mkdtemp(dir=shared)
        model.save_pretrained(unfinished)
        # Another script may have been faster; its copy is the same.
        with contextlib.suppress(OSError):
            os.rename(unfinished, unpacked)
    return model


def load_base(path, dtype=torch.float32, task="CAUSAL_LM", **config):
    """
    A model from a HF folder, or a causal language model from a GGUF file, its weights unpacked to `dtype`. `config` are fields
    that differ from the folder's config.json.
    """
    if path.endswith(".gguf"):
        model = load_gguf(path, dtype)
    else:
        loaded = model_class(task, AutoConfig.from_pretrained(path))
        model = loaded.from_pretrained(path, dtype=dtype, **config)
    return model.eval()


def load_tokenizer(path):
    if path.endswith(".gguf"):
        folder, file = os.path.split(path)
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
        # transformers 5.24 gives SmolLM2's GGUF file GPT-2's splitting, which joins spaces before digits otherwise than
        # the model's own tokenizer.json (and llama.cpp) does.
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        return tokenizer
    return AutoTokenizer.from_pretrained(path)


@torch.no_grad()
def log_probabilities(model, ids):
    """The natural log-probability of each token after the first, given those before it."""
    if len(ids) < 2:
        return []
    # Virtual tokens of a soft prompt come before the sequence's own.
    logits = model(input_ids=torch.tensor([ids])).logits[0, -len(ids) : -1].float()
    picked = torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(ids[1:])[:, None])
    return picked[:, 0].tolist()


def label_log_probabilities(model, ids, labels):
    """The natural log-probability of each label by an encoder-decoder that reads `ids`."""
    logits = model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).logits[0].float()
    return torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(labels)[:, None])[:, 0].tolist()


def run_one(model, ids):
    """The model's own output for one sequence."""
    return model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))


def embedding(model, ids):
    """
    The vector of a whole sequence: an encoder's first hidden state, a decoder's last, virtual tokens counted; of a
    model whose modules.json normalises (here always MiniLM) the mean, normalised.
    """
    hidden = run_one(model, ids).last_hidden_state[0]
    modules = os.path.join(model.config._name_or_path, "modules.json")
    if os.path.exists(modules) and "Normalize" in open(modules).read():
        return torch.nn.functional.normalize(hidden.mean(0), dim=0)
    return hidden[0 if model.config.model_type in ("bert", "roberta") else -1]


def class_logits(model, task, ids):
    """[classes] of a sequence, or [tokens, classes] without a soft prompt's virtual tokens."""
    logits = run_one(model, ids).logits[0]
    return logits[-len(ids) :] if task == "TOKEN_CLS" else logits


@torch.no_grad()
def outputs(model, task, ids):
    """Outputs of scoring for a sequence (a pair of them for SEQ_2_SEQ_LM), flat: log-probabilities, a classifier's logits, or the vector that stands for it."""
    if task == "CAUSAL_LM":
        return log_probabilities(model, ids)
    if task == "SEQ_2_SEQ_LM":
        return label_log_probabilities(model, ids["input_ids"], ids["labels"])
    if task == "FEATURE_EXTRACTION":
        return embedding(model, ids).tolist()
    return class_logits(model, task, ids).flatten().tolist()


def write_json(value, file=None):
    text = json.dumps(value)
    if file is None:
        sys.stdout.write(text + "\n")
    else:
        with open(file, "w") as out:
            out.write(text)


@contextlib.contextmanager
def fault_becomes(plan, otherwise):
    """With "keep_going" in a plan of many runs, one that fails tells its fault on standard error and answers `otherwise` (None: nothing)."""
    try:
        yield
    except Exception:
        if not plan.get("keep_going"):
            raise
        traceback.print_exc()
        if otherwise is not None:
            write_json(otherwise)
