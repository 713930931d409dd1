"""What the reference scripts share: loading a base model and a PEFT adapter with the real libraries, and scoring."""

import json
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import torch
import transformers
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

transformers.utils.logging.disable_progress_bar()


def load_base(path, dtype=torch.float32):
    """A causal language model from a HF folder or a GGUF file, its weights unpacked to `dtype`."""
    if path.endswith(".gguf"):
        folder, file = os.path.split(path)
        model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=dtype)
        # The unpacked weights are plain tensors; transformers still calls the model quantised and refuses to save it.
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.hf_quantizer = None
        model.is_quantized = False
    else:
        model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype)
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


def attach_adapter(model, folder, trainable=False):
    """The PEFT model, and how the file's keys differ from those that PEFT itself would write for this adapter."""
    peft_model = PeftModel.from_pretrained(model, folder, is_trainable=trainable)
    expected = get_peft_model_state_dict(peft_model)
    found = load_file(os.path.join(folder, "adapter_model.safetensors"))
    mismatch = {
        "missing": sorted(set(expected) - set(found)),
        "unexpected": sorted(set(found) - set(expected)),
        "shapes": sorted(k for k in set(found) & set(expected) if found[k].shape != expected[k].shape),
        # What PEFT holds after loading is what the file says: nothing was silently left at its initial value.
        "values": sorted(
            k
            for k in set(found) & set(expected)
            if found[k].shape == expected[k].shape and not torch.equal(found[k].float(), expected[k].float().cpu())
        ),
    }
    return peft_model, mismatch


@torch.no_grad()
def log_probabilities(model, ids):
    """The natural log-probability of each token after the first, given those before it."""
    if len(ids) < 2:
        return []
    logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].float()
    picked = torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(ids[1:])[:, None])
    return picked[:, 0].tolist()


def write_json(value, file=None):
    text = json.dumps(value)
    if file is None:
        sys.stdout.write(text + "\n")
    else:
        with open(file, "w") as out:
            out.write(text)
