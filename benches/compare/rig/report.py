"""Tables of a record: on the terminal, and in the manual's page between its marks."""
import argparse
import os
import re

from . import chart, figures, goals, peers, record
from .scenarios import GROWTH_BASE, SCENARIOS

BASE = "haproxy"


def table(head, rows):
    """Markdown; the first column is text, the others are numbers."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def number(value, digits=1):
    return "–" if value is None else "{:,.{}f}".format(value, digits)


def median(spread, digits=1, factor=1):
    return "–" if spread is None else number(spread.median * factor, digits)


def with_range(spread, digits=1, factor=1):
    if spread is None:
        return "–"
    return "%s (%s–%s)" % tuple(number(value * factor, digits) for value in spread[:3])


def peers_of(content, scenario):
    """Peers with a figure of the scenario, in the order of the table of peers."""
    found = {one["peer"] for one in content["measurements"] if one["scenario"] == scenario and "failed" not in one}
    known = [name for name in [*peers.ORDER, peers.GROWTH] if name in found]
    return known + sorted(found - set(known))


def highest(content, scenario, peer, field):
    values = figures.rounds_of(content["measurements"], scenario, peer, field).values()
    return max(values, default=0)


def total(content, scenario, peer, field):
    return sum(figures.rounds_of(content["measurements"], scenario, peer, field).values())


def cpu_table(content, scenario):
    rows = []
    for peer in peers_of(content, scenario.name):
        def of(field):
            return figures.of(content["measurements"], scenario.name, peer, field)
        ratio = figures.ratio(content["measurements"], (scenario.name, peer), (scenario.name, BASE), "cpu_us")
        cpu = of("cpu_us")
        rows.append((cpu.median, [
            peer, with_range(cpu), median(ratio, 2), "%s + %s" % (median(of("user_us")), median(of("system_us"))),
            median(of("rate"), 0), median(of("p50_us"), 2, .001), median(of("p99_us"), 2, .001),
            median(of("peak_rss_mib"), 0), median(of("busy_percent"), 0),
            number(highest(content, scenario.name, peer, "foreign_percent"), 0),
            number(total(content, scenario.name, peer, "unexpected"), 0),
            number(total(content, scenario.name, peer, "errors"), 0)]))
    head = ["peer", "CPU µs/request (min–max)", "× " + BASE, "user + system", "requests/s", "p50 ms", "p99 ms",
            "peak RSS MiB", "proxy busy %", "foreign CPU %", "unexpected", "errors"]
    return table(head, [cells for _, cells in sorted(rows, key=lambda row: row[0])])


def idle_table(content, scenario):
    rows = []
    for peer in peers_of(content, scenario.name):
        def of(field):
            return figures.of(content["measurements"], scenario.name, peer, field)
        rows.append([peer, with_range(of("kib_per_connection")), median(of("rss_before_mib")), median(of("rss_mib")),
                     median(of("idle_cpu_percent")), number(total(content, scenario.name, peer, "dead"), 0)])
    return table(["peer", "KiB/connection (min–max)", "RSS MiB before", "RSS MiB with", "idle CPU %", "dead"], rows)


def open_table(content, scenario):
    rows = []
    for peer in peers_of(content, scenario.name):
        def of(field):
            return figures.of(content["measurements"], scenario.name, peer, field)
        rows.append([peer, median(of("wanted_rate"), 0), median(of("achieved_rate"), 0),
                     with_range(of("p50_us"), 2, .001), with_range(of("p99_us"), 2, .001),
                     with_range(of("p999_us"), 2, .001), median(of("busy_percent"), 0),
                     number(highest(content, scenario.name, peer, "foreign_percent"), 0),
                     number(total(content, scenario.name, peer, "unexpected"), 0),
                     number(total(content, scenario.name, peer, "errors"), 0)])
    return table(["peer", "requests/s due", "sent", "p50 ms (min–max)", "p99 ms (min–max)", "p99.9 ms (min–max)",
                  "proxy busy %", "foreign CPU %", "unexpected", "errors"], rows)


def growth_table(content):
    rows = []
    base = (GROWTH_BASE, peers.GROWTH)
    for scenario in SCENARIOS.values():
        if scenario.job != "growth" or peers.GROWTH not in peers_of(content, scenario.name):
            continue
        here = (scenario.name, peers.GROWTH)
        cells = [scenario.name, scenario.text, with_range(figures.of(content["measurements"], *here, "cpu_us"))]
        if scenario.name == GROWTH_BASE:
            cells += ["1", "–"]
        else:
            more = figures.difference(content["measurements"], here, base, "rss_mib")
            cells += [with_range(figures.ratio(content["measurements"], here, base, "cpu_us"), 2),
                      median(more, 0, 2**20 / scenario.items)]
        cells += [median(figures.of(content["measurements"], *here, "rss_mib"), 0),
                  number(total(content, *here, "unexpected") + total(content, *here, "errors"), 0)]
        rows.append(cells)
    return table(["scenario", "what there is", "CPU µs/request (min–max)", "× base (min–max)", "bytes an item", "RSS MiB",
                  "unexpected and errors"], rows) if rows else "*Not measured.*"


def goal_table(content):
    rows = []
    for goal, reached, mark in goals.outcomes(content["measurements"]):
        if goal["kind"] == "ratio":
            unit, digits = ("× base" if goal["to"][0] == GROWTH_BASE else "× " + goal["to"][1]), 2
        else:
            unit, digits = goal["unit"], 1
        rows.append([goal["what"], unit, number(goal.get("must"), digits), number(goal.get("aim"), digits),
                     with_range(reached, digits), "**missed**" if mark == "missed" else mark])
    return table(["goal", "in", "must be at most", "aim", "reached (min–max)", ""], rows)


def machine_lines(content):
    there = content["machine"]
    commit = content["commit"]
    arguments = content["arguments"]
    tree = commit["id"][:12] if commit["id"] else "unknown"
    if commit["changed"]:
        tree += ", with changes that were not committed"
    pinned = "nothing pinned" if arguments["no_pin"] else "proxy on CPU %s, load and upstream on CPU %s" % (
        arguments["proxy_cpu"], arguments["load_cpu"])
    count = len(content["runs"])
    lines = [
        "%s of %s; %d rounds of %d s each, %d s of warm-up; %d worker(s) a proxy, %s%s." % (
            "Run" if count == 1 else "%d runs, the last" % count, content["begun"], arguments["rounds"], arguments["secs"],
            arguments["warmup"], arguments["workers"], pinned,
            ", ahead of other work" if arguments["boost"] else ""),
        "Machine: %s, %s cores, %s MiB of memory; Linux %s, congestion control %s." % (
            there["cpu"], there["cores"], there["memory_mib"], there["kernel"], there["congestion_control"]),
        "Commit: %s." % tree,
        "Versions: %s." % "; ".join("%s is %s" % pair for pair in content["versions"].items()),
    ]
    if content["upstream_alone_rate"]:
        lines.append("Load and upstream without a proxy: %s requests a second." % number(content["upstream_alone_rate"], 0))
    for peer, why in content["skipped"].items():
        lines.append("%s was skipped: %s." % (peer, why))
    for peer, found in content["failed_checks"].items():
        lines.append("%s does not do the whole job and is left out where it counts: %s." % (peer, "; ".join(found)))
    broken = [one for one in content["measurements"] if "failed" in one]
    for one in broken:
        lines.append("%s, %s, round %d failed." % (one["scenario"], one["peer"], one["round"]))
    return lines


def tables(content, kinds):
    found = []
    for scenario in SCENARIOS.values():
        if scenario.job == "growth" or scenario.tool not in kinds or not peers_of(content, scenario.name):
            continue
        make = {"idle": idle_table, "open": open_table}.get(scenario.tool, cpu_table)
        found.append("### %s\n\n%s.\n\n%s" % (scenario.name, scenario.text[0].upper() + scenario.text[1:],
                                             make(content, scenario)))
    return "\n\n".join(found) or "*Not measured.*"


def sections(content):
    """Each table of the page by the name of its marks."""
    return {
        "run": "\n".join("- " + line for line in machine_lines(content)),
        "goals": goal_table(content),
        "scenarios": tables(content, ("wrk", "h2load", "handshakes")),
        "idle": tables(content, ("idle",)),
        "open": tables(content, ("open",)),
        "growth": growth_table(content),
    }


def summary(content):
    made = sections(content)
    return "\n\n".join(made[name] for name in ("run", "scenarios", "idle", "open", "growth", "goals"))


def inserted(text, made):
    """The page with its tables anew. A section without marks, or marks without a section, is a mistake of the page."""
    for name, section in made.items():
        marks = re.compile(r"(<!-- figures: %s -->\n).*?(<!-- end -->)" % re.escape(name), re.DOTALL)
        text, count = marks.subn(lambda found: found.group(1) + "\n" + section + "\n\n" + found.group(2), text)
        if count != 1:
            raise ValueError("the marks of '%s' stand %d times in the page" % (name, count))
    return text


def main(words):
    parser = argparse.ArgumentParser(prog="run report", description="Renders records of the rig.")
    parser.add_argument("records", nargs="+", metavar="FILE.json")
    parser.add_argument("--into", metavar="PAGE.md", help="renew the tables of this page, and the chart beside it")
    chosen = parser.parse_args(words)
    content = record.read(chosen.records)
    if not chosen.into:
        print(summary(content))
        return 0
    with open(chosen.into) as file:
        page = inserted(file.read(), sections(content))
    drawn = os.path.splitext(chosen.into)[0] + ".svg"
    for path, text in ((chosen.into, page), (drawn, chart.drawn(content))):
        with open(path, "w") as file:
            file.write(text)
    return 0
