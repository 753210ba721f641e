"""One measurement: a peer is started, warmed up, loaded and stopped."""
import os
import time

from . import keys, process
from .load import idle


def unexpected(scenario, load):
    """Answers that were not what the scenario asks for."""
    if not scenario.refusals_expected:
        return load["refused"]
    # What the limit lets through: the rate, and what a bucket had held before.
    allowed = keys.CUSTOMERS * scenario.limit * (load["seconds"] + 2)
    return max(0, int(load["requests"] - load["refused"] - allowed))


def seen_before(sender, stage, scenario):
    """Growth: customers who have called, or tokens that are known, before the clock starts."""
    if scenario.seen:
        minted = keys.by_secret(stage.keys.secret, scenario.seen, scenario.seen, stage.keys.now)
        return sender.each_once(stage.port, minted, "/shelf-0/small")
    if scenario.tokens > 1000:
        return sender.each_once(stage.port, sender.tokens(scenario), "/shelf-0/small")
    return None


def measured(stage, sender, name, scenario, arguments, rate=None):
    """The figures of one run of a scenario."""
    if scenario.job == "plain":
        token = None
    elif scenario.job == "growth":
        token = sender.tokens(scenario)[0]
    else:
        token = stage.keys.trial["readiness"]
    with stage.start(name, scenario, token) as server:
        if scenario.tool == "idle":
            return idle(scenario, server, stage.port)
        before = seen_before(sender, stage, scenario)
        warmup = arguments.warmup
        if warmup and scenario.tool != "open":
            sender.send(scenario, stage.port, warmup)
        user, system = process.spent(server.pid)
        own, whole, begun = sum(process.spent(os.getpid())), process.spent_by_machine(), time.monotonic()
        load = sender.send(scenario, stage.port, arguments.secs, rate, warmup)
        took = time.monotonic() - begun
        user, system = (after - first for after, first in zip(process.spent(server.pid), (user, system)))
        # The rig's own family holds the proxy, the upstream and the load; what is left was somebody else.
        foreign = process.spent_by_machine() - whole - (sum(process.spent(os.getpid())) - own)
        # The CPU time of open load is that of its warm-up too, in which as much was sent in a second.
        seconds = load["seconds"] + load.get("warmup_seconds", 0)
        count = max(1, load["requests"] * seconds / load["seconds"])
        result = {
            **load,
            "rate": load["requests"] / load["seconds"],
            "cpu_us": (user + system) * 1e6 / count,
            "user_us": user * 1e6 / count,
            "system_us": system * 1e6 / count,
            "busy_percent": (user + system) / seconds * 100,
            "foreign_percent": max(0.0, foreign / took * 100),
            "unexpected": unexpected(scenario, load),
            "rss_mib": process.memory(server.pid, "VmRSS") / 1024,
            "peak_rss_mib": process.memory(server.pid, "VmHWM") / 1024,
        }
        if before:
            result["called_before"] = before["calls"]
        return result
