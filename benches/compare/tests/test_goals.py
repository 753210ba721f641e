import unittest

from rig import goals, peers
from rig.scenarios import SCENARIOS
from tests import sample


def ratio(must, **other):
    return {"what": "", "kind": "ratio", "field": "cpu_us", "of": ["plain", "tollgate"], "to": ["plain", "haproxy"],
            "must": must, **other}


class Goals(unittest.TestCase):
    def mark(self, goal):
        return goals.outcome(goal, sample.record()["measurements"]).mark

    def test_a_ratio_is_met_up_to_its_bound(self):
        self.assertEqual(self.mark(ratio(0.95, aim=0.8)), "met")
        self.assertEqual(self.mark(ratio(0.9)), "met")
        self.assertEqual(self.mark(ratio(0.95, aim=0.9)), "met, aim too")
        self.assertEqual(self.mark(ratio(0.89)), "missed")

    def test_a_value_is_held_against_its_median(self):
        goal = {"what": "", "kind": "value", "unit": "KiB", "field": "kib_per_connection", "of": ["idle", "tollgate"]}
        self.assertEqual(self.mark({**goal, "must": 10, "aim": 4}), "met")
        self.assertEqual(self.mark({**goal, "must": 9, "aim": 4}), "missed")

    def test_an_aim_without_a_bound_is_reached_or_not(self):
        goal = {name: value for name, value in ratio(0).items() if name != "must"}
        self.assertEqual(self.mark({**goal, "aim": 0.9}), "aim met")
        self.assertEqual(self.mark({**goal, "aim": 0.89}), "aim missed")

    def test_what_was_not_measured_is_neither_met_nor_missed(self):
        self.assertEqual(self.mark({**ratio(1), "to": ["plain", "envoy"]}), "not measured")

    def test_the_goals_speak_of_scenarios_and_peers_that_there_are(self):
        known = {*peers.ORDER, peers.GROWTH}
        for goal in goals.read():
            for place in [goal["of"], *([goal["to"]] if goal["kind"] == "ratio" else [])]:
                self.assertIn(place[0], SCENARIOS)
                self.assertIn(place[1], known)
            # Each has a bound or an aim; an aim is not easier than the bound.
            self.assertLessEqual(goal.get("aim", 0), goal.get("must", goal.get("aim")))
