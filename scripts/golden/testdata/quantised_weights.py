"""Expected values of packages/peft-core/src/quantise: matrices quantised by bitsandbytes to NF4 with double quantisation and
to int8, as QLoRA and transformers' load_in_8bit do it. Writes quantise/testdata/bitsandbytes.json.
Needs: bitsandbytes (0.50.2 wrote the committed file), torch, numpy. Not part of CI's environment: it is run by hand."""

import base64
import json
from pathlib import Path

import bitsandbytes
import numpy as np
import torch
from bitsandbytes import functional as F

OUT = Path(__file__).parents[3] / "packages/peft-core/src/weights/quantise/testdata/bitsandbytes.json"


def encode(tensor: torch.Tensor, dtype: type) -> str:
    return base64.b64encode(np.ascontiguousarray(tensor.numpy().astype(dtype)).tobytes()).decode()


def weights(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Normal, rows of unequal size; bfloat16 values, so that the file holds two bytes for each."""
    draw = torch.Generator().manual_seed(seed)
    rows = torch.rand(shape[0], 1, generator=draw) * 0.1 + 0.01
    return (torch.randn(shape, generator=draw) * rows).bfloat16()


def nf4(shape: tuple[int, ...], seed: int, zeros: int = 0) -> dict:
    matrix = weights(shape, seed)
    matrix.view(-1)[:zeros] = 0
    packed, state = F.quantize_4bit(matrix.float(), blocksize=64, compress_statistics=True, quant_type="nf4")
    values = F.dequantize_4bit(packed, state)
    return {
        "shape": shape,
        "weights": encode(matrix.view(torch.int16), np.int16),
        "codes": encode(packed, np.uint8),
        "absmax": encode(state.absmax, np.uint8),
        "nestedAbsmax": encode(state.state2.absmax, np.float32),
        "offset": state.offset.item(),
        "everySixteenth": encode(values.reshape(-1)[::16], np.float32),
    }


def int8(shape: tuple[int, ...], seed: int) -> dict:
    matrix = weights(shape, seed)
    codes, absmax, _ = F.int8_vectorwise_quant(matrix.float())
    return {
        "shape": shape,
        "weights": encode(matrix.view(torch.int16), np.int16),
        "codes": encode(codes, np.int8),
        "absmax": encode(absmax, np.float32),
    }


def main() -> None:
    cases = {
        "bitsandbytes": bitsandbytes.__version__,
        "codeBook": encode(F.get_4bit_type("nf4", device="cpu"), np.float32),
        "dynamicMap": encode(F.create_dynamic_map(), np.float32),
        "nf4": {
            "more than one group of 256 blocks": nf4((66, 256), 1),
            "an odd number of weights, the last block short": nf4((5, 13), 2),
            "a block of zeros": nf4((3, 64), 3, zeros=64),
        },
        "int8": int8((9, 80), 4),
    }
    OUT.write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
