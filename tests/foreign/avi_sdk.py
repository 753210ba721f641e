"""Drives avisdk, as it is, against a gateway.

    avi_sdk.py CONTROLLER PORT CERTIFICATE STEP [TOKEN]

CONTROLLER is a host name that leads to loopback here, and CERTIFICATE is believed. Each line on standard output is a JSON value;
where a step has to wait for the test it prints "turn" and reads a line.
"""

import base64
import json
import logging
import os
import socket
import sys
import warnings

CONTROLLER, PORT, CERTIFICATE, STEP = sys.argv[1:5]
os.environ["REQUESTS_CA_BUNDLE"] = CERTIFICATE
os.environ["CURL_CA_BUNDLE"] = CERTIFICATE
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

from avi.sdk.avi_api import APIError, ApiSession, AviCredentials, AviServerError, ObjectNotFound  # noqa: E402

_addresses = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **named: _addresses("127.0.0.1", *more, **named)

PASSWORD = "correct horse battery staple"


def say(value):
    print(json.dumps(value), flush=True)


def turn():
    say("turn")
    sys.stdin.readline()


def connect(user="admin", **more):
    more.setdefault("password", PASSWORD)
    return ApiSession(CONTROLLER, user, port=int(PORT), verify=CERTIFICATE, timeout=20, **more)


def refused(call):
    """What became of a call that is not to succeed."""
    try:
        answer = call()
    except (APIError, AviServerError, ObjectNotFound) as error:
        response = getattr(error, "rsp", None)
        return {"raised": type(error).__name__, "status": getattr(response, "status_code", None)}
    return {"status": getattr(answer, "status_code", None), "text": getattr(answer, "text", None)}


def crud():
    api = connect()
    say({"version": api.remote_api_version})
    made = api.post("pool", data={"name": "pool-1"})
    pool = made.json()
    read = api.get("pool/" + pool["uuid"])
    pool["enabled"] = False
    put = api.put("pool/" + pool["uuid"], data=pool)
    patched = api.patch("pool/" + pool["uuid"], data={"replace": {"enabled": True}})
    found = api.get_object_by_name("pool", "pool-1")
    gone = api.delete("pool/" + pool["uuid"])
    missing = refused(lambda: api.get("pool/" + pool["uuid"]).json())
    say({
        "made": made.status_code, "read": read.json()["name"], "put": put.json()["enabled"],
        "patched": patched.status_code, "found": found["uuid"] == pool["uuid"], "gone": gone.status_code,
        "missing": missing,
    })
    for index in range(230):
        api.post("pool", data={"name": "pool-%d" % index})
    names = [pool["name"] for pool in api.get_objects_iter("pool")]
    say({"paged": len(names), "different": len(set(names))})
    say({"page_size": [refused(lambda n=n: api.get("pool?page_size=%d" % n))["status"] for n in (1, 200, 201, 0)]})
    api.delete_session()


def tenants():
    api = connect("alice", tenant="finance")
    codes = {
        "own": api.get("pool").status_code,
        "other": api.get("pool", tenant="sales").status_code,
        "by_uuid": api.get("pool", tenant_uuid="tenant-sales-uuid").status_code,
        "unknown_uuid": api.get("pool", tenant_uuid="tenant-nobody").status_code,
        "without_a_role": api.get("pool", tenant="hr").status_code,
        "admin": api.get("pool", tenant="admin").status_code,
        "disagree": api.get("pool", tenant="finance", headers={"X-Avi-Tenant-UUID": "tenant-sales-uuid"}).status_code,
    }
    say(codes)
    by_default = ApiSession(avi_credentials=AviCredentials(
        controller=CONTROLLER, username="alice", password=PASSWORD, port=int(PORT), tenant=None), verify=CERTIFICATE, port=int(PORT))
    say({"default": by_default.get("pool").status_code})
    admin = connect()
    say({"admin_everywhere": [admin.get("pool", tenant=name).status_code for name in ("admin", "finance", "hr")]})
    turn()
    say({"admin_later": admin.get("pool", tenant="later").status_code,
         "admin_later_by_uuid": admin.get("pool", tenant_uuid="tenant-later-uuid").status_code})


def versions():
    codes = {}
    for version in (None, "17.2.4", "9.9.9", "30.2.1", "30.2.2", "100.1.1"):
        api = connect(api_version=version)
        answer = api.get("pool")
        codes[str(version)] = answer.status_code
        if answer.status_code != 200:
            codes["text " + version] = answer.text
        ApiSession.clear_cached_sessions()
    api = connect(api_version="31.1.1")
    codes["by_name"] = refused(lambda: api.get_object_by_name("pool", "pool-1"))["raised"]
    say(codes)


def expiry():
    api = connect()
    first = api.avi_credentials.session_id
    say({"before": api.get("pool").status_code})
    turn()
    answer = api.post("pool", data={"name": "after"})
    say({"after": answer.status_code, "another": api.avi_credentials.session_id != first})
    # A session that was ended at the gateway, while the client believes in it.
    api.delete_session()
    say({"signed_out": api.get("pool").status_code})


def credentials():
    token = sys.argv[5]
    basic = {"Authorization": "Basic " + base64.b64encode(("admin:" + PASSWORD).encode()).decode()}
    wrong = {"Authorization": "Basic " + base64.b64encode(b"admin:wrong").decode()}
    bearer = {"Authorization": "Bearer " + token}
    answers = {}
    for name, headers in (("basic", basic), ("bearer", bearer)):
        api = ApiSession(CONTROLLER, "admin", PASSWORD, port=int(PORT), verify=CERTIFICATE, user_hdrs=headers,
                         lazy_authentication=True)
        answers[name] = [api.get("pool").status_code, api.post("pool", data={"name": name}).status_code]
    api = ApiSession(CONTROLLER, "admin", PASSWORD, port=int(PORT), verify=CERTIFICATE, user_hdrs=wrong,
                     lazy_authentication=True)
    answers["wrong_basic"] = refused(lambda: api.get("pool"))
    by_token = ApiSession(CONTROLLER, "admin", token=token, port=int(PORT), verify=CERTIFICATE)
    answers["token_in_the_form"] = [by_token.get("pool").status_code, by_token.post("pool", data={"name": "t"}).status_code]
    answers["wrong_password"] = refused(lambda: connect(password="wrong"))
    answers["wrong_token"] = refused(lambda: ApiSession(
        CONTROLLER, "admin", token="wrong", port=int(PORT), verify=CERTIFICATE).get("pool"))
    say(answers)


def securechanneltoken():
    api = connect()
    made = api.post("securechanneltoken", data={"name": "an-auth-token-of-32-characters-x", "metadata": [{"key": "se", "val": "1"}]})
    say({"status": made.status_code, "token": made.json()})
    listed = api.get("securechanneltoken").json()
    say({"count": listed["count"], "in_use": [one["in_use"] for one in listed["results"]]})
    turn()
    listed = api.get("securechanneltoken").json()
    uuid = made.json()["uuid"]
    say({"in_use": [one["in_use"] for one in listed["results"]], "gone": api.delete("securechanneltoken/" + uuid).status_code})


{"crud": crud, "tenants": tenants, "versions": versions, "expiry": expiry, "credentials": credentials,
 "securechanneltoken": securechanneltoken}[STEP]()
