"""The peers: scripts of `peers/` that write a configuration and become the proxy."""
import os
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from . import keys, process
from .load import PROJECT

FOLDER = os.path.normpath(os.path.join(PROJECT, "benches", "compare"))
ORDER = ["haproxy", "haproxy-cache", "nginx", "envoy", "envoy-cache", "traefik", "caddy", "tollgate",
         "tollgate-nocache"]
# Tollgate with the configurations of the growth scenarios; it is compared with itself.
GROWTH = "tollgate-growth"


def environment():
    """What every script sees. The project's own release binary counts before one that is installed."""
    folder = os.environ.get("CARGO_TARGET_DIR", os.path.join(PROJECT, "target"))
    own = os.path.join(folder, "release", "tollgate")
    tollgate = os.environ.get("TOLLGATE") or (own if os.path.exists(own) else "tollgate")
    # Servers live in sbin, which a user's PATH may lack.
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    return {"TOLLGATE": tollgate, "PATH": path}


def script(name):
    return os.path.join(FOLDER, "peers", name + ".sh")


def exists(name):
    return os.path.exists(script(name))


def ask(name, *question):
    return subprocess.run([script(name), *question], env={**os.environ, **environment()}, capture_output=True,
                          text=True)


def does(name, job):
    """Is it installed, and does it do this job?"""
    return ask(name, "supports", job).returncode == 0


def version(name):
    return ask(name, "version").stdout.strip()


class Stage:
    """The ports, keys and folders between which peers take turns."""

    def __init__(self, folder, run_keys, place, workers):
        self.folder = folder
        self.keys = run_keys
        self.place = place
        self.workers = workers
        self.port, self.first_pool, self.second_pool = process.free_ports(3)

    def variables(self, folder, scenario):
        """What a script is told; README.md lists it."""
        return {
            **environment(),
            "BENCH_JOB": scenario.job, "BENCH_PORT": str(self.port), "BENCH_TLS": "1" if scenario.tls else "0",
            "BENCH_WORKERS": str(self.workers), "BENCH_LIMIT": str(scenario.limit), "BENCH_DIR": folder,
            "BENCH_US": "127.0.0.1:%d" % self.first_pool, "BENCH_EU": "127.0.0.1:%d" % self.second_pool,
            "BENCH_KEYS": self.keys.folder, "BENCH_ISS": keys.ISSUER, "BENCH_AUD": keys.AUDIENCE,
            "BENCH_ROUTES": str(scenario.routes), "BENCH_CUSTOMERS": str(scenario.customers),
            "BENCH_CACHE": str(scenario.cache),
        }

    def fresh(self, name):
        folder = os.path.join(self.folder, name)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        return folder

    def upstream(self):
        """nginx behind the peers, on the CPU of the load."""
        folder = self.fresh("upstream")
        return process.Server(self.place.on_load_cpu([os.path.join(FOLDER, "upstream.sh")]),
                              self.variables(folder, NOTHING), self.first_pool,
                              os.path.join(self.folder, "upstream.log"), self.place)

    def start(self, name, scenario, token):
        """The peer, once it has answered a call with 200: some listen before they know their routes."""
        folder = self.fresh(name)
        server = process.Server(self.place.on_proxy_cpu([script(name), "start"]), self.variables(folder, scenario),
                                self.port, os.path.join(self.folder, name + ".log"), self.place)
        try:
            self.wait_until_it_answers(server, scenario, token)
        except process.Failed:
            server.stop()
            raise
        return server

    def wait_until_it_answers(self, server, scenario, token, seconds=10):
        path = scenario.path or "/shelf-0/small"
        request = urllib.request.Request("%s://localhost:%d%s" % ("https" if scenario.tls else "http", self.port,
                                                                  "/small" if path == "/post" else path))
        if token:
            request.add_header("Authorization", "Bearer " + token)
        trusting = ssl._create_unverified_context() if scenario.tls else None
        # Not through a proxy of the machine's surroundings.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=trusting))
        deadline = time.monotonic() + seconds
        answer = "nothing"
        while time.monotonic() < deadline:
            try:
                with opener.open(request, timeout=2) as reply:
                    if reply.status == 200:
                        return
                    answer = reply.status
            except OSError as error:
                answer = error
            time.sleep(0.05)
        raise process.Failed("never answered 200 (but %s): %s" % (answer, server.said()))


class NOTHING:
    """The upstream has no scenario."""
    job, tls, limit, routes, customers, cache = "plain", False, 0, 0, 0, 0
