"""E1: creations during which the XenStore fails, at the moment when it is busiest."""

import argparse
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from campaign.verdict import judge
from ppvmm import build, packages
from ppvmm.results import Result, new_folder
from ppvmm.session import Hung, Session
from ppvmm.term import UserError, say
from storehost import busiest, hosts
from storehost.hosts import DAEMONS, STORE, must
from storehost.options import FAULTS

XSHISTORY = "/lab/bin/ppvmm-xshistory"
STATUS, HISTORY = "/run/xshistory.status", "/tmp/history"
# Only root builds a domain anew; a daemon has none.
NOT_ASKED = {"destroyed": {"xenstored", "oxenstored", "single", "xoar"}}
CONTROL = "no fault"      # everything as with a fault, but the change; a daemon's injector only waits
PATIENCE = 3.0            # a creation that takes so many times as long as usual has failed
SHORTEST_PATIENCE_S = 8.0
SERVED_LIMIT_MS = 4000
WINDOW_NS = 2_000_000_000  # a wait that begins later than this after a fault has another reason
NEVER = 1_000_000_000      # pieces of work
FLIPS = 10
# What a host would do when its xenstored is gone: start it again.
RESTART = """#!/bin/sh
pid=$(cat /run/xenstored.pid)
while kill -0 "$pid" 2> /dev/null; do usleep 5000; done
rm -f /run/xenstored.pid
{daemon} --pid-file /run/xenstored.pid > /tmp/restart.log 2>&1
echo $? > /tmp/restarted
"""


@dataclass
class Round:
    """One creation, with a fault in its middle or without."""

    fault: str
    succeeded: bool
    seconds: float
    from_ns: int                      # the fault; without one, the beginning
    served: bool                      # every client that was connected is served again
    bite_ms: float | None = None      # from the injection until the unikernel's own fault record
    seen_ms: float | None = None      # from the injection until root knew
    detection_ms: float | None = None # from the fault record until root knew, when there is one
    recovery_ms: float | None = None
    note: str = ""


def run(arguments: argparse.Namespace) -> int:
    systems = hosts.chosen(arguments.systems)
    if arguments.rounds < 1:
        raise UserError("at least one round", 2)
    faults = [arguments.only] if arguments.only else list(FAULTS)
    packages.ensure("build", "lab", "figures")
    build.build("release", "ppvmm", "ppvmm-root", "xenstore_uk", *hosts.PROGRAMS)
    result = Result("bench-xenstore-faults", "virtual" if arguments.virtual else "wall")
    result.rounds = arguments.rounds
    folder = new_folder(result.name)
    problems: list[str] = []

    def measure(system: str) -> None:
        try:
            Experiment(system, faults, arguments, result, folder).run()
        except (Hung, UserError, ValueError) as error:
            problems.append(f"{system}: {str(error)[:1500]}")
            say(f"PROBLEM: {problems[-1].splitlines()[0]}")
    # Ours has the machine for itself: its times are asked for. Of the others it is asked whether they come back at
    # all, and as they mostly do not, they are booted again and again: side by side, as far as there are processors.
    if "ppvmm" in systems:
        measure("ppvmm")
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // hosts.CPUS_BESIDE)) as pool:
        list(pool.map(measure, [system for system in systems if system != "ppvmm"]))
    from storehost import faults_report  # matplotlib is there only now
    return faults_report.conclude(result, systems, faults, problems, arguments, folder)


