import contextlib
import io
import json
import os
import tempfile
import unittest
import xml.etree.ElementTree as xml

from rig import chart, command, peers, record, report
from tests import sample


def content():
    return {**sample.record(), "runs": [sample.record()]}


class Report(unittest.TestCase):
    def page(self, folder):
        path = os.path.join(folder, "page.md")
        with open(path, "w") as file:
            file.write("# Page\n\nBefore.\n\n" + "".join(
                "<!-- figures: %s -->\nold\n<!-- end -->\n\nBetween.\n\n" % name for name in report.sections(content())))
        return path

    def rendered(self, folder):
        with open(os.path.join(folder, "record.json"), "w") as file:
            json.dump(sample.record(), file)
        page = self.page(folder)
        self.assertEqual(command.main(["report", file.name, "--into", page]), 0)
        with open(page) as made:
            return page, made.read()

    def test_tables_are_renewed_between_their_marks_and_nowhere_else(self):
        with tempfile.TemporaryDirectory() as folder:
            page, text = self.rendered(folder)
            self.assertNotIn("old", text)
            self.assertTrue(text.startswith("# Page\n\nBefore.\n"))
            self.assertEqual(text.count("Between."), len(report.sections(content())))
            command.main(["report", os.path.join(folder, "record.json"), "--into", page])
            with open(page) as again:
                self.assertEqual(again.read(), text)
            xml.parse(os.path.join(folder, "page.svg"))

    def test_a_page_without_a_mark_is_refused_and_stays(self):
        with self.assertRaises(ValueError):
            report.inserted("# Page\n", report.sections(content()))

    def test_the_tables_have_median_range_and_ratio(self):
        made = report.sections(content())
        self.assertIn("| tollgate | 18.0 (18.0–36.0) | 0.90 |", made["scenarios"])
        self.assertIn("| tollgate | 10.0 (9.0–11.0) |", made["idle"])
        self.assertIn("1.05 (1.05–1.05) | 1,049 |", made["growth"])
        self.assertIn("| tollgate | 500 | 499 | 0.50 (0.50–0.50) | 2.00 (2.00–2.00) | 9.00 (9.00–9.00) |", made["open"])
        self.assertIn("| seed, CPU per request | × haproxy | 0.42 | 0.38 | 0.50 (0.50–0.50) | **missed** |", made["goals"])

    def test_who_was_left_out_is_said(self):
        run = report.sections(content())["run"]
        for words in ("envoy was skipped: not installed", "caddy does not do the whole job", "lets everybody through",
                      "plain, nginx, round 1 failed", "0123456789ab, with changes that were not committed"):
            self.assertIn(words, run)

    def test_the_chart_has_a_bar_for_each_peer_of_each_scenario(self):
        drawn = chart.drawn(content())
        root = xml.fromstring(drawn)
        bars = [bar for bar in root.iter("{http://www.w3.org/2000/svg}rect") if "bar" in bar.get("class")]
        self.assertEqual(len(bars), 4)
        names = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
        self.assertEqual(names.count("tollgate"), 2)
        self.assertIn("prefers-color-scheme: dark", drawn)

    def test_several_records_are_one_in_which_runs_are_kept_apart(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name in ("a", "b"):
                paths.append(os.path.join(folder, name))
                with open(paths[-1], "w") as file:
                    json.dump(sample.record(), file)
            whole = record.read(paths)
        self.assertEqual({one["run"] for one in whole["measurements"]}, {0, 1})
        self.assertEqual(len(whole["runs"]), 2)

    def test_an_unknown_peer_or_scenario_is_named_with_those_that_there_are(self):
        for words, there in ((["--peers", "squid", "--scenarios", "plain"], peers.ORDER[0]),
                             (["--scenarios", "nothing"], "growth-base")):
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                self.assertEqual(command.main(words), 2)
            self.assertTrue(there in said.getvalue() or "missing" in said.getvalue(), said.getvalue())
