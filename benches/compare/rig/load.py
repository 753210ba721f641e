"""The load: what is sent to a peer, by which tool, and what the tool says of it."""
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time

from . import figures, keys, process

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.normpath(os.path.join(HERE, "..", "..", ".."))
IDLE_CONNECTIONS = 2000


def run(command, environment=None):
    done = subprocess.run(command, env={**os.environ, **(environment or {})}, capture_output=True, text=True)
    if done.returncode:
        raise process.Failed("%s ended with %d: %s" % (command, done.returncode, (done.stderr + done.stdout)[-800:]))
    return done.stdout


def url(scenario, port, path=None):
    return "%s://127.0.0.1:%d%s" % ("https" if scenario.tls else "http", port, path or scenario.path)


class Load:
    """Sends a scenario's traffic to a port."""

    def __init__(self, run_keys, place, folder):
        self.keys = run_keys
        self.place = place
        self.folder = folder
        self.growth_tokens = []

    def tokens(self, scenario):
        """As many as the scenario has. Those of growth are by HS256: see `keys.by_secret`."""
        if scenario.job != "growth":
            return self.keys.tokens(scenario.tokens)
        if len(self.growth_tokens) < scenario.tokens:
            self.growth_tokens = list(keys.by_secret(self.keys.secret, scenario.tokens, keys.CUSTOMERS, self.keys.now))
        return self.growth_tokens[:scenario.tokens]

    def calls(self, scenario):
        """The file of calls that wrk sends in turn."""
        path = os.path.join(self.folder, "calls-" + scenario.name)
        if not os.path.exists(path):
            tokens = self.tokens(scenario)
            if scenario.job == "growth":
                count = max(len(tokens), scenario.routes)
                lines = ["/shelf-%d/small %s" % (number % scenario.routes, tokens[number % len(tokens)])
                         for number in range(count)]
            else:
                lines = ["%s %s" % (scenario.path, token) for token in tokens] or [scenario.path]
            with open(path, "w") as file:
                file.write("".join(line + "\n" for line in lines))
        return path

    def send(self, scenario, port, seconds, rate=None, warmup=0):
        """The load for so long; what came of it. Only open load takes a warm-up of its own: requests that find their
        connection not open yet would be its slowest ones."""
        if scenario.tool == "h2load":
            return self.h2load(scenario, port, seconds)
        if scenario.tool == "handshakes":
            return self.handshakes(scenario, port, seconds)
        if scenario.tool == "open":
            return self.open_load(scenario, port, seconds, rate, warmup)
        return self.wrk(scenario, port, seconds)

    def wrk(self, scenario, port, seconds):
        said = run(self.place.on_load_cpu([
            "wrk", "-t", "1", "-c", str(scenario.connections), "-d", "%ds" % seconds, "--timeout", "5s",
            "-s", os.path.join(HERE, "calls.lua"), url(scenario, port, "/")]),
            {"CALLS": self.calls(scenario), "BODY": str(scenario.body)})
        line = re.search(r"^result (.*)$", said, re.MULTILINE)
        if not line:
            raise process.Failed("wrk gave no result: " + said[-800:])
        number = {name: int(float(value)) for name, value in (pair.split("=") for pair in line.group(1).split())}
        return {"requests": number["requests"], "seconds": number["micros"] / 1e6, "p50_us": number["p50"],
                "p99_us": number["p99"], "refused": number["refused"], "errors": number["errors"]}

    def h2load(self, scenario, port, seconds):
        """One token only: h2load has no means to take them in turn."""
        log = os.path.join(self.folder, "h2load.log")
        if os.path.exists(log):
            os.unlink(log)  # it appends
        fields = ["-H", "authorization: Bearer " + self.tokens(scenario)[0], "-H", "x-tenant-id: somebody-else"]
        begun = time.monotonic()
        said = run(self.place.on_load_cpu(["h2load", "-t", "1", "-c", str(scenario.connections), "-m", "8",
                                           "-D", str(seconds), "--log-file", log, *fields, url(scenario, port)]))
        took = time.monotonic() - begun
        if "Application protocol: h2" not in said:
            raise process.Failed("HTTP/2 was not spoken: " + said[-800:])
        codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said)
        good, moved, refused, broken = map(int, codes.groups())
        with open(log) as file:
            times = sorted(int(line.split("\t")[2]) for line in file if line.count("\t") >= 2)
        return {"requests": good + moved + refused + broken, "seconds": min(took, float(seconds)),
                "p50_us": figures.percentile(times, .5), "p99_us": figures.percentile(times, .99),
                "refused": moved + refused + broken, "errors": int(re.search(r"(\d+) failed", said).group(1))}

    def handshakes(self, scenario, port, seconds):
        """wrk would resume its sessions with every proxy that offers tickets, and measure something else there."""
        said = run(self.place.on_load_cpu([sys.executable, "-B", os.path.join(HERE, "handshakes.py"), str(port),
                                           str(scenario.connections), str(seconds), scenario.path]))
        return json.loads(said)

    def open_load(self, scenario, port, seconds, rate, warmup):
        said = run(self.place.on_load_cpu([
            open_load_program(), "--rate", "%d" % rate, "--seconds", str(seconds), "--warmup", str(warmup),
            "--connections", str(scenario.connections), "--tokens", self.keys.token_file(scenario.tokens),
            "--take", str(scenario.tokens), url(scenario, port)]))
        result = json.loads(said.strip().splitlines()[-1])
        refused = sum(count for status, count in result["statuses"].items() if int(status) >= 400)
        return {"requests": result["requests"], "seconds": result["seconds"], "refused": refused,
                "errors": result["errors"], "warmup_seconds": warmup, "wanted_rate": rate, "achieved_rate": result["achieved_rate"],
                **{name: result[name] for name in ("p50_us", "p90_us", "p99_us", "p999_us", "max_us",
                                                   "latest_start_us")}}

    def each_once(self, port, tokens, path):
        """Sends one call with each of these tokens, however long it takes; a million are minted as they go."""
        program = [sys.executable, "-B", os.path.join(HERE, "each_once.py"), str(port), path]
        feed = subprocess.Popen(self.place.on_load_cpu(program), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            for token in tokens:
                feed.stdin.write(token + "\n")
        except BrokenPipeError:
            pass  # its last words say why
        said, _ = feed.communicate()
        if feed.returncode:
            raise process.Failed("not every call was answered: " + said.strip())
        return json.loads(said)


def open_load_program():
    """The load tool with constant arrivals, an example of this project."""
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(PROJECT, "target"))
    return os.environ.get("OPEN_LOAD") or os.path.join(target, "release", "examples", "open-load")


