"""Expected values of packages/peft-core/src/gguf/quantisers/quantize.test.ts: numbers packed by ggml itself, the library of llama.cpp that
scripts/tools/llama-cpp.ts fetches. Writes ../../packages/peft-core/src/gguf/quantisers/testdata/gguf-quantised.json.
Usage: gguf_quantised.py path/to/libggml-base.so. Needs: gguf, numpy."""

import base64
import ctypes
import json
import sys
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize

OUT = Path(__file__).parents[3] / "packages/peft-core/src/gguf/quantisers/testdata/gguf-quantised.json"
TYPES = "BF16 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K MXFP4".split()
BLOCK = 256


def main() -> None:
    ggml = ctypes.CDLL(sys.argv[1])
    size, pointer = ctypes.c_int64, ctypes.c_void_p
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, size, size, size, pointer]
    rng = np.random.default_rng(60)
    values = np.concatenate(
        [
            rng.normal(0, 0.02, 8 * BLOCK),
            0.02 * rng.standard_t(3, 8 * BLOCK),
            np.abs(rng.normal(size=2 * BLOCK)),
            np.zeros(BLOCK),
            np.full(BLOCK, -0.3),
            rng.normal(0, 1e-7, BLOCK),
            rng.choice([0.0, 1.0], BLOCK),
        ]
    ).astype(np.float32)
    encode = lambda array: base64.b64encode(array.tobytes()).decode()  # noqa: E731
    # numpy rounds to float16 as ggml does.
    packed = {"F16": {"bytes": encode(values.astype(np.float16))}}
    for name in TYPES:
        kind = GGMLQuantizationType[name]
        block, width = GGML_QUANT_SIZES[kind]
        out = np.zeros(len(values) // block * width, np.uint8)
        ggml.ggml_quantize_chunk(int(kind), values.ctypes.data, out.ctypes.data, 0, len(values) // BLOCK, BLOCK, None)
        if not name.endswith("K"):
            packed[name] = {"bytes": encode(out)}
            continue
        # Other orders of additions choose other scales now and then: what counts is the error of each block.
        errors = (dequantize(out.reshape(1, -1), kind).ravel().astype(np.float64) - values).reshape(-1, BLOCK)
        packed[name] = {"rms": [float(f"{rms:.6g}") for rms in np.sqrt(np.mean(errors**2, axis=1))]}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"values": encode(values), "packed": packed}, indent=1) + "\n")


if __name__ == "__main__":
    main()
