"""Unpacks a GGUF file to a HF folder that either side of a comparison loads alike.

usage: export_model.py MODEL.gguf OUT float32|bfloat16
"""

import sys

from reference import load_base, load_tokenizer

import torch

model, out, dtype = sys.argv[1:4]
load_base(model).to(getattr(torch, dtype)).save_pretrained(out)
load_tokenizer(model).save_pretrained(out)
