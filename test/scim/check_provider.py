"""Runs scim2-tester, a compliance checker of SCIM 2.0 servers, and prints a JSON list of what failed.

Usage: check_provider.py ADDRESS TOKEN
"""

import json
import sys

import httpx
from scim2_client.engines.httpx import SyncSCIMClient
from scim2_tester import Status, check_server

address, token = sys.argv[1:]
http = httpx.Client(base_url=address, headers={"authorization": f"Bearer {token}"}, timeout=60)
client = SyncSCIMClient(http)
client.discover()
results = check_server(client)
failed = [
    f"{result.title}: {result.reason}"
    for result in results
    if result.status in (Status.ERROR, Status.CRITICAL, Status.UNAUTHORIZED if hasattr(Status, "UNAUTHORIZED") else Status.CRITICAL)
]
print(json.dumps({"checks": len(results), "failed": failed}))
