"""The sample program that is printed in the product's guide, with its one repair (`.json()`), and the calls that follow it.

    vcenter_sample.py BASE USERNAME DOMAIN PASSWORD CERTIFICATE

Prints a JSON object of what came of it.
"""

import json
import sys

import requests

BASE, USERNAME, DOMAIN, PASSWORD, CERTIFICATE = sys.argv[1:6]
SERVICES = BASE + "/Spectre/api/rest/v1/Services"


def login():
    body = {"apiUserCredential": {"username": USERNAME, "domain": DOMAIN, "password": PASSWORD}}
    answer = requests.post(SERVICES + "/AuthenticationService/login", json=body, verify=False, timeout=10)
    if answer.status_code == 200:
        return answer.json()["accessToken"]
    print(json.dumps({"login": answer.status_code, "body": answer.text}))
    sys.exit(0)


def main():
    token = login()
    bearer = {"Authorization": "Bearer " + token}
    url = SERVICES + "/PluginProfileService/Profiles"
    before = requests.get(url, headers=bearer, verify=CERTIFICATE, timeout=10)
    off = requests.post(SERVICES + "/AuthenticationService/logoff", headers=bearer, verify=CERTIFICATE, timeout=10)
    after = requests.get(url, headers=bearer, verify=CERTIFICATE, timeout=10)
    print(json.dumps({"login": 200, "parts": token.count(".") + 1, "call": before.status_code,
                      "logoff": off.status_code, "after": after.status_code, "body": after.text}))


main()
