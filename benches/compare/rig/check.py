"""Does a peer do the job? Asked before its figures count: a proxy that skips a step is quicker than one that takes it."""
import contextlib
import dataclasses
import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import process
from .scenarios import SCENARIOS

LIMIT = 7


class Mirror(BaseHTTPRequestHandler):
    """An upstream that answers with what reached it."""
    protocol_version = "HTTP/1.1"
    # One packet an answer: a burst has to fit into the time in which a bucket gets one token back.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        seen = [value for name, value in self.headers.items() if name.lower() == "x-tenant-id"]
        body = json.dumps({"port": self.server.server_port, "tenant": seen}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


class Mirrors:
    """Both pools as mirrors."""

    def __init__(self, ports):
        self.servers = [ThreadingHTTPServer(("127.0.0.1", port), Mirror) for port in ports]

    def __enter__(self):
        for server in self.servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()


def asked(connection, token):
    """Sends a call. The client claims to be somebody else, in two spellings."""
    connection.putrequest("GET", "/check")
    connection.putheader("X-Tenant-ID", "somebody-else")
    connection.putheader("x-tenant-id", "another")
    if token is not None:
        connection.putheader("Authorization", "Bearer " + token)
    connection.endheaders()


def answered(connection):
    """Status, and what the mirror says."""
    reply = connection.getresponse()
    body = reply.read()
    try:
        return reply.status, json.loads(body)
    except ValueError:
        return reply.status, {}


def call(port, token):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        asked(connection, token)
        return answered(connection)


def burst(port, token, count):
    """The statuses of so many calls at once, in order. All are sent before an answer is read: on a busy
    machine eight calls one after the other take longer than a token needs to come back."""
    with contextlib.ExitStack() as held:
        connections = [held.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)))
                       for _ in range(count)]
        for connection in connections:
            connection.connect()
        for connection in connections:
            asked(connection, token)
        return sorted(answered(connection)[0] for connection in connections)


def good_tokens(stage, trial):
    for place, pool in (("first_region", stage.first_pool), ("second_region", stage.second_pool)):
        status, seen = call(stage.port, trial[place]["token"])
        if status != 200:
            yield "a good token of the %s: %s" % (place.replace("_", " "), status)
            continue
        if seen.get("tenant") != [trial[place]["customer"]]:
            yield "X-Tenant-ID is %s and not the claim" % seen.get("tenant")
        if seen.get("port") != pool:
            yield "a call of the %s went to the other pool" % place.replace("_", " ")


def bad_tokens(stage, trial):
    # Twice: what was refused must not be let through because it is known by now.
    for time_of in ("first", "second"):
        for what, token in [*trial["refused"].items(), ("no token", None)]:
            status, _ = call(stage.port, token)
            if status not in (401, 403):
                yield "%s, the %s time: %s" % (what, time_of, status)


def limit(stage, trial):
    wanted = [200] * LIMIT + [429]
    tried = []
    # A window's end or a token's return may fall into the burst; not three times.
    for _ in range(3):
        time.sleep(1.3)
        tried.append(burst(stage.port, trial["limited"], len(wanted)))
        if tried[-1] == wanted:
            break
    else:
        yield "at %d/s a burst was answered with %s" % (LIMIT, tried[0])
    status, _ = call(stage.port, trial["neighbour"])
    if status != 200:
        yield "another customer's call: %s" % status


def failures(stage, name):
    """What the peer does not do; nothing if it does the whole job."""
    trial = stage.keys.trial
    scenario = SCENARIOS["seed"]
    found = []
    try:
        with stage.start(name, scenario, trial["readiness"]):
            found += good_tokens(stage, trial)
            found += bad_tokens(stage, trial)
        with stage.start(name, dataclasses.replace(scenario, limit=LIMIT), trial["readiness"]):
            found += limit(stage, trial)
    except (process.Failed, OSError, http.client.HTTPException) as error:
        found.append(str(error))
    return found
