"""A foreign HTTP/2 client (httpx): http2_client.py URL CA TOKEN. Prints one JSON object a call."""
import json, ssl, sys

import httpx

url, ca, token = sys.argv[1:4]
context = ssl.create_default_context(cafile=ca)
with httpx.Client(http2=True, http1=False, verify=context, timeout=20, trust_env=False) as client:
    for headers in ({}, {"Authorization": "Bearer " + token}, {"Authorization": "Bearer " + token, "X-Tenant-ID": "spoofed"}):
        answer = client.get(url, headers=headers)
        print(json.dumps({"status": answer.status_code, "version": answer.http_version,
                          "served_by": answer.headers.get("x-served-by"), "body": answer.text}))
