import unittest

from rig import figures
from tests import sample


class Figures(unittest.TestCase):
    def test_a_percentile_is_a_value_that_was_measured(self):
        values = list(range(1, 101))
        self.assertEqual(figures.percentile(values, .5), 50)
        self.assertEqual(figures.percentile(values, .99), 99)
        self.assertEqual(figures.percentile(values, 1), 100)
        self.assertEqual(figures.percentile([7], .01), 7)
        self.assertIsNone(figures.percentile([], .5))

    def test_a_spread_is_median_and_range_and_passes_over_what_is_missing(self):
        self.assertEqual(figures.spread([3, 1, None, 2]), (2, 1, 3, 3))
        self.assertEqual(figures.spread([1, 2]), (1.5, 1, 2, 2))
        self.assertIsNone(figures.spread([None]))

    def test_ratios_are_made_within_a_round(self):
        measurements = sample.record()["measurements"]
        self.assertEqual(figures.ratio(measurements, ("seed", "tollgate"), ("seed", "haproxy"), "cpu_us"),
                         (0.5, 0.5, 0.5, 3))

    def test_ratios_are_made_within_a_run(self):
        first = [sample.load("plain", "haproxy", 1, 10), sample.load("plain", "tollgate", 1, 5)]
        second = [{**one, "run": 1, "cpu_us": one["cpu_us"] * 10} for one in first]
        self.assertEqual(figures.ratio([{**one, "run": 0} for one in first] + second, ("plain", "tollgate"),
                                       ("plain", "haproxy"), "cpu_us"), (0.5, 0.5, 0.5, 2))

    def test_rounds_that_failed_count_for_nothing(self):
        measurements = sample.record()["measurements"]
        self.assertIsNone(figures.of(measurements, "plain", "nginx", "cpu_us"))
        self.assertIsNone(figures.ratio(measurements, ("plain", "nginx"), ("plain", "haproxy"), "cpu_us"))

    def test_a_difference_is_made_within_a_round_too(self):
        self.assertEqual(figures.difference(sample.record()["measurements"], ("growth-routes", "tollgate-growth"),
                                            ("growth-base", "tollgate-growth"), "rss_mib").median, 10)
