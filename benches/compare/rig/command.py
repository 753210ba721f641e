"""The command line: runs peers through scenarios in turn, and renders records.

    run                                    every peer that is installed, every scenario, 3 rounds
    run --peers haproxy,tollgate --scenarios plain,seed --rounds 5
    run --verify                           only tries whether the peers do the job
    run report FILE.json... [--into docs/performance.md]
    run workers                            instructions a request with one worker and with two (needs valgrind)
    run tools                              says what is missing, and how to get it
"""
import argparse
import contextlib
import os
import resource
import shutil
import signal
import sys
import tempfile

from . import check, figures, instructions, keys, measure, peers, process, record, report, scenarios, tools
from .load import Load, open_load_program

# The peer that others are compared with, and whose capacity sets the rate of open load.
BASE = "haproxy"


def say(text=""):
    print(text, flush=True)


def options(words):
    parser = argparse.ArgumentParser(prog="run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=",".join(peers.ORDER), help="by name, with commas between them")
    parser.add_argument("--scenarios", default=",".join(scenarios.SCENARIOS), help="by name, with commas between them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--secs", type=int, default=4, help="length of a measurement")
    parser.add_argument("--warmup", type=int, default=1, help="seconds of load before it")
    parser.add_argument("--workers", type=int, default=1, help="worker threads of each proxy")
    parser.add_argument("--proxy-cpu", default="1", help="CPUs of the proxy, as taskset takes them")
    parser.add_argument("--load-cpu", default="0", help="CPUs of load and upstream")
    parser.add_argument("--no-pin", action="store_true", help="leave it to the kernel which CPU does what")
    parser.add_argument("--boost", action="store_true", help="run ahead of other work on this machine (as root)")
    parser.add_argument("--verify", action="store_true", help="only try whether the peers do the job")
    parser.add_argument("--json", metavar="FILE", help="write the record of the run there")
    parser.add_argument("--keep", metavar="DIR", help="leave configurations, logs and keys of the run in this folder")
    chosen = parser.parse_args(words)
    if not chosen.no_pin and (os.cpu_count() or 1) < 2:
        parser.error("one CPU only: proxy and load would share it. --no-pin measures all the same")
    return chosen


@contextlib.contextmanager
def working_folder(kept):
    folder = kept or tempfile.mkdtemp(prefix="compare-")
    os.makedirs(folder, exist_ok=True)
    # nginx's workers give up root's rights, and have to get at their files.
    os.chmod(folder, 0o755)
    try:
        yield folder
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


def allow_many_files():
    """Thousands of connections are held at a time; children inherit what is allowed here."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def present(names):
    """Peers that are installed; why others are not among them."""
    unknown = [name for name in names if not peers.exists(name)]
    if unknown:
        raise KeyError("no such peer: %s. There are: %s" % (", ".join(unknown), ", ".join(peers.ORDER)))
    skipped = {name: "not installed" for name in names if not (peers.does(name, "plain") or peers.does(name, "seed"))}
    return [name for name in names if name not in skipped], skipped


def try_peers(stage, names):
    """What each of the peers that claim to do the job does not do."""
    failed = {}
    with check.Mirrors((stage.first_pool, stage.second_pool)):
        for name in names:
            if peers.does(name, "seed"):
                found = check.failures(stage, name)
                say("%-17s %s" % (name, "does the whole job" if not found else "FAILS: " + "; ".join(found)))
                if found:
                    failed[name] = found
    return failed


def blocks(chosen, names, failed):
    """What is interleaved: the peers of a scenario, or all of growth, which is compared with its own base."""
    growing = [(scenario, peers.GROWTH) for scenario in chosen if scenario.job == "growth"]
    for scenario in chosen:
        if scenario.job == "growth":
            continue
        able = [name for name in names if peers.does(name, scenario.job)
                and not (scenario.job == "seed" and name in failed)]
        yield [(scenario, name) for name in able]
    if growing and peers.does(peers.GROWTH, "growth"):
        yield growing


class Run:
    def __init__(self, arguments, stage, sender, kept):
        self.arguments = arguments
        self.stage = stage
        self.sender = sender
        self.record = kept
        self.base_rate = None

    def keep(self, *what):
        self.record.add(*what)
        if self.arguments.json:
            self.record.write(self.arguments.json)

    def rate(self, scenario):
        """Of open load: a share of what the base peer can do in the seed job, in this run."""
        if scenario.tool != "open":
            return None
        if self.base_rate is None:
            measured = figures.of(self.record.measurements, "seed", BASE, "rate")
            if measured is None:
                say("capacity of %s, for open load" % BASE)
                seed = scenarios.SCENARIOS["seed"]
                result = measure.measured(self.stage, self.sender, BASE, seed, self.arguments)
                self.keep("seed", BASE, 1, result)
                measured = figures.of(self.record.measurements, "seed", BASE, "rate")
            self.base_rate = measured.median
        return self.base_rate * scenario.share

    def one(self, scenario, name, number):
        try:
            result = measure.measured(self.stage, self.sender, name, scenario, self.arguments, self.rate(scenario))
        except (process.Failed, OSError) as error:
            say("  %-17s FAILED: %s" % (name, error))
            self.keep(scenario.name, name, number, {"failed": str(error)})
            return
        if scenario.tool == "idle":
            said = "%7.1f KiB a connection" % result["kib_per_connection"]
        else:
            said = "%7.1f µs, %7.0f a second, %3.0f %% busy, foreign %2.0f %%%s" % (
                result["cpu_us"], result["rate"], result["busy_percent"], result["foreign_percent"],
                ", %d unexpected, %d errors" % (result["unexpected"], result["errors"])
                if result["unexpected"] or result["errors"] else "")
        say("  %-16s %-17s %s" % (scenario.name, name, said))
        self.keep(scenario.name, name, number, result)

    def block(self, pairs):
        say("\n%s" % "; ".join(dict.fromkeys("%s: %s" % (scenario.name, scenario.text) for scenario, _ in pairs)))
        for number in range(self.arguments.rounds):
            # Whoever is first changes: what a machine does at the beginning of a round hits each of them once.
            turn = number % len(pairs)
            for scenario, name in pairs[turn:] + pairs[:turn]:
                self.one(scenario, name, number + 1)


def why_not(chosen):
    """What has to be there for these scenarios and is not."""
    complaint = tools.complaint()
    if complaint:
        return complaint
    if any(scenario.tool == "open" for scenario in chosen) and not os.path.exists(open_load_program()):
        return "missing: open-load. cargo build --release --locked --example open-load; or OPEN_LOAD=its path"
    return None


def compare(arguments):
    chosen = scenarios.chosen([name for name in arguments.scenarios.split(",") if name])
    lacking = why_not([] if arguments.verify else chosen)
    if lacking:
        say(lacking)
        return 2
    names, skipped = present([name for name in arguments.peers.split(",") if name])
    for name, why in skipped.items():
        say("%-17s skipped: %s" % (name, why))
    if not names:
        say("no peer is left")
        return 2
    allow_many_files()
    place = process.Place(None if arguments.no_pin else arguments.proxy_cpu,
                          None if arguments.no_pin else arguments.load_cpu, arguments.boost)
    place.put_rig_ahead()
    with working_folder(arguments.keep) as folder:
        run_keys = keys.Keys(os.path.join(folder, "keys"))
        stage = peers.Stage(folder, run_keys, place, arguments.workers)
        failed = try_peers(stage, names)
        if arguments.verify:
            return 1 if failed else 0
        kept = record.Record(vars(arguments), {name: peers.version(name) for name in names})
        kept.content["skipped"], kept.content["failed_checks"] = skipped, failed
        run = Run(arguments, stage, Load(run_keys, place, folder), kept)
        with stage.upstream():
            alone = run.sender.wrk(scenarios.SCENARIOS["plain"], stage.first_pool, 1)
            kept.content["upstream_alone_rate"] = alone["requests"] / alone["seconds"]
            say("load and upstream without a proxy: %.0f requests a second" % kept.content["upstream_alone_rate"])
            for pairs in blocks(chosen, names, failed):
                if pairs:
                    run.block(pairs)
    if arguments.json:
        kept.write(arguments.json)
        say("\n" + report.summary(record.read([arguments.json])))
    else:
        say("\n" + report.summary({**kept.content, "runs": [kept.content]}))
    return 1 if any("failed" in one for one in kept.measurements) else 0


def main(words=None):
    words = sys.argv[1:] if words is None else words
    for which in (signal.SIGTERM, signal.SIGINT):
        # As an exception, so that whatever runs is stopped on the way out.
        signal.signal(which, lambda *_: sys.exit("stopped"))
    try:
        if words[:1] == ["report"]:
            return report.main(words[1:])
        if words[:1] == ["workers"]:
            return instructions.main()
        if words[:1] == ["tools"]:
            complaint = tools.complaint()
            if complaint:
                say(complaint)
            return 2 if complaint else 0
        return compare(options(words))
    except (KeyError, ValueError, process.Failed) as error:
        say(error.args[0])
        return 2
