"""E1: creations during which the XenStore fails, at the moment when it is busiest."""

import argparse
import json
import random
from dataclasses import dataclass
from pathlib import Path

from ppvmm import build, packages
from ppvmm.results import Result, new_folder
from ppvmm.session import Hung, Session
from ppvmm.term import UserError, say
from storehost import busiest, hosts
from storehost.hosts import DAEMONS, STORE, must

XSHISTORY = "/lab/bin/ppvmm-xshistory"
STATUS, HISTORY, VERDICT = "/run/xshistory.status", "/tmp/history", "/tmp/verdict.json"
FAULTS = ("crash", "corruption")
CREATE_LIMIT_S = 60.0
SERVED_LIMIT_MS = 15_000
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
    """One creation with a fault in its middle."""

    succeeded: bool
    seconds: float
    fault_ns: int
    served: bool                      # every client that was connected is served again
    detection_ms: float | None = None
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
    for system in systems:
        for fault in faults:
            try:
                Experiment(system, fault, arguments, result, folder).run()
            except (Hung, UserError, ValueError) as error:
                problems.append(f"{system}, {fault}: {str(error)[:1500]}")
                say(f"PROBLEM: {problems[-1].splitlines()[0]}")
    from storehost import faults_report  # matplotlib is there only now
    return faults_report.conclude(result, systems, faults, problems, arguments, folder)


