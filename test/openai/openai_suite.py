"""Calls every endpoint that Graft shares with OpenAI with OpenAI's official Python client; responses are validated strictly.

usage: openai_suite.py SETTINGS

SETTINGS is a JSON file with the fields of SuiteSettings in suite-graft.ts. Writes a JSON line per check, {"check", "error": null or a
traceback}, and at the end {"requests": [[method, path], ...]}: the requests sent to the service.
"""

import json
import traceback

import openai
from suite import checks, requests

# In this order: the second module uses what the first has created.
import training_checks  # noqa: F401, E402, I001
import serving_checks  # noqa: F401, E402

for function in checks:
    error = None
    try:
        function()
    except Exception:
        error = traceback.format_exc()
    print(json.dumps({"check": function.__name__, "error": error}), flush=True)
print(json.dumps({"requests": requests, "version": openai.__version__}))
