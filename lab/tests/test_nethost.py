"""Tests of what the network experiments conclude from what their loads said: no machine is needed."""

import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from campaign import drill  # noqa: E402
from campaign.classify import ERROR, REFUSED, STOPPED, UNSEEN, WRONG, Case  # noqa: E402
from campaign.drill import Injected  # noqa: E402
from nethost import attribute, campaign_plan, loads, mix, net_faults, overhead_targets, supervised  # noqa: E402
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


def case(at_ns: int, number: int = 0, refused: str = "", well: bool = True) -> Case:
    what = {"served_ms": 20.0, "well_ms": 130.0, "problem": "" if well else "clients are not served"}
    return Case(campaign_plan.draw(1, number), Injected("net_uk", what, refused, well, well, 0 if refused else at_ns, at_ns))


def packets(lost_there=(), lost_back=(), damaged=(), gaps=(), report=True, overflowed=0) -> dict:
    """What `udpseq run --journal-ms` tells; losses as (time it was known, how many)."""
    def listed(pairs):
        return [{"first": 1, "last": 9, "packets": count, "known_ns": at} for at, count in pairs]
    tally = {"received": 100, "overflowed": overflowed}
    journal = {"lost_there": listed(lost_there), "lost_back": listed(lost_back), "damaged_there": listed(damaged),
               "damaged_back": [], "gaps": [{"begin_ns": begin, "end_ns": end} for begin, end in gaps]}
    return {"journal": journal, "there": tally if report else None, "back": tally}


def streams(*each: dict, wrong: int = 0) -> dict:
    whole = {"done": True, "broken_ns": 0, "wrong_ns": 0, "why": ""}
    return {"there_bytes": 10, "back_bytes": 10, "wrong": wrong, "streams": [{**whole, **one} for one in each]}


class AttributeTest(unittest.TestCase):
    SECOND = 1_000_000_000

    def judged(self, cases, outside=None, inside=None, tcp=None, incidents=()) -> list[str]:
        heard = attribute.Heard()
        attribute.take_packets(heard, "outside", outside or packets(), True)
        attribute.take_packets(heard, "between guests", inside or packets(), False)
        attribute.take_streams(heard, "outside", tcp or streams({}), 99 * self.SECOND)
        return attribute.attribute(cases, heard, list(incidents))

    def test_a_loss_is_of_the_fault_it_was_known_after(self):
        second = self.SECOND
        cases = [case(second), case(3 * second), case(5 * second)]
        problems = self.judged(cases, packets(lost_there=[(3 * second + 5, 2), (4 * second, 1)], lost_back=[(second + 1, 7)]))
        self.assertEqual(problems, [])
        self.assertEqual([each.kind for each in cases], [UNSEEN, ERROR, UNSEEN], "packets that come in may be lost")
        self.assertEqual(cases[0].heard, {attribute.INCOMING: 7})
        self.assertEqual(cases[1].heard, {attribute.LOST: 3})
        self.assertEqual(len(cases[1].reasons), 2)
        self.assertNotIn("after all was well", cases[1].reasons[0])
        self.assertIn("s after all was well", cases[1].reasons[1])

    def test_nobody_outside_sends_between_guests(self):
        cases = [case(self.SECOND)]
        self.judged(cases, inside=packets(lost_back=[(self.SECOND + 1, 1)]))
        self.assertEqual(cases[0].kind, ERROR)

    def test_what_no_fault_did_is_a_problem_of_the_run(self):
        cases = [case(self.SECOND, refused="no event came"), case(2 * self.SECOND)]
        problems = self.judged(cases, packets(lost_there=[(self.SECOND + 5, 1)], lost_back=[(5, 1)]))
        self.assertEqual(len(problems), 2)
        self.assertEqual([each.kind for each in cases], [REFUSED, UNSEEN])
        self.assertEqual(len(self.judged([case(5, refused="x")], tcp=streams({"done": False, "why": "left"}))), 1)
        self.assertEqual(len(self.judged([case(5)], packets(overflowed=3))), 2, "both ways")
        self.assertEqual(len(self.judged([case(5)], packets(report=False))), 1)

    def test_a_fault_that_was_not_done_leaves_the_time_to_the_one_before(self):
        cases = [case(self.SECOND), case(2 * self.SECOND, refused="no event came")]
        self.assertEqual(self.judged(cases, packets(lost_there=[(3 * self.SECOND, 1)])), [])
        self.assertEqual([each.kind for each in cases], [ERROR, REFUSED])

    def test_wrong_bytes_outweigh_all(self):
        second = self.SECOND
        cases = [case(second), case(2 * second), case(3 * second)]
        self.judged(cases, packets(damaged=[(second + 7, 1)]),
                    tcp=streams({"done": False, "broken_ns": 2 * second + 1, "why": "reset"}, {"wrong_ns": 2 * second + 2}, wrong=1))
        self.assertEqual([each.kind for each in cases], [WRONG, WRONG, UNSEEN])
        cases = [case(second)]
        self.judged(cases, tcp=streams({}, wrong=1))
        self.assertEqual(cases[0].kind, WRONG, "bytes that neither end ever saw")

    def test_a_stream_that_never_said_its_last_is_of_the_last_fault(self):
        cases = [case(self.SECOND), case(2 * self.SECOND)]
        self.judged(cases, tcp=streams({"done": False, "why": "silent until the end"}))
        self.assertEqual([each.kind for each in cases], [UNSEEN, ERROR])

    def test_not_well_again(self):
        cases = [case(self.SECOND, well=False)]
        self.assertEqual(self.judged(cases, packets(report=False)), [], "a host that is down gives no report")
        self.assertEqual(cases[0].kind, WRONG)
        cases = [case(self.SECOND, well=False)]
        stopped = {"seen_ns": self.SECOND + 9, "outcome": "stopped", "unit": "net_uk", "cause": "crash", "detail": "again and again"}
        self.judged(cases, incidents=[stopped])
        self.assertEqual((cases[0].kind, cases[0].incidents), (STOPPED, [stopped]))

    def test_outage_reaches_behind_the_fault_and_not_beyond_the_next(self):
        second = self.SECOND
        cases = [case(second), case(2 * second)]
        self.judged(cases, packets(gaps=[(second - 5_000_000, second + 20_000_000), (100, 900)]))
        self.assertEqual([each.outage_ms for each in cases], [20.0, 0.0])


class PlanTest(unittest.TestCase):
    def test_a_plan_of_the_drill(self):
        fault = campaign_plan.draw(1, 7)
        self.assertEqual(drill.command_line(fault, "x --y").split(maxsplit=2)[0::2], ["7", "! x --y"])
        self.assertIn(f" net_uk {fault.words[0]}", drill.line(fault, "net_uk"))

    def test_the_card_s_faults_are_commands(self):
        self.assertEqual(net_faults.command_of("device stuck", "net_uk", "0xfeb00000", 1),
                         "ppvmm-domlook poke 0xfeb00000 0x400 0xfffffffd 0x0")
        with self.assertRaises(ValueError):
            net_faults.command_of("vCPU stopped", "net_uk", "0xfeb00000", 1)

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
