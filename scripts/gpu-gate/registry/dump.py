"""Writes what the CUDA build of TensorFlow has kernels for on a GPU, as data of the gate: tensorflow-VERSION.json beside this file.

Runs on a machine without a card, in any environment with `pip install tensorflow==VERSION` (on Linux that package is the CUDA build,
and the nvidia packages are not needed): python dump.py

The file maps an op to its kernels, those of the GPU before those of any device ("DEFAULT"), which TensorFlow takes only where no GPU
kernel fits. A kernel is [types by attribute, arguments that are in the host's memory]; without a type attribute it takes all types.
"""

import itertools
import json
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import tensorflow as tf  # noqa: E402
from tensorflow.core.framework import types_pb2  # noqa: E402
from tensorflow.python.framework import kernels  # noqa: E402

# As Graft calls the types that its graphs have. Of others the gate needs to know nothing.
TYPES = {
    "DT_FLOAT": "float32",
    "DT_BFLOAT16": "bfloat16",
    "DT_HALF": "half",
    "DT_DOUBLE": "float64",
    "DT_INT32": "int32",
    "DT_INT64": "int64",
    "DT_INT16": "int16",
    "DT_INT8": "int8",
    "DT_UINT8": "uint8",
    "DT_UINT16": "uint16",
    "DT_BOOL": "bool",
}


def kernel_of(kernel):
    """The types that it takes, by attribute, and its arguments on the host; None where it takes none of Graft's types."""
    types = {}
    for constraint in kernel.constraint:
        names = [types_pb2.DataType.Name(t) for t in constraint.allowed_values.list.type]
        types[constraint.name] = sorted(TYPES[name] for name in names if name in TYPES)
        if not types[constraint.name]:
            return None
    return types, sorted(set(kernel.host_memory_arg))


def merged(found):
    """Kernels that differ in the types of one attribute alone are one."""
    rows = []
    for types, host in found:
        rows += [(dict(zip(types, choice)), host) for choice in itertools.product(*types.values())]
    rows = [({name: (value,) for name, value in types.items()}, host) for types, host in rows]
    for name in sorted({name for types, _ in rows for name in types}):
        groups = {}
        for types, host in rows:
            others = {key: value for key, value in types.items() if key != name}
            key = json.dumps([others, host, sorted(types)])
            groups.setdefault(key, (types, host, set()))[2].update(types.get(name, ()))
        rows = [
            ({**types, name: tuple(sorted(values))} if name in types else types, host)
            for types, host, values in groups.values()
        ]
    return [[types, host] for types, host in rows]


def main():
    by_op = {}
    for kernel in kernels.get_all_registered_kernels().kernel:
        # Internal ops start with an underscore; a label is selected by an attribute that no graph of Graft's has.
        if kernel.device_type not in ("GPU", "DEFAULT") or kernel.op.startswith("_") or kernel.label:
            continue
        known = kernel_of(kernel)
        if known:
            by_op.setdefault(kernel.op, {}).setdefault(kernel.device_type, []).append(known)
    lines = []
    for op in sorted(by_op):
        rows = [row for device in ("GPU", "DEFAULT") for row in merged(by_op[op].get(device, []))]
        lines.append(f"{json.dumps(op)}: {json.dumps(rows, separators=(',', ':'))}")
    path = Path(__file__).parent / f"tensorflow-{tf.__version__}.json"
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(path, len(by_op), "ops,", path.stat().st_size, "bytes")


main()
