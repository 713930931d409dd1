"""Parquet files as pyarrow writes them, in every compression and page layout, for packages/peft-core/src/examples/containers.

Needs `pip install pyarrow==26.0.1`. Writes packages/peft-core/src/examples/containers/testdata/parquet.json: each file in Base64, with
its rows as pyarrow reads them.
"""

import base64
import io
import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

OUT = pathlib.Path(__file__).parents[3] / "packages/peft-core/src/examples/containers/testdata/parquet.json"


def chat(i):
    call = {"id": f"call_{i}", "type": "function", "function": {"name": "look", "arguments": '{"n": %d}' % i}}
    messages = [
        {"role": "user", "content": f"Größe {i}?" + "x" * (i % 7), "tool_calls": None},
        {"role": "assistant", "content": None if i % 3 == 0 else f"M {i} 🚲", "tool_calls": [call] if i % 3 == 0 else None},
    ]
    return messages * (1 + i % 2)


def pairs(n):
    return pa.table({"prompt": [f"question {i}" for i in range(n)], "completion": ["yes" if i % 3 else "no" for i in range(n)]})


def chats(n):
    return pa.table({"messages": [chat(i) for i in range(n)], "id": list(range(n))})


def write(table, **options):
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


optional = pa.table(
    {
        "anchor": ["a", "b", "c"],
        "positive": pa.array(["d", "e", "f"], pa.large_string()),
        "negative": [None, "g", None],
    }
)
labels = pa.table({"tokens": [["Brake", "squeals"], ["ok"]], "labels": [["PART", "O"], ["O"]]})
typed = pa.table(
    {
        "text": pa.array(["a", "b", "a"]).dictionary_encode(),
        "label": pa.array([1, 0, 1], pa.int64()),
        "when": pa.array([1, 2, 3], pa.timestamp("ms")),
    }
)
scores = pa.table({"sentence1": ["a", "b"], "sentence2": ["c", "d"], "score": pa.array([0.5, -1.0], pa.float32())})

FILES = {f"compressed with {codec}": (pairs(40), {"compression": codec}) for codec in ["none", "snappy", "gzip", "brotli", "lz4", "zstd"]}
FILES |= {
    "version 2 pages": (chats(30), {"data_page_version": "2.0", "compression": "zstd"}),
    "lists that span pages": (chats(120), {"data_page_size": 64, "write_batch_size": 3, "use_dictionary": False, "compression": "zstd"}),
    "version 2 pages of few bytes": (chats(60), {"data_page_size": 64, "write_batch_size": 3, "data_page_version": "2.0", "compression": "gzip"}),
    "many row groups": (pairs(40), {"row_group_size": 7}),
    "column statistics and indices": (pairs(40), {"write_page_index": True}),
    "delta lengths": (pairs(40), {"use_dictionary": False, "column_encoding": {"prompt": "DELTA_LENGTH_BYTE_ARRAY", "completion": "PLAIN"}}),
    "absent values": (optional, {}),
    "lists of words": (labels, {}),
    "numbers, a dictionary and times": (typed, {}),
    "floats": (scores, {"column_encoding": {"score": "BYTE_STREAM_SPLIT"}, "use_dictionary": False}),
}

cases = []
for name, (table, options) in FILES.items():
    data = write(table, **options)
    rows = pq.read_table(io.BytesIO(data)).to_pylist()
    cases.append({"name": name, "base64": base64.b64encode(data).decode(), "rows": json.loads(json.dumps(rows, default=str))})
bad = write(pairs(40), use_dictionary=False, column_encoding={"prompt": "DELTA_BYTE_ARRAY", "completion": "PLAIN"})
OUT.parent.mkdir(exist_ok=True)
OUT.write_text(
    json.dumps({"script": "scripts/golden/testdata/parquet_files.py", "deltaByteArray": base64.b64encode(bad).decode(), "cases": cases}) + "\n"
)
