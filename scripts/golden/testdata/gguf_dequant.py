"""Expected values of packages/peft-core/src/gguf/dequantize.test.ts: random blocks of each GGUF type, unpacked
by the `gguf` package. Writes ../../packages/peft-core/src/gguf/testdata/gguf-dequant.json. Needs: gguf, numpy."""

import base64
import json
from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize

OUT = Path(__file__).parents[3] / "packages/peft-core/src/gguf/testdata/gguf-dequant.json"
TYPES = "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q8_0 Q4_K Q6_K Q5_1 Q5_K MXFP4".split()
# Bytes at which a block keeps half floats (ggml-common.h); they get finite values, subnormal ones among them.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q8_0": [0], "Q4_K": [0, 2], "Q6_K": [208], "Q5_1": [0, 2], "Q5_K": [0, 2]}
BLOCKS = 6


def main() -> None:
    rng = np.random.default_rng(20)
    cases = {}
    for name in TYPES:
        kind = GGMLQuantizationType[name]
        _, size = GGML_QUANT_SIZES[kind]
        raw = rng.integers(0, 256, (BLOCKS if name in HALVES else 64, size), dtype=np.uint8)
        for at in HALVES.get(name, []):
            scale = np.float16(rng.normal(size=len(raw)) * 10.0 ** rng.integers(-7, 4, len(raw)))
            raw[:, at : at + 2] = scale.view(np.uint8).reshape(-1, 2)
        with np.errstate(all="ignore"):
            values = dequantize(raw.reshape(1, -1), kind)
        encode = lambda array: base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()  # noqa: E731
        cases[name] = {"raw": encode(raw), "values": encode(values.astype(np.float32))}
    OUT.write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
