"""E3: a network back-end fails under load. Every fault is done from outside of what it hits (net_faults.py)."""

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from nethost import host, loadset, mix, net_faults, options, supervised, usage
from nethost.backends import NAMES
from nethost.overhead import chosen
from ppvmm import build, packages
from ppvmm.results import Result, new_folder
from ppvmm.session import Hung
from ppvmm.term import UserError, say

SYSTEMS = (*options.BACKENDS[:2], *options.POLICIES)
NONE = "no fault"


@dataclass
class Round:
    """One time of load, with a fault in it or without."""

    system: str
    fault: str
    heard: mix.Heard
    at_s: float = 0.0                  # of the fault, after the load began, as far as that is known
    what: str = ""
    seen: supervised.Seen = field(default_factory=supervised.Seen)
    healed: bool = True                # the guest was reached in the end


def run(arguments: argparse.Namespace) -> int:
    systems = chosen(arguments.systems, SYSTEMS)
    wanted = [name.strip() for name in arguments.faults.split(",") if name.strip()]
    unknown = set(wanted) - set(net_faults.FAULTS)
    if unknown or not wanted:
        raise UserError(f"faults are {', '.join(net_faults.FAULTS)}; not {', '.join(sorted(unknown)) or 'none'}", 2)
    if arguments.rounds < 1 or arguments.seconds < 2:
        raise UserError("at least one round, and two seconds of load", 2)
    if arguments.virtual and options.outside_of(arguments) == "lan":
        raise UserError("load from a namespace has no place in virtual time: --outside wire", 2)
    packages.ensure("build", "lab", "figures", "load")
    build.build("release", "net_uk", "ppvmm", "ppvmm-root", "xenstore_uk", *loadset.OURS, *loadset.DOM0_TOOLS)
    result = Result("bench-net-faults", "virtual" if arguments.virtual else "wall")
    result.rounds = arguments.rounds
    folder = new_folder(result.name)
    problems: list[str] = []
    rounds: list[Round] = []
    for system in systems:
        _System(system, wanted, arguments, folder, result, rounds, problems).run()
    from nethost import faults_report  # matplotlib is there only now
    return faults_report.conclude(result, systems, wanted, rounds, problems, arguments, folder)


class _System:
    """All faults of one system; a new boot whenever one left its host beyond help."""

    def __init__(self, system: str, wanted, arguments, folder: Path, result: Result, rounds, problems):
        self.system, self.arguments, self.result, self.rounds, self.problems = system, arguments, result, rounds, problems
        self.folder = folder
        self.left = [NONE, *net_faults.faults_of(system, wanted) * arguments.rounds]
        self.left.sort(key=lambda fault: fault == "driver code" and system == "linux-dom0")  # no host is left after it
        self.boots = 0

    def run(self) -> None:
        while self.left:
            self.boots += 1
            try:
                self._boot()
            except (Hung, UserError, ValueError) as error:
                fault = self.left.pop(0)
                self.problems.append(f"{self.system}, {fault}: {str(error)[:1500]}")
                say(f"PROBLEM: {self.problems[-1].splitlines()[0]}")
                if self.boots > 3 + len(self.left):
                    return

    def _boot(self) -> None:
        wire = options.outside_of(self.arguments) == "wire"
        machine = host.variant(self.system, wire, self.arguments.virtual, self.arguments.set)
        out = self.folder / f"{self.system}-{self.boots}"
        say(f"{NAMES[self.system]}: boot {self.boots}, {len(self.left)} rounds left")
        here = host.Host(self.system, machine, out)
        try:
            self.result.versions |= here.session.versions
            while self.left:
                made = self._round(here, self.left[0])
                self.left.pop(0)
                self.rounds.append(made)
                self._keep(made)
                if not made.healed:
                    break
            if here.system in options.POLICIES and here.alive:
                (out / "history.json").write_text(here.session.run("ppvmm history --last 0 --json -", 60).out)
            if here.system == "linux-domain" and here.alive:
                (out / "operator.log").write_text(here.session.run("cat /tmp/operator.log", 60).out)
        finally:
            here.close()

    def _round(self, here: host.Host, fault: str) -> Round:
        seconds, seed = self.arguments.seconds, self.arguments.seed + len(self.rounds)
        # Asked before: in virtual time what dom0 does at the fault takes the guests' only processor from them.
        unit = here.backend.serving("inside") if self.system in options.POLICIES else here.backend.domain
        load = here.load(seconds, seed)
        at = seconds / 4
        if fault == NONE:
            return self._without(here, load, at)
        here.wait(at)
        done = net_faults.FAULTS[fault](here.session, self.system, unit, seed)
        self.result.events.append({"t_ms": round(done.dom0_ns / 1e6, 3), "what": f"{fault}: {done.what}",
                                   "component": self.system})
        try:
            heard = load.finish()
        except Hung:
            if here.alive:
                raise
            heard = mix.Heard(back=False, silence_ms=(seconds - at) * 1e3, broken=here.pressure.connections)  # it died with its host
        made = Round(self.system, fault, heard, at, done.what)
        made.healed = here.well()
        if here.alive:
            made.seen = here.seen(done.dom0_ns)
        return made

    def _without(self, here: host.Host, load: host.Load, at: float) -> Round:
        """And what every domain uses in the middle of it: loads are paced but for ab, which gets what is left."""
        here.wait(at)
        before = usage.read(here.session)
        here.wait(2 * at)
        after = usage.read(here.session)
        heard = load.finish()
        for name, share in usage.shares(here.session, before, after).items():
            self.result.add_samples(self.system, f"{NONE}: CPU, {name}", "share", [share])
        return Round(self.system, NONE, heard)

    def _keep(self, made: Round) -> None:
        heard = made.heard
        values = {"detection": ("ms", made.seen.detection_ms), "recovery": ("ms", made.seen.recovery_ms),
                  "longest silence": ("ms", heard.silence_ms), "lost, outgoing": ("packets", heard.lost_out),
                  "lost, incoming": ("packets", heard.lost_in), "duplicated": ("packets", heard.duplicated),
                  "damaged": ("packets", heard.damaged), "TCP connections broken": ("connections", heard.broken),
                  "TCP streams with wrong bytes": ("connections", heard.wrong),
                  "longest silence of a TCP stream": ("ms", heard.tcp_silence_ms),
                  "judged TCP": ("bytes", heard.tcp_bytes), "ab": ("1/s", heard.web_rate),
                  "served again": ("share", 1.0 if made.healed else 0.0)}
        values |= {f"ab, p{percent}": ("ms", heard.web_ms.get(percent)) for percent in (50, 95, 99)}
        for metric, (unit, value) in values.items():
            if value is not None:
                self.result.add_samples(self.system, f"{made.fault}: {metric}", unit, [value])
        ab = f"{heard.web_rate:.0f} requests/s" if heard.web_rate is not None else "ab gave up"
        found = f"seen after {made.seen.detection_ms:.1f} ms ({made.seen.cause}), " if made.seen.detection_ms is not None else ""
        say(f"  {made.fault}: {found}silent {heard.silence_ms:.1f} ms, lost out {heard.lost_out} in {heard.lost_in}, TCP broken "
            f"{heard.broken} wrong {heard.wrong}, {ab}{'' if made.healed else '; NOT served any more'}")
