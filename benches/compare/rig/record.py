"""The record of a run, from which all tables are made: the machine, the commit, versions, every measurement."""
import json
import os
import platform
import re
import subprocess
import time

from .load import PROJECT

FORMAT = 1


def line_of(path, pattern=r"(.*)"):
    try:
        with open(path) as file:
            found = re.search(pattern, file.read())
        return found.group(1).strip() if found else None
    except OSError:
        return None


def machine():
    memory = line_of("/proc/meminfo", r"MemTotal:\s+(\d+)")
    return {
        "cpu": line_of("/proc/cpuinfo", r"model name\s*:\s*(.*)") or platform.machine(),
        "cores": os.cpu_count(),
        "memory_mib": int(memory) // 1024 if memory else None,
        "kernel": platform.release(),
        "congestion_control": line_of("/proc/sys/net/ipv4/tcp_congestion_control"),
    }


def git(*arguments):
    done = subprocess.run(["git", "-C", PROJECT, *arguments], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def commit():
    """Which tree was measured; nothing of it where the sources came without their history."""
    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return {"id": git("rev-parse", "HEAD"), "changed": None if changed is None else bool(changed)}
    except FileNotFoundError:
        return {"id": None, "changed": None}


class Record:
    def __init__(self, arguments, versions):
        self.content = {
            "format": FORMAT,
            "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine(),
            "commit": commit(),
            "versions": versions,
            "arguments": arguments,
            "skipped": {},
            "failed_checks": {},
            "upstream_alone_rate": None,
            "measurements": [],
        }
        self.measurements = self.content["measurements"]

    def add(self, scenario, peer, number, figures):
        self.measurements.append({"scenario": scenario, "peer": peer, "round": number, **figures})

    def write(self, path):
        """After every measurement: a run that is stopped keeps what it has."""
        folder = os.path.dirname(os.path.abspath(path))
        os.makedirs(folder, exist_ok=True)
        with open(path + ".new", "w") as file:
            json.dump(self.content, file, indent=1)
            file.write("\n")
        os.replace(path + ".new", path)


def read(paths):
    """Several records as one: measurements know their run, so that ratios stay within it. The newest run tells of the
    machine."""
    runs = []
    for path in paths:
        with open(path) as file:
            content = json.load(file)
        if content.get("format") != FORMAT:
            raise ValueError("%s is not a record of this rig" % path)
        runs.append(content)
    runs.sort(key=lambda content: content["begun"])
    whole = dict(runs[-1])
    for name in ("versions", "skipped", "failed_checks"):
        whole[name] = {peer: value for content in runs for peer, value in content[name].items()}
    whole["skipped"] = {peer: why for peer, why in whole["skipped"].items() if peer not in whole["versions"]}
    whole["measurements"] = [{**one, "run": number} for number, content in enumerate(runs)
                             for one in content["measurements"]]
    whole["runs"] = [{name: content[name] for name in ("begun", "commit", "machine", "arguments")} for content in runs]
    return whole
