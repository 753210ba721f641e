"""The goals of `goals.json`, and what a record says of them."""
import json
import os
from collections import namedtuple

from . import figures
from .peers import FOLDER

Outcome = namedtuple("Outcome", "goal reached mark")


def read(path=os.path.join(FOLDER, "goals.json")):
    with open(path) as file:
        return json.load(file)["goals"]


def outcome(goal, measurements):
    """A goal is met by its median. Beyond `must` it is missed; whether `aim` is reached too is said. Some have an aim only."""
    if goal["kind"] == "ratio":
        reached = figures.ratio(measurements, goal["of"], goal["to"], goal["field"])
    else:
        reached = figures.of(measurements, *goal["of"], goal["field"])
    if reached is None:
        mark = "not measured"
    elif "must" not in goal:
        mark = "aim met" if reached.median <= goal["aim"] else "aim missed"
    elif reached.median > goal["must"]:
        mark = "missed"
    elif "aim" in goal and reached.median <= goal["aim"]:
        mark = "met, aim too"
    else:
        mark = "met"
    return Outcome(goal, reached, mark)


def outcomes(measurements, goals=None):
    return [outcome(goal, measurements) for goal in (read() if goals is None else goals)]
