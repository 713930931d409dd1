"""Expected values of packages/peft-core/src/tensors/turned-experts.test.ts: random blocks of MXFP4, with every scale, as transformers
unpacks gpt-oss' checkpoints. Writes ../../packages/peft-core/src/tensors/testdata/mxfp4-experts.json. Needs: torch, transformers."""

import base64
import json
from pathlib import Path

import torch
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

OUT = Path(__file__).parents[3] / "packages/peft-core/src/tensors/testdata/mxfp4-experts.json"
EXPERTS, ROWS, GROUPS = 4, 22, 3


def main() -> None:
    generator = torch.Generator().manual_seed(8)
    blocks = torch.randint(0, 256, (EXPERTS, ROWS, GROUPS, 16), dtype=torch.uint8, generator=generator)
    scales = (torch.arange(EXPERTS * ROWS * GROUPS) % 256).to(torch.uint8).reshape(EXPERTS, ROWS, GROUPS)
    values = convert_moe_packed_tensors(blocks, scales)
    encode = lambda tensor: base64.b64encode(tensor.contiguous().numpy().tobytes()).decode()  # noqa: E731
    case = {
        "blocks": {"shape": list(blocks.shape), "bytes": encode(blocks)},
        "scales": {"shape": list(scales.shape), "bytes": encode(scales)},
        "bfloat16": {"shape": list(values.shape), "bytes": encode(values.view(torch.int16))},
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    main()
