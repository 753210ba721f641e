"""Drives the next version of pycentral, as it is, against an authorization server by the book: client credentials, calls over
HTTP/2, another token when the first has expired, recovery from 429.

    central_next_sdk.py URL CERTIFICATE CLIENT SECRET STEP

Each line on standard output is a JSON value; where a step has to wait for the clock to be turned it prints "turn" and reads a
line.
"""

import json
import os
import sys

URL, CERTIFICATE, CLIENT, SECRET, STEP = sys.argv[1:6]
os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = CERTIFICATE

from pycentral import NewCentralBase  # noqa: E402 (it reads the environment)


def say(value):
    print(json.dumps(value), flush=True)


def main():
    central = NewCentralBase(
        token_info={
            "new_central": {
                "base_url": URL,
                "token_endpoint": URL + "/oauth/token",
                "client_id": CLIENT,
                "client_secret": SECRET,
            }
        },
        log_level="ERROR",
    )

    def call():
        return central.command("GET", "resource/devices", api_params={"limit": 10})["code"]

    def token():
        return central.token_info["new_central"]["access_token"]

    if STEP == "expired":
        first = token()
        say({"call": call()})
        say("turn")
        sys.stdin.readline()
        say({"call": call(), "another": token() != first})
    elif STEP == "limited":
        say([call() for _ in range(60)])


main()
