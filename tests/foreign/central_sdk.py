"""Drives pycentral, as it is, against a gateway: login to API call, refresh after expiry, recovery from 429, a call on a tenant.

    central_sdk.py URL CLIENT SECRET CUSTOMER CERTIFICATE FOLDER STEP

URL is where clients find the gateway: its host name leads to loopback here, and CERTIFICATE is believed. FOLDER is where the SDK
keeps its token file. Each line on standard output is a JSON value;
where a step has to wait for the clock to be turned it prints "turn" and reads a line.
"""

import json
import logging
import os
import socket
import sys

URL, CLIENT, SECRET, CUSTOMER, CERTIFICATE, FOLDER, STEP = sys.argv[1:8]
os.environ["REQUESTS_CA_BUNDLE"] = CERTIFICATE

from pycentral.base import ArubaCentralBase  # noqa: E402 (it reads the environment)

_addresses = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **named: _addresses("127.0.0.1", *more, **named)

INFO = {
    "base_url": URL,
    "client_id": CLIENT,
    "client_secret": SECRET,
    "customer_id": CUSTOMER,
    "username": "operator@msp.example",
    "password": "correct horse battery staple",
}


def say(value):
    print(json.dumps(value), flush=True)


def connect():
    quiet = logging.getLogger("central-sdk")
    quiet.addHandler(logging.StreamHandler(sys.stderr))
    return ArubaCentralBase(
        central_info=dict(INFO), token_store={"type": "local", "path": FOLDER}, logger=quiet, ssl_verify=True
    )


def call(central, method="GET", path="/monitoring/v1/aps", **more):
    answer = central.command(apiMethod=method, apiPath=path, **more)
    return {"code": answer["code"], "msg": answer["msg"]}


def main():
    central = connect()
    first = central.central_info["token"]
    say({"token": sorted(first), "call": call(central, apiParams={"limit": 10, "offset": 0})})
    if STEP == "refresh":
        say("turn")
        sys.stdin.readline()
        answer = call(central)
        now = central.central_info["token"]
        say({"call": answer, "another": now["access_token"] != first["access_token"],
             "rotated": now["refresh_token"] != first["refresh_token"]})
    elif STEP == "limited":
        # Seven a second are let through; the SDK waits two seconds for itself and tries again.
        say([call(central)["code"] for _ in range(10)])
    elif STEP == "tenant":
        headers = {"TenantID": "267958b55d5a463e94a302c20f4a6b68", "Content-Type": "application/json"}
        own = call(central, path="/central/v2/sites", headers=headers)
        headers["TenantID"] = "00000000000000000000000000000000"
        other = call(central, path="/central/v2/sites", headers=headers)
        say({"own": own["code"], "other": other["code"]})


main()
