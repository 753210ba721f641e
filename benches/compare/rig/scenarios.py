"""What is measured: the table of scenarios."""
from dataclasses import dataclass

# A limit that no load reaches: the counting is paid for, nobody is refused.
NEVER_REACHED = 100_000_000


@dataclass(frozen=True)
class Scenario:
    """One kind of traffic."""
    name: str
    text: str
    # What peers do: `plain` forwards, `seed` is the whole job, `growth` is Tollgate alone with large configurations.
    job: str
    # wrk, h2load, handshakes, idle or open.
    tool: str = "wrk"
    path: str = "/small"
    tokens: int = 0
    tls: bool = False
    body: int = 0
    connections: int = 64
    limit: int = NEVER_REACHED
    # Answers of 400 and above are what is wanted.
    refusals_expected: bool = False
    # Open load: the share of the base peer's capacity.
    share: float = 0.0
    # Growth: how much of what is there.
    routes: int = 10
    customers: int = 0
    seen: int = 0
    # Growth: verified tokens that are remembered; the default of the configuration. Where more tokens are live they must
    # fit, or the figure would be that of verifying. Elsewhere a larger one would fill with what is not to be measured.
    cache: int = 10_000
    # Growth: what the difference of memory is divided by.
    items: int = 0


GROWTH_BASE = "growth-base"


def growth(name, text, **what):
    return Scenario(name, text, "growth", tokens=what.pop("tokens", 1000), path="", **what)


SCENARIOS = {scenario.name: scenario for scenario in [
    Scenario("plain", "forwarding, small GET", "plain"),
    Scenario("seed", "the whole job, small GET, 1,000 tokens of 100 customers", "seed", tokens=1000),
    Scenario("reject", "the whole job, limit of 7/s a customer: nearly all are refused with 429", "seed", tokens=1000,
             limit=7, refusals_expected=True),
    Scenario("big", "forwarding, answers of 64 KiB", "plain", path="/big"),
    Scenario("post", "forwarding, bodies of 16 KiB", "plain", path="/post", body=16384),
    Scenario("seed-tls", "the whole job over TLS 1.3, connections kept", "seed", tokens=1000, tls=True),
    Scenario("hs", "a new TLS 1.3 connection for each request, full handshake, P-256", "plain", tool="handshakes",
             tls=True, connections=16),
    Scenario("seed-h2", "the whole job over TLS 1.3 and HTTP/2, 16 connections of 8 streams, one token", "seed",
             tool="h2load", tokens=1, tls=True, connections=16),
    Scenario("seed-c1", "the whole job on one connection: the latency of a proxy that waits for work", "seed",
             tokens=1000, connections=1),
    Scenario("idle", "2,000 connections that wait: memory for each", "plain", tool="idle"),
    Scenario("idle-tls", "2,000 TLS connections that wait: memory for each", "plain", tool="idle", tls=True),
    Scenario("open-half", "the whole job, constant arrivals at half of HAProxy's capacity", "seed", tool="open",
             tokens=1000, share=0.5),
    Scenario("open-80", "the whole job, constant arrivals at 80 % of HAProxy's capacity", "seed", tool="open",
             tokens=1000, share=0.8),
    growth(GROWTH_BASE, "10 routes, no customers named, 1,000 tokens"),
    growth("growth-routes", "10,000 routes, called in turn", routes=10_000, items=10_000),
    growth("growth-customers", "10,000 customers named in the configuration", customers=10_000, items=10_000),
    growth("growth-seen", "1,000,000 customers have called before", seen=1_000_000, items=1_000_000),
    growth("growth-tokens", "100,000 live tokens, called with in turn", tokens=100_000, items=100_000,
           cache=200_000),
]}


def chosen(names):
    """The scenarios of these names, in the table's order; growth is nothing without its base."""
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        raise KeyError("no such scenario: %s. There are: %s" % (", ".join(unknown), ", ".join(SCENARIOS)))
    wanted = set(names)
    if any(SCENARIOS[name].job == "growth" for name in wanted):
        wanted.add(GROWTH_BASE)
    return [scenario for name, scenario in SCENARIOS.items() if name in wanted]
