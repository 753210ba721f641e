"""Numbers of measurements: percentiles, medians with their range, ratios within a round."""
import math
import statistics
from collections import namedtuple

Spread = namedtuple("Spread", "median low high count")


def percentile(ordered, share):
    """The smallest value that this share of all values does not exceed (nearest rank); None of nothing."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def spread(values):
    """Median and range; None of nothing."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    return Spread(statistics.median(values), min(values), max(values), len(values))


def rounds_of(measurements, scenario, peer, field):
    """The field by round, of measurements that succeeded."""
    return {(one.get("run", 0), one["round"]): one[field] for one in measurements
            if one["scenario"] == scenario and one["peer"] == peer and one.get(field) is not None}


def of(measurements, scenario, peer, field):
    return spread(rounds_of(measurements, scenario, peer, field).values())


def ratio(measurements, one, other, field):
    """How a (scenario, peer) compares with another. Pairs are made within a round: what the machine did to one of them it
    did to its neighbour, so a drift over the run does not count."""
    above = rounds_of(measurements, *one, field)
    below = rounds_of(measurements, *other, field)
    return spread([above[key] / below[key] for key in above if below.get(key)])


def difference(measurements, one, other, field):
    """By how much a (scenario, peer) is above another, within a round."""
    above = rounds_of(measurements, *one, field)
    below = rounds_of(measurements, *other, field)
    return spread([above[key] - below[key] for key in above if key in below])
