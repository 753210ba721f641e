"""Instructions of a request, counted by callgrind: what a second worker costs.

    run workers                            instructions a request with one worker and with two, and their ratio

Counts of user space, of the whole process, in the seed job with one token over kept connections. Two runs that differ in
nothing but the number of requests are subtracted, so that start and end do not count.
"""
import os
import re
import shutil
import stat
import subprocess
import tempfile

from . import keys, peers, process, scenarios

FEW, MANY = 4_000, 24_000
CONNECTIONS = 16
# The most that a request may cost with two workers, as a multiple of what it costs with one.
MOST = 1.03


def counted(text):
    """The sum in what callgrind wrote, over all threads."""
    found = re.findall(r"^(?:summary|totals): (\d+)", text, re.M)
    if not found:
        raise process.Failed("callgrind wrote no sum")
    return int(found[-1])


def wrapped(folder, program, counts):
    """A program that is the given one under callgrind."""
    path = os.path.join(folder, "counting")
    with open(path, "w") as file:
        file.write("#!/bin/sh\nexec valgrind --quiet --tool=callgrind --callgrind-out-file='%s' '%s' \"$@\"\n" % (counts, program))
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


def instructions(workers, requests):
    scenario = scenarios.SCENARIOS["seed"]
    place = process.Place(None, None, False)
    process.Server.SECONDS_TO_LISTEN = 180
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        os.chmod(folder, 0o755)
        run_keys = keys.Keys(os.path.join(folder, "keys"))
        stage = peers.Stage(folder, run_keys, place, workers)
        counts = os.path.join(folder, "counts")
        program = shutil.which(peers.environment()["TOLLGATE"])
        if program is None:
            raise process.Failed("no Tollgate: `make release`, or TOLLGATE=its path")
        os.environ["TOLLGATE"] = wrapped(folder, program, counts)
        try:
            with stage.upstream(), stage.start("tollgate", scenario, run_keys.trial["readiness"]) as server:
                subprocess.run(["h2load", "--h1", "-t1", "-c%d" % CONNECTIONS, "-n%d" % requests,
                                "-H", "authorization: Bearer " + run_keys.trial["readiness"],
                                "http://127.0.0.1:%d/small" % stage.port],
                               check=True, capture_output=True)
                # The counts are written at the end, which takes its time.
                server.process.terminate()
                server.process.wait(120)
        finally:
            os.environ["TOLLGATE"] = program
        with open(counts) as file:
            return counted(file.read())


def of_a_request(workers):
    return (instructions(workers, MANY) - instructions(workers, FEW)) / (MANY - FEW)


def main():
    if shutil.which("valgrind") is None:
        print("missing: valgrind. Debian: apt-get install valgrind")
        return 2
    one = of_a_request(1)
    print("one worker:  %8.0f instructions a request" % one, flush=True)
    two = of_a_request(2)
    print("two workers: %8.0f instructions a request, %.3f of one worker's (at most %.2f)" % (two, two / one, MOST))
    return 0 if two / one <= MOST else 1
