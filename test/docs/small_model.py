"""Writes a small random Llama model with a tokenizer and a chat template. Usage: small_model.py FOLDER"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../scripts/golden/references"))

import torch
from tiny_tokenizer import make_tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

folder = sys.argv[1]
vocabulary = make_tokenizer(folder)
torch.manual_seed(1)
config = LlamaConfig(
    vocab_size=vocabulary,
    hidden_size=64,
    intermediate_size=160,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=4096,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=3,
    tie_word_embeddings=True,
)
LlamaForCausalLM(config).save_pretrained(folder)
