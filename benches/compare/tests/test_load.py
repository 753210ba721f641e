import os
import stat
import tempfile
import unittest
from unittest import mock

from rig import load, measure, process
from rig.scenarios import GROWTH_BASE, SCENARIOS, chosen


class Tokens:
    secret = b"s" * 32
    now = 1_000_000
    trial = {}

    def tokens(self, count):
        return ["token-%d" % number for number in range(count)]

    def token_file(self, count):
        return "tokens-%d" % count


def place():
    return process.Place(None, None, False)


class Load(unittest.TestCase):
    def lines(self, scenario):
        with tempfile.TemporaryDirectory() as folder:
            with open(load.Load(Tokens(), place(), folder).calls(SCENARIOS[scenario])) as file:
                return file.read().splitlines()

    def test_calls_are_one_for_each_token_or_one_without(self):
        self.assertEqual(self.lines("plain"), ["/small"])
        seed = self.lines("seed")
        self.assertEqual((len(seed), seed[1]), (1000, "/small token-1"))

    def test_growth_calls_every_route_and_brings_every_token(self):
        routes = self.lines("growth-routes")
        self.assertEqual(len({line.split()[0] for line in routes}), 10_000)
        self.assertEqual(len({line.split()[1] for line in routes}), 1000)
        base = self.lines("growth-base")
        self.assertEqual((len(base), len({line.split()[0] for line in base})), (1000, 10))
        self.assertEqual(len(set(self.lines("growth-tokens"))), 100_000)

    def test_open_load_is_asked_for_a_rate_and_its_answer_is_read(self):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "open-load")
            with open(program, "w") as file:
                file.write('#!/bin/sh\necho "$@" >"%s/asked"\n'
                           'echo \'{"requests": 10, "seconds": 1.0, "achieved_rate": 10.0, "p50_us": 1, "p90_us": 2, '
                           '"p99_us": 3, "p999_us": 4, "max_us": 5, "statuses": {"200": 8, "429": 2}, "errors": 1, '
                           '"latest_start_us": 6}\'\n' % folder)
            os.chmod(program, stat.S_IRWXU)
            with mock.patch.dict(os.environ, {"OPEN_LOAD": program}):
                result = load.Load(Tokens(), place(), folder).send(SCENARIOS["open-half"], 80, 1, 1234.5, 2)
            with open(os.path.join(folder, "asked")) as file:
                asked = file.read()
        self.assertIn("--rate 1234 --seconds 1 --warmup 2 --connections 64 --tokens tokens-1000 --take 1000 http://127.0.0.1:80/small",
                      asked)
        self.assertEqual((result["refused"], result["errors"], result["p999_us"]), (2, 1, 4))

    def test_what_a_limit_lets_through_is_not_unexpected(self):
        answers = {"requests": 100_000, "refused": 98_000, "seconds": 1.0}
        self.assertEqual(measure.unexpected(SCENARIOS["reject"], answers), 0)
        self.assertEqual(measure.unexpected(SCENARIOS["reject"], {**answers, "refused": 90_000}), 7_900)
        self.assertEqual(measure.unexpected(SCENARIOS["seed"], answers), 98_000)

    def test_growth_brings_its_base_along(self):
        self.assertEqual([scenario.name for scenario in chosen(["growth-routes"])], [GROWTH_BASE, "growth-routes"])
        self.assertEqual([scenario.name for scenario in chosen(["seed", "plain"])], ["plain", "seed"])
        with self.assertRaises(KeyError):
            chosen(["none"])

    def test_the_time_of_children_that_have_ended_counts(self):
        before = sum(process.spent(os.getpid()))
        load.run(["python3", "-c", "import time\nwhile time.process_time() < 0.2: pass"])
        self.assertGreater(sum(process.spent(os.getpid())) - before, 0.1)