class Experiment:
    """One system under all faults. One that recovers has all its rounds in one boot."""

    def __init__(self, system: str, faults: list[str], arguments, result: Result, folder: Path):
        self.system, self.arguments, self.result = system, arguments, result
        self.folder = folder / system
        self.dice = random.Random(f"E1 {arguments.seed} {system}")
        self.after = 0  # work done when it is busiest
        self.limit_s = 60.0
        # In turn, so that what changes on the machine meanwhile changes all of them.
        asked = [fault for fault in faults if system not in NOT_ASKED.get(fault, ())]
        self.left = [kind for _ in range(arguments.rounds) for kind in (CONTROL, *reversed(asked))]

    def run(self) -> None:
        boots = 0
        if self.system == "xoar":
            self._calibrate_elsewhere()
        while self.left:
            boots += 1
            out = self.folder / f"boot-{boots:02}"
            say(f"{self.system}: boot {boots}, {len(self.left)} rounds left")
            with hosts.boot(self.system, self.arguments.virtual, self.arguments.set, out) as session:
                self.result.versions |= session.versions
                self._boot(session)

    def _calibrate_elsewhere(self) -> None:
        """A store that is refreshed all the time does not let three creations in a row succeed. Its domains are ours, and
        do the same work in a creation."""
        with hosts.boot("ppvmm", self.arguments.virtual, self.arguments.set, self.folder / "calibration") as session:
            self._load(session)
            self._calibrate(session, must(session, "guest create --config-only --after stay").strip())

    def _boot(self, session: Session) -> None:
        """Rounds until one leaves the host broken."""
        config = must(session, "guest create --config-only --after stay").strip()
        self._load(session)
        if not self.after:
            self._calibrate(session, config)
        rounds: list[Round] = []
        well = True
        while self.left and well:
            pid = session.run(f"cat {busiest.PID}", 10).out.strip() if self.system in DAEMONS else ""
            try:
                made = self._round(session, config, self.left[0])
            except Hung as reason:
                alive = f"test $(cat {busiest.PID}) = '{pid}' && kill -0 '{pid}'"
                if not (pid and rounds and rounds[-1].fault == "corruption") or session.run(alive, 10).ok:
                    raise
                # Flipped bits may kill a daemon only after their round, which looked well until then.
                well = rounds[-1].served = False
                say(f"  {self.system}: died of the corruption before the next fault ({reason}), which is put off")
                break
            self.left.pop(0)
            rounds.append(made)
            self._say(made)
            well = made.served and made.succeeded
            if well:
                ended = session.run("xl destroy create", hosts.LIMIT_S)
                if not ended.ok and made.fault == CONTROL:
                    raise Hung(f"a guest could not be destroyed without any fault: {ended.err.strip()[-600:]}")
                if not ended.ok:
                    # The store answered until then, and does not know the guest any more, or is gone.
                    well = made.served = False
                    made.note = (ended.err.strip().splitlines() or ["no answer"])[-1][:160]
        if not well and rounds[-1].fault == CONTROL and self.system != "xoar":
            raise Hung(f"a creation without a fault failed: {rounds[-1].note}")
        verdict = self._judge(session)
        for each in rounds:
            self._keep(each, verdict)
        self._count_wrong(rounds, verdict)
        if not well:
            session.kill()

    def _load(self, session: Session) -> None:
        """Two clients whose outage is measured, and whose answers are judged."""
        session.start(f"echo $$ > /run/xshistory.pid; exec {XSHISTORY} run --realtime --clients 2 "
                      f"--seed {self.arguments.seed} --seconds 100000 --pause-us 8000 --grace 2 --status {STATUS} --out {HISTORY}")
        must(session, f"wait-for 30 test -s {STATUS} && {XSHISTORY} wait --status {STATUS} --limit-ms 30000")

    def _calibrate(self, session: Session, config: str) -> None:
        first = session.run(f"xl create -q {config}", hosts.LIMIT_S)
        must(session, "xl destroy create")
        found = sorted(busiest.trace(session, self.system, config, first.seconds) for _ in range(3))
        self.after, rate, mean_rate, seconds = found[1]
        self.limit_s = max(SHORTEST_PATIENCE_S, PATIENCE * seconds)
        self.result.add_samples(self.system, "work when busiest", "pieces/s", [rate])
        self.result.add_samples(self.system, "work in a creation", "pieces/s", [mean_rate])
        say(f"  {self.system}: busiest after {self.after} pieces of work: {rate:.0f}/s there, {mean_rate:.0f}/s in the "
            f"whole creation ({seconds:.2f} s)")

    def _round(self, session: Session, config: str, fault: str) -> Round:
        # The injector's head start is not the creation's: xl is timed by itself.
        script = f"rm -f /tmp/hit.json /tmp/restarted; {self._hit(fault)} > /tmp/hit.json 2> /tmp/hit.err & hit=$!; " \
                 "usleep 100000; now() { awk '{ printf \"%.0f\\n\", $1 * 1e9 }' /proc/uptime; }; now; " \
                 f"timeout {self.limit_s:.0f} xl create -q {config}; code=$?; now; " \
                 f"{'kill' if fault == CONTROL and self.system in DAEMONS else 'wait'} $hit; exit $code"
        if self.system in DAEMONS and fault == "crash":
            session.put(RESTART.format(daemon=self.system).encode(), "/tmp/restart.sh", 0o755)
            session.start("sh /tmp/restart.sh")
        done = session.run(script, self.limit_s + 60)
        times = [int(word) for word in done.out.split() if word.isdigit()]
        begin = times[0] if times else 0
        seconds = (times[-1] - begin) / 1e9 if len(times) > 1 else done.seconds
        hit = begin if fault == CONTROL else self._hit_time(session)
        served = session.run(f"{XSHISTORY} wait --status {STATUS} --after {hit} --limit-ms {SERVED_LIMIT_MS}", 60).ok
        made = Round(fault, done.ok, seconds, hit, served,
                     note="" if done.ok else (done.err.strip().splitlines() or ["no answer"])[-1][:160])
        if self.system in ("ppvmm", "xoar") and fault != CONTROL:
            self._history(session, made)
        return made

    def _hit(self, fault: str) -> str:
        seed = self.dice.getrandbits(31)
        if self.system in DAEMONS:
            after = NEVER if fault == CONTROL else self.after
            what = "--kill" if fault == "crash" else f"--flip {FLIPS} --seed {seed}"
            return f"ppvmm-xsfault hit $(cat {busiest.PID}) --after {after} --limit-ms 50000 {what}"
        what = {"corruption": "bit-flip --where tree", "destroyed": "destroy"}.get(fault, "wild-rip --when running")
        rehearse = " --rehearse" if fault == CONTROL else ""
        return f"ppvmm inject {STORE} {what}{rehearse} --after {self.after} --seed {seed} --limit-ms 50000 --json -"

    def _hit_time(self, session: Session) -> int:
        try:
            told = json.loads(session.get("/tmp/hit.json"))
            return told["dom0_ns"] if self.system in DAEMONS else told["injections"][0]["dom0_ns"]
        except (ValueError, KeyError, IndexError):
            why = session.run("cat /tmp/hit.err", 10).out.strip()
            raise Hung(f"the fault was not done: {why or 'it said nothing'}") from None

    def _history(self, session: Session, made: Round) -> None:
        """What root saw of the fault, and when."""
        told = json.loads(must(session, "ppvmm history --last 0 --json -"))
        incidents = told if isinstance(told, list) else told.get("incidents", [])
        since = [each for each in incidents if each["seen_ns"] >= made.from_ns and each["outcome"] == "repaired"
                 and each["unit"] == STORE]
        if since:
            first = since[0]
            record = first.get("fault_ns", 0)
            made.seen_ms = (first["seen_ns"] - made.from_ns) / 1e6
            if record:
                made.bite_ms = (record - made.from_ns) / 1e6
                made.detection_ms = (first["seen_ns"] - record) / 1e6
            end = first["serving_ns"] or first["repaired_ns"]
            made.recovery_ms = (end - first["seen_ns"]) / 1e6

    def _say(self, made: Round) -> None:
        how = "succeeded" if made.succeeded else f"FAILED ({made.note})"
        times = "" if made.seen_ms is None else \
            f"; seen after {made.seen_ms:.1f} ms, recovered after {made.recovery_ms:.1f} ms"
        say(f"  {self.system}, {made.fault}: creation {how} in {made.seconds:.2f} s; clients "
            f"{'served again' if made.served else 'NOT served any more'}{times}")

    def _judge(self, session: Session) -> dict:
        session.run("kill -TERM $(cat /run/xshistory.pid)", 20)
        must(session, f"wait-for 60 test -s {HISTORY}")
        return judge(session, HISTORY, 1)

    def _count_wrong(self, rounds: list[Round], verdict: dict) -> None:
        """A wrong answer belongs to the fault that came last before it."""
        counts = {each.fault: 0 for each in rounds if each.fault != CONTROL}
        for wrong in verdict["violations"]:
            before = [each for each in rounds if each.from_ns <= wrong["time_ns"] and each.fault != CONTROL]
            fault = (before or [each for each in rounds if each.fault != CONTROL] or rounds)[-1 if before else 0].fault
            counts[fault] = counts.get(fault, 0) + 1
        for wrong in verdict["violations"][:3]:
            say(f"  {self.system}: {wrong['rule']}: {wrong['key']}: {wrong['text']}")
        for fault, count in counts.items():
            self.result.add_samples(self.system, f"{fault}: wrong answers", "answers", [count])

    def _keep(self, made: Round, verdict: dict) -> None:
        def add(metric: str, unit: str, value: float | None) -> None:
            if value is not None:
                self.result.add_samples(self.system, f"{made.fault}: {metric}", unit, [value])
        if made.succeeded:
            add("creation", "s", made.seconds)
        if made.served:
            waits = [gap["end_ns"] - max(gap["begin_ns"], made.from_ns) for gap in verdict["gaps"]
                     if gap["end_ns"] > made.from_ns and gap["begin_ns"] < made.from_ns + WINDOW_NS]
            add("outage seen by a client", "ms", max(waits, default=0) / 1e6)
        add("creations that succeed", "share", 1.0 if made.succeeded else 0.0)
        if made.fault == CONTROL:
            return
        add("clients served again", "share", 1.0 if made.served else 0.0)
        add("until it bites", "ms", made.bite_ms)
        add("seen after injection", "ms", made.seen_ms)
        add("detection", "ms", made.detection_ms if made.detection_ms is not None else made.seen_ms)
        add("recovery", "ms", made.recovery_ms)