def idle(scenario, server, port, count=IDLE_CONNECTIONS):
    """Memory for each connection that has made one request and waits for the next."""
    context = None
    if scenario.tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    call = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def opened():
        connection = socket.create_connection(("127.0.0.1", port), 10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            connection = context.wrap_socket(connection, server_hostname="localhost")
        connection.sendall(call)
        answer = b""
        while not answer.endswith(b"}"):
            piece = connection.recv(8192)
            if not piece:
                raise process.Failed("a connection was closed")
            answer += piece
        return connection

    # What the first connections make a proxy set up once must not be counted for the others.
    held = [opened() for _ in range(20)]
    time.sleep(0.5)
    before = process.memory(server.pid, "VmRSS")
    held += [opened() for _ in range(count)]
    time.sleep(1)
    after = process.memory(server.pid, "VmRSS")
    first = sum(process.spent(server.pid))
    time.sleep(2)
    idle_cpu = (sum(process.spent(server.pid)) - first) / 2 * 100
    dead = 0
    for connection in held[::50]:
        try:
            connection.sendall(call)
            dead += not connection.recv(8192)
        except OSError:
            dead += 1
    for connection in held:
        connection.close()
    return {"kib_per_connection": (after - before) / count, "rss_before_mib": before / 1024, "rss_mib": after / 1024,
            "idle_cpu_percent": idle_cpu, "dead": dead}
