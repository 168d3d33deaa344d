"""Tests of what the network experiments conclude from what their loads said: no machine is needed."""

import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from campaign.classify import ERROR, REFUSED, STOPPED, UNSEEN, WRONG, Case  # noqa: E402
from campaign.host import Injected  # noqa: E402
from nethost import campaign, campaign_plan, loads, mix, net_faults, overhead_targets, supervised  # noqa: E402
from ppvmm.results import Result  # noqa: E402
from ppvmm.session import Hung  # noqa: E402

PRESSURE = mix.Pressure(100, 2, 20_000, 2)


def said(received=200, lost=0, bins=20, there=True, broken=0, wrong=0) -> str:
    """What the mix prints after a load of two seconds at a hundred packets a second, in bins of 10 ms."""
    one = {"sent": 200, "received": received, "lost": lost, "duplicated": 1, "reordered": 0, "foreign": 0, "overflowed": 3,
           "longest_silence_ms": 40.0}
    udp = {"bin_ms": 10, "bins": [1] * bins, "there": {**one, "lost": 5} if there else None, "back": one}
    tcp = {"connections": 2, "broken": broken, "wrong": wrong, "there_bytes": 10, "back_bytes": 20, "longest_silence_ms": 7.0}
    ab = "Requests per second:    120.50 [#/sec] (mean)\nFailed requests:        2\n"
    return (f"== udp.json\n{json.dumps(udp)}\n== tcp.json\n{json.dumps(tcp)}\n== ab.txt\n{ab}== ab.csv\nPercentage served,ms\n"
            "50,3.5\n99,9.25\n== bins\n1001 60\n1000 61\n")


class MixTest(unittest.TestCase):
    def test_what_all_loads_said(self):
        heard = mix.understand(said(bins=199), 2.0, PRESSURE)
        self.assertEqual((heard.lost_out, heard.lost_in, heard.duplicated), (0, 2, 2), "5 lost, 3 of them at the receiver")
        self.assertEqual((heard.web_rate, heard.web_ms, heard.web_failed), (120.5, {50: 3.5, 99: 9.25}, 2))
        self.assertEqual(heard.web_bins, {0: 61, 1: 60})
        self.assertTrue(heard.back)
        self.assertEqual(heard.silence_ms, 40.0)

    def test_a_silence_that_lasts_is_as_long_as_it_was_listened_to(self):
        heard = mix.understand(said(received=50, lost=0, bins=50, there=False), 2.0, PRESSURE)
        self.assertFalse(heard.back)
        self.assertEqual(heard.silence_ms, 1500.0)
        self.assertEqual(heard.lost_out, 200 - 50 + 1, "the duplicate is none of them")
        self.assertIsNone(heard.lost_in)

    def test_a_load_that_said_nothing_is_a_problem(self):
        with self.assertRaises(Hung):
            mix.understand("nsenter: no such process", 2.0, PRESSURE)


class JudgeTest(unittest.TestCase):
    def judged(self, text=None, between=None, well=True, stopped=(), refused="") -> Case:
        case = Case(campaign_plan.draw(1, 0), Injected("net_uk", refused=refused))
        heard = mix.understand(text or said(bins=199), 2.0, PRESSURE)
        campaign.judge(case, campaign._Outcome(heard, between or {"wrong": 0, "broken": 0}, well, list(stopped)))
        return case

    def test_classes(self):
        self.assertEqual(self.judged().kind, UNSEEN, "packets that come in may be lost")
        self.assertEqual(self.judged(said(bins=199, lost=1)).kind, ERROR)
        self.assertEqual(self.judged(said(bins=199, broken=1)).kind, ERROR)
        self.assertEqual(self.judged(between={"wrong": 0, "broken": 1}).kind, ERROR)
        self.assertEqual(self.judged(said(bins=199, wrong=1)).kind, WRONG)
        self.assertEqual(self.judged(between={"wrong": 1, "broken": 0}, well=False, stopped=["x"]).kind, WRONG)
        self.assertEqual(self.judged(well=False, stopped=["net_uk: crash: x"]).kind, STOPPED)
        self.assertEqual(self.judged(well=False).kind, WRONG, "not reached, and nobody says so")
        self.assertEqual(self.judged(refused="no event came").kind, REFUSED)
        self.assertEqual(self.judged(said(bins=199, lost=1), refused="no event came").kind, WRONG)

    def test_a_plan_depends_on_seed_and_number_alone(self):
        self.assertEqual(campaign_plan.plan(3, 10, 5), [campaign_plan.draw(3, number) for number in range(10, 15)])
        self.assertNotEqual(campaign_plan.plan(3, 0, 20), campaign_plan.plan(4, 0, 20))


class ReportTest(unittest.TestCase):
    def test_targets_compare_with_the_better_linux(self):
        result = Result("test")
        for system, rate, cpu in (("linux-dom0", 100, 4.0), ("linux-domain", 200, 5.0), ("net_uk", 210, 3.0)):
            result.add_samples(system, "TCP to the guest", "Mbit/s", [rate])
            result.add_samples(system, "CPU, TCP to the guest", "s/GB", [cpu])
        overhead_targets.targets(result)
        self.assertEqual([(target["value"], target["met"]) for target in result.targets], [(1.05, True), (0.75, False)])

    def test_percentiles_of_ab(self):
        text = "Requests per second:    120.50 [#/sec] (mean)\nTime per request:       16.6 [ms] (mean)\n" \
               "Time per request:       8.3 [ms] (mean, across all concurrent requests)\n95,12.5\n99,0.000\n"
        values = loads._web_values(text, "HTTP")
        self.assertEqual(values["HTTP, mean"], ("ms", 16.6))
        self.assertEqual(values["HTTP, p95"], ("ms", 12.5))
        self.assertNotIn("HTTP, p99", values, "too few requests for one")

    def test_faults_are_those_that_a_system_has_parts_for(self):
        wanted = ["driver data", "destroyed", "driver code"]
        self.assertEqual(net_faults.faults_of("fg", wanted), ["driver data", "driver code", "destroyed"])
        self.assertEqual(net_faults.faults_of("linux-domain", wanted), ["destroyed", "driver code"])
        self.assertEqual(net_faults.faults_of("linux-dom0", wanted), ["driver code"])
        self.assertIn('spare = "net_spare"', supervised.configuration("tfd"))


if __name__ == "__main__":
    unittest.main()