class Experiment:
    """One system under one kind of fault. A system that recovers has all its rounds in one boot."""

    def __init__(self, system: str, fault: str, arguments, result: Result, folder: Path):
        self.system, self.fault, self.arguments, self.result = system, fault, arguments, result
        self.folder = folder / f"{system}-{fault}"
        self.dice = random.Random(f"E1 {arguments.seed} {system} {fault}")
        self.after = 0  # work done when it is busiest

    def run(self) -> None:
        left, boots = self.arguments.rounds, 0
        while left:
            boots += 1
            out = self.folder / f"boot-{boots:02}"
            say(f"{self.system}, {self.fault}: boot {boots}, {left} rounds left")
            with hosts.boot(self.system, self.arguments.virtual, self.arguments.set, out) as session:
                self.result.versions |= session.versions
                left -= self._boot(session, left)

    def _boot(self, session: Session, most: int) -> int:
        """Rounds until one leaves the host broken; returns how many."""
        config = must(session, "guest create --config-only --after stay").strip()
        self._load(session)
        if not self.after:
            self._calibrate(session, config)
        rounds: list[Round] = []
        while len(rounds) < most:
            rounds.append(self._round(session, config))
            self._say(rounds[-1])
            if not (rounds[-1].served and rounds[-1].succeeded):
                break
            must(session, "xl destroy create")
        verdict = self._judge(session)
        for each in rounds:
            self._keep(each, verdict)
        for each in verdict["violations"][:3]:
            say(f"  {self.system}, {self.fault}: {each['rule']}: {each['key']}: {each['text']}")
        self.result.add_samples(self.system, f"{self.fault}: wrong answers", "answers", [len(verdict["violations"])])
        if not (rounds[-1].served and rounds[-1].succeeded):
            session.kill()
        return len(rounds)

    def _load(self, session: Session) -> None:
        """Two clients whose outage is measured, and whose answers are judged."""
        session.start(f"echo $$ > /run/xshistory.pid; exec {XSHISTORY} run --clients 2 --seed {self.arguments.seed} "
                      f"--seconds 100000 --pause-us 4000 --grace 3 --status {STATUS} --out {HISTORY}")
        must(session, f"wait-for 30 test -s {STATUS} && {XSHISTORY} wait --status {STATUS} --limit-ms 30000")

    def _calibrate(self, session: Session, config: str) -> None:
        first = session.run(f"xl create -q {config}", hosts.LIMIT_S)
        must(session, "xl destroy create")
        found = []
        for _ in range(3):
            found.append(busiest.trace(session, self.system, config, first.seconds))
            self.result.add_samples(self.system, "creation without a fault", "s", [found[-1][3]])
        found.sort()
        self.after, rate, mean_rate, seconds = found[1]
        self.result.add_samples(self.system, "work when busiest", "pieces/s", [rate])
        self.result.add_samples(self.system, "work in a creation", "pieces/s", [mean_rate])
        say(f"  busiest after {self.after} pieces of work: {rate:.0f}/s there, {mean_rate:.0f}/s in the whole creation "
            f"({seconds:.2f} s)")

    def _round(self, session: Session, config: str) -> Round:
        script = f"rm -f /tmp/hit.json /tmp/restarted; {self._hit()} > /tmp/hit.json 2> /tmp/hit.err & hit=$!; " \
                 f"usleep 50000; timeout {CREATE_LIMIT_S:.0f} xl create -q {config}; code=$?; wait $hit; exit $code"
        if self.system in DAEMONS and self.fault == "crash":
            session.put(RESTART.format(daemon=self.system).encode(), "/tmp/restart.sh", 0o755)
            session.start("sh /tmp/restart.sh")
        done = session.run(script, CREATE_LIMIT_S + 30)
        hit = self._hit_time(session)
        served = session.run(f"{XSHISTORY} wait --status {STATUS} --after {hit} --limit-ms {SERVED_LIMIT_MS}", 60).ok
        # The sampler's head start is not the creation's.
        made = Round(done.ok, max(0.0, done.seconds - 0.05), hit, served,
                     note="" if done.ok else (done.err.strip().splitlines() or ["no answer"])[-1][:160])
        if self.system in ("ppvmm", "xoar"):
            self._history(session, made)
        return made

    def _hit(self) -> str:
        seed = self.dice.getrandbits(31)
        if self.system in DAEMONS:
            what = "--kill" if self.fault == "crash" else f"--flip {FLIPS} --seed {seed}"
            return f"ppvmm-xsfault hit $(cat {busiest.PID}) --after {self.after} --limit-ms 50000 {what}"
        what = "wild-rip --when running" if self.fault == "crash" else "bit-flip --where tree"
        return f"ppvmm inject {STORE} {what} --after {self.after} --seed {seed} --limit-ms 50000 --json -"

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
        since = [each for each in incidents if each["seen_ns"] >= made.fault_ns and each["outcome"] == "repaired"
                 and each["unit"] == STORE]
        if since:
            first = since[0]
            made.detection_ms = (first["seen_ns"] - made.fault_ns) / 1e6
            end = first["serving_ns"] or first["repaired_ns"]
            made.recovery_ms = (end - first["seen_ns"]) / 1e6

    def _say(self, made: Round) -> None:
        how = "succeeded" if made.succeeded else f"FAILED ({made.note})"
        say(f"  {self.system}, {self.fault}: creation {how} in {made.seconds:.2f} s; clients "
            f"{'served again' if made.served else 'NOT served any more'}")

    def _judge(self, session: Session) -> dict:
        session.run("kill -TERM $(cat /run/xshistory.pid)", 20)
        must(session, f"wait-for 60 test -s {HISTORY}")
        session.run(f"{XSHISTORY} check {HISTORY} --gap-ms 1 --json {VERDICT}", 300)
        return json.loads(session.get(VERDICT))

    def _keep(self, made: Round, verdict: dict) -> None:
        def add(metric: str, unit: str, value: float | None) -> None:
            if value is not None:
                self.result.add_samples(self.system, f"{self.fault}: {metric}", unit, [value])
        add("creations that succeed", "share", 1.0 if made.succeeded else 0.0)
        add("clients served again", "share", 1.0 if made.served else 0.0)
        if made.succeeded:
            add("creation", "s", made.seconds)
        add("detection", "ms", made.detection_ms)
        add("recovery", "ms", made.recovery_ms)
        if made.served:
            end = made.fault_ns + 2_000_000_000
            waits = [gap["end_ns"] - max(gap["begin_ns"], made.fault_ns) for gap in verdict["gaps"]
                     if gap["end_ns"] > made.fault_ns and gap["begin_ns"] < end]
            add("outage seen by a client", "ms", max(waits, default=0) / 1e6)
