"""The chart: CPU time per request, a group of bars for each scenario."""
from xml.sax.saxutils import escape

from . import figures, peers
from .scenarios import SCENARIOS

WIDTH = 860
LEFT = 150
# Room for the number behind the longest bar.
RIGHT = 90
BAR, GAP, HEAD, AFTER = 16, 5, 26, 18
TOP = 64

# Read on white and on black alike; Tollgate's own bars stand out by colour and by weight of their names.
STYLE = """
    text { font-family: system-ui, sans-serif; font-size: 12px; fill: #24292f; }
    .title { font-size: 16px; font-weight: 600; }
    .note { fill: #57606a; }
    .scenario { font-weight: 600; font-size: 13px; }
    .own { font-weight: 600; }
    .peer-bar { fill: #9aa4af; }
    .own-bar { fill: #1f7a8c; }
    .whisker { stroke: #24292f; stroke-width: 1.2; }
    .ground { fill: #ffffff; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .note { fill: #9aa4af; }
      .peer-bar { fill: #5b6570; }
      .own-bar { fill: #3fa7bc; }
      .whisker { stroke: #e6edf3; }
      .ground { fill: #0d1117; }
    }
"""


def groups(content):
    """(scenario, [(peer, spread)]) of all scenarios with CPU figures, the cheapest peer first."""
    for scenario in SCENARIOS.values():
        if scenario.job == "growth" or scenario.tool in ("idle", "open"):
            continue
        found = {one["peer"] for one in content["measurements"] if one["scenario"] == scenario.name}
        bars = [(peer, figures.of(content["measurements"], scenario.name, peer, "cpu_us")) for peer in found]
        bars = sorted(((peer, spread) for peer, spread in bars if spread), key=lambda bar: (bar[1].median, bar[0]))
        if bars:
            yield scenario, bars


def bar(peer, spread, scale, y):
    own = peer.startswith("tollgate")
    middle = y + BAR / 2
    low, high, end = (LEFT + value * scale for value in (spread.low, spread.high, spread.median))
    return [
        '<text class="%s" x="%d" y="%.1f" text-anchor="end">%s</text>' % ("own" if own else "peer", LEFT - 8, middle + 4,
                                                                         escape(peer)),
        '<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>' % ("own-bar" if own else "peer-bar", LEFT, y,
                                                                      end - LEFT, BAR),
        '<path class="whisker" d="M%.1f %.1fH%.1fM%.1f %dv%dM%.1f %dv%d"/>' % (
            low, middle, high, low, y + 4, BAR - 8, high, y + 4, BAR - 8),
        '<text x="%.1f" y="%.1f">%.1f</text>' % (max(high, end) + 6, middle + 4, spread.median),
    ]


def drawn(content):
    """The chart as SVG. Each scenario has a scale of its own: a handshake costs twenty times a forwarded request."""
    title = "CPU time of the proxy per request, in µs"
    parts = []
    y = TOP
    for scenario, bars in groups(content):
        parts.append('<text class="scenario" x="8" y="%d">%s <tspan class="note" font-weight="400">%s</tspan></text>' % (
            y + 14, escape(scenario.name), escape(scenario.text)))
        y += HEAD
        scale = (WIDTH - LEFT - RIGHT) / max(spread.high for _, spread in bars)
        for peer, spread in bars:
            parts += bar(peer, spread, scale, y)
            y += BAR + GAP
        y += AFTER
    if not parts:
        parts.append('<text x="8" y="%d">Nothing was measured yet: make bench</text>' % (y + 14))
        y += HEAD + AFTER
    peers_there = ", ".join(name for name in peers.ORDER if name in content["versions"])
    return "\n".join([
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" '
        'aria-labelledby="title about">' % (WIDTH, y, WIDTH, y),
        "  <title id=\"title\">%s</title>" % title,
        "  <desc id=\"about\">Bars by scenario for %s; the tables of the page have the same numbers.</desc>" % peers_there,
        "  <style>%s  </style>" % STYLE,
        '  <rect class="ground" width="%d" height="%d"/>' % (WIDTH, y),
        '  <text class="title" x="8" y="24">%s</text>' % title,
        '  <text class="note" x="8" y="44">Less is better. Medians; the lines reach from the least to the most. '
        'Each scenario has a scale of its own.</text>',
        *("  " + part for part in parts),
        "</svg>", ""])
