"""Tests of what a campaign does when its machine ends: no machine is needed."""

import argparse
import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from campaign.drill import Injected, Interrupted  # noqa: E402
from campaign.classify import Case  # noqa: E402
from campaign.main import MOST_PROBLEMS, boots_of, last_words  # noqa: E402
from campaign.plan import plan  # noqa: E402


class Boots(unittest.TestCase):
    def run_with(self, boot):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            return boots_of(plan(1, 0, 10), None, argparse.Namespace(minutes=None), Path(folder), None, boot)

    def test_the_fault_that_ended_the_machine_is_left_out_and_the_others_are_done(self):
        seen = []

        def boot(left, _variant, _arguments, _out, _result, cases, *_):
            seen.append([fault.number for fault in left])
            if 4 in seen[-1]:
                raise Interrupted("the machine ended", seen[-1].index(4))
            cases += [Case(fault, Injected("Xenstore")) for fault in left]
            return len(left)
        cases, problems, boots = self.run_with(boot)
        self.assertEqual(seen, [list(range(10)), [0, 1, 2, 3, 5, 6, 7, 8, 9]])
        self.assertEqual((len(cases), len(problems), boots), (9, 1, 2))
        self.assertIn("fault 4", problems[0])

    def test_a_lab_that_never_works_is_given_up(self):
        def boot(*_):
            raise Interrupted("the machine ended", 0)
        cases, problems, _ = self.run_with(boot)
        self.assertEqual((len(cases), len(problems)), (0, MOST_PROBLEMS))

    def test_a_panic_of_xen_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(last_words(Path(folder)), "")
            (Path(folder) / "xen.log").write_text("[ 1.0] Xen\n[ 36.0] Panic on CPU 0:\n[ 36.1] GENERAL PROTECTION FAULT\n"
                                                  "[ 36.2] [error_code=0000]\n")
            self.assertIn("GENERAL PROTECTION FAULT", last_words(Path(folder)))


if __name__ == "__main__":
    unittest.main()
