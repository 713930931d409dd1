"""Makes tiny random models and writes each of them as GGUF too, by the `gguf` package, as llama.cpp's converter lays them out.
transformers reads the files back: a tensor that is not what it was stops the script. It does not know the tensors of gpt-oss.

usage: gguf_models.py PLAN.json

PLAN.json: {"models": [{"output": folder, "gguf": file, "config": fields of config.json, "task", "seed", "packed"}]}
"""

import json
import sys
from pathlib import Path

from base_models import MODEL_CLASSES
from tiny_models import make_model

import gguf
import numpy as np
import torch
from transformers import AutoConfig
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

# Architecture by Hugging Face's model_type; mistral's files are llama's.
ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gpt2": "gpt2", "gemma3_text": "gemma3", "gemma4_text": "gemma4", "gpt_oss": "gpt-oss"}
CONV1D = ("c_attn.weight", "c_proj.weight", "c_fc.weight")


def interleaved(weight, heads):
    """llama.cpp's rope turns neighbours, Hugging Face's turns i with i + D/2."""
    rows, *rest = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, *rest).swapaxes(1, 2).reshape(rows, *rest)


def write_parameters(writer, config):
    heads = config.num_attention_heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(heads)
    if config.model_type == "gpt2":
        writer.add_feed_forward_length(config.n_inner or 4 * config.n_embd)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    if config.model_type == "gemma4_text":
        write_gemma4(writer, config)
        return
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    if config.model_type in ("gemma3_text", "gpt_oss"):
        writer.add_sliding_window(config.sliding_window)
    if config.model_type == "gpt_oss":
        writer.add_expert_count(config.num_local_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
        writer.add_expert_feed_forward_length(config.intermediate_size)
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if config.model_type in ("qwen3", "gemma3_text", "gpt_oss"):
        writer.add_key_length(head)
        writer.add_value_length(head)
    if config.model_type in ("llama", "mistral"):
        writer.add_rope_dimension_count(head)


def write_gemma4(writer, config):
    slides = [kind == "sliding_attention" for kind in config.layer_types]
    sliding, full = (config.per_layer_config[slides.index(each)] for each in (True, False))
    shared, width = config.num_kv_shared_layers, config.intermediate_size
    own = config.num_hidden_layers - shared
    writer.add_feed_forward_length([width if i < own or not config.use_double_wide_mlp else 2 * width for i in range(len(slides))])
    writer.add_head_count_kv([(sliding if each else full).num_key_value_heads for each in slides])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["full_attention"]["rope_theta"])
    writer.add_rope_freq_base_swa(config.rope_parameters["sliding_attention"]["rope_theta"])
    writer.add_rope_dimension_count(full.head_dim)
    writer.add_rope_dimension_count_swa(sliding.head_dim)
    for add, size in ((writer.add_key_length, full), (writer.add_value_length, full)):
        add(size.head_dim)
    for add, size in ((writer.add_key_length_swa, sliding), (writer.add_value_length_swa, sliding)):
        add(size.head_dim)
    writer.add_shared_kv_layers(shared)
    writer.add_sliding_window(config.sliding_window)
    writer.add_sliding_window_pattern(slides)
    writer.add_embedding_length_per_layer_input(config.hidden_size_per_layer_input)
    writer.add_final_logit_softcapping(config.final_logit_softcapping)
    # Only some pairs of numbers of a head turn in layers without a window.
    part = config.rope_parameters["full_attention"]["partial_rotary_factor"]
    turning = int(full.head_dim * part / 2)
    divisors = [1.0] * turning + [1e30] * (full.head_dim // 2 - turning)
    writer.add_tensor("rope_freqs.weight", np.array(divisors, dtype=np.float32))


def write_experts(writer, key, weight):
    """Experts of gpt-oss: gate and up apart, matrices as (E, out, in) in MXFP4, biases in F32."""
    layer, kind = key.split(".")[2], "bias" if key.endswith("_bias") else "weight"
    if kind == "weight":
        weight = weight.swapaxes(1, 2)
    parts = {"ffn_down_exps": weight}
    if "gate_up" in key:
        parts = {"ffn_gate_exps": weight[:, ::2], "ffn_up_exps": weight[:, 1::2]}
    for part, values in parts.items():
        name, values = f"blk.{layer}.{part}.{kind}", np.ascontiguousarray(values)
        if kind == "bias":
            writer.add_tensor(name, values)
        else:
            mxfp4 = gguf.GGMLQuantizationType.MXFP4
            writer.add_tensor(name, gguf.quantize(values, mxfp4), raw_dtype=mxfp4)


def write_tokenizer(writer, folder, config):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    added = {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    vocabulary = {id: token for token, id in tokenizer["model"]["vocab"].items()} | added
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([vocabulary[id] for id in range(len(vocabulary))])
    writer.add_token_types([3 if id in added else 1 for id in range(len(vocabulary))])
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    for kind in ("bos", "eos", "pad"):
        getattr(writer, f"add_{kind}_token_id")(getattr(config, f"{kind}_token_id"))
    writer.add_chat_template((folder / "chat_template.jinja").read_text())


def write_gguf(run):
    folder = Path(run["output"])
    config = AutoConfig.from_pretrained(folder)
    model = MODEL_CLASSES[run["task"]].from_pretrained(folder, dtype=torch.float32)
    name = ARCHITECTURES[config.model_type]
    if name == "gemma3":
        # Files have 1 + weight, which rounds it: only weights that stay the same can be compared bit by bit.
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if key.endswith("norm.weight"):
                    parameter.copy_(parameter + 1 - 1)
        model.save_pretrained(folder)
    kind = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == name)
    names = gguf.get_tensor_name_map(kind, config.num_hidden_layers)
    writer = gguf.GGUFWriter(run["gguf"], name)
    write_parameters(writer, config)
    write_tokenizer(writer, folder, config)
    # A tied head is not among the parameters.
    for key, parameter in model.named_parameters():
        weight = parameter.detach().numpy()
        if ".experts." in key:
            write_experts(writer, key, weight)
            continue
        if key.endswith(".sinks"):
            key += ".weight"
        if name == "gpt2" and key.endswith(CONV1D):
            weight = weight.T
        if name == "llama" and ".q_proj." in key:
            weight = interleaved(weight, config.num_attention_heads)
        if name == "llama" and ".k_proj." in key:
            weight = interleaved(weight, config.num_key_value_heads)
        if name == "gemma3" and key.endswith("norm.weight"):
            # Gemma's norms multiply by 1 + weight.
            weight = weight + 1
        writer.add_tensor(names.get_name(key, try_suffixes=(".weight", ".bias")), np.ascontiguousarray(weight))
    for key, factor in model.named_buffers():
        if key.endswith("layer_scalar"):
            writer.add_tensor(f"{names.get_name(key)}.weight", factor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if config.model_type in ("mistral", "gpt_oss"):
        return  # Mistral has no separate GGUF architecture, and transformers looks for one.
    read = load_gguf_checkpoint(run["gguf"], return_tensors=True, model_to_load=model)["tensors"]
    for key, parameter in model.named_parameters():
        # Norms that are stored plus 1 are rounded.
        tolerance = 1e-6 if name == "gemma3" and key.endswith("norm.weight") else 0
        if not torch.allclose(torch.as_tensor(read[key]), parameter, rtol=0, atol=tolerance):
            raise ValueError(f"{run['gguf']}: transformers reads another {key}")


with open(sys.argv[1]) as source:
    plan = json.load(source)
for one in plan["models"]:
    make_model(one)
    write_gguf(one)
