"""Runs scim2-tester, a compliance checker for SCIM 2.0 servers, and prints the number of checks and the failures as JSON.

Usage: check_provider.py ADDRESS TOKEN
"""

import json
import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

address, token = sys.argv[1:]
http = Client(base_url=address, headers={"authorization": f"Bearer {token}"}, timeout=60)
client = SyncSCIMClient(http)
client.discover()
results = check_server(client)
bad = (Status.ERROR, Status.CRITICAL, Status.DEVIATION)
failed = [f"{each.status.name} {each.title}: {each.reason}" for each in results if each.status in bad]
print(json.dumps({"checks": len(results), "failed": failed}))
