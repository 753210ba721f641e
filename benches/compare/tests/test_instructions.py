import os
import tempfile
import unittest

from rig import instructions, process


class Counts(unittest.TestCase):
    def test_the_sum_over_all_threads_is_the_last(self):
        self.assertEqual(instructions.counted("part: 1\nsummary: 12\n\npart: 2\nsummary: 30\ntotals: 42\n"), 42)

    def test_a_file_without_a_sum_is_no_count(self):
        with self.assertRaises(process.Failed):
            instructions.counted("version: 1\n")

    def test_the_wrapped_program_gets_its_arguments(self):
        with tempfile.TemporaryDirectory() as folder:
            path = instructions.wrapped(folder, "/bin/echo", os.path.join(folder, "counts"))
            with open(path) as file:
                text = file.read()
            self.assertIn('\'/bin/echo\' "$@"', text)
            self.assertTrue(os.access(path, os.X_OK))
