"""E5: what each network back-end gives and costs while nothing goes wrong. All systems take turns in one boot, with the
same card, guests and loads."""

import argparse

from nethost import backends, loads, loadset, options, places
from nethost.backends import NAMES
from nethost.host import MACS, outside_place
from nethost.usage import Meter
from ppvmm import build, packages
from ppvmm.qemu import Variant
from ppvmm.results import Result, new_folder
from ppvmm.session import Hung, Lab, Session
from ppvmm.term import UserError, say



def run(arguments: argparse.Namespace) -> int:
    systems = chosen(arguments.systems, options.BACKENDS)
    arguments.rounds = arguments.rounds if arguments.rounds is not None else 1 if arguments.virtual else 3
    if arguments.rounds < 1 or arguments.seconds <= 0:
        raise UserError("at least one round, and loads of some length", 2)
    packages.ensure("build", "lab", "figures", "load")
    build.build("release", "net_uk", *loadset.OURS, *loadset.DOM0_TOOLS)
    result = Result("bench-net-overhead", "virtual" if arguments.virtual else "wall")
    result.rounds = arguments.rounds
    folder = new_folder(result.name)
    problems: list[str] = []
    turns = [(number, system) for number in range(arguments.rounds) for system in systems]
    boots = 0
    while turns and len(problems) < 4:
        boots += 1
        try:
            _boot(turns, arguments, result, folder, boots)
        except (Hung, UserError) as error:
            number, system = turns.pop(0) if turns else (0, "boot")
            problems.append(f"{system}, round {number + 1}: {str(error)[:1500]}")
            say(f"PROBLEM: {problems[-1].splitlines()[0]}")
    from nethost import overhead_report  # matplotlib is there only now
    return overhead_report.conclude(result, systems, problems, arguments, folder)


def chosen(text: str, known: tuple[str, ...]) -> list[str]:
    systems = [system for system in text.split(",") if system]
    unknown = set(systems) - set(known)
    if unknown or not systems:
        raise UserError(f"systems are {', '.join(known)}; not {', '.join(sorted(unknown)) or 'none'}", 2)
    return systems


def variant(arguments) -> Variant:
    wire = options.outside_of(arguments) == "wire"
    made = Variant(mode="virtual" if arguments.virtual else "wall", network="wire" if wire else "lan",
                   devices=["nic", "iommu", *(["nic3"] if wire else [])])
    made.apply(arguments.set)
    if made.mode == "virtual" and made.network == "lan":
        raise UserError("load from a namespace has no place in virtual time: --outside wire", 2)
    return made


def _boot(turns: list, arguments, result: Result, folder, number: int) -> None:
    """One boot: takes turns off the list until none is left."""
    say(f"booting Xen ({options.outside_of(arguments)}, {result.mode})")
    files = loadset.files(folder / "archives")
    targets = ["net_uk", *loadset.OURS, *loadset.DOM0_TOOLS]
    with Lab(files, targets, folder / f"boot-{number}").boot(variant(arguments)) as session:
        result.versions |= session.versions
        outside = outside_place(session)
        while turns:
            turn, system = turns[0]
            say(f"round {turn + 1}, {NAMES[system]}")
            Turn(session, outside, system, arguments, result).run()
            turns.pop(0)


class Turn:
    """One system, once: back-end up, two guests, all loads, everything down."""

    def __init__(self, session: Session, outside, system: str, arguments, result: Result):
        self.session, self.outside, self.system = session, outside, system
        self.seconds, self.result = arguments.seconds, result
        self.backend = backends.OF[system](session)

    def run(self) -> None:
        ready = self.backend.start()
        if ready is not None:
            self._add("boot", "s", ready)
        guests = {name: places.Guest(self.session, name) for name in MACS}
        for name, guest in guests.items():
            guest.create(self.backend.vif(MACS[name]))
        self._reach(guests["beside"])
        self._measure(guests["beside"])
        for guest in guests.values():
            guest.destroy()
        self.backend.stop()

    def _reach(self, beside) -> None:
        """Until everybody has found everybody: bridges and caches have learned."""
        for place in (self.outside, beside):
            said = place.run(f"for i in 1 2 3 4 5 6 7 8 9 10; do ping -c 1 -W 1 {loads.INSIDE} > /dev/null && exit 0; "
                             "done; exit 1", 60)
            if not said.ok:
                raise Hung(self.session.where(f"{self.system}: {place.name} does not reach the guest"))

    def _measure(self, beside) -> None:
        meter = Meter(self.session, self.backend.domid())
        if self.backend.domain != "Domain-0":
            self._add("memory", "MiB", meter.mib)
        self._add("idle CPU", "share", meter.idle)
        inside, outside, seconds = loads.INSIDE, self.outside, self.seconds
        self._one(meter, "TCP to the guest", lambda name: loads.stream(outside, inside, seconds, name, ""))
        self._one(meter, "TCP from the guest", lambda name: loads.stream(outside, inside, seconds, name, "-R"))
        self._one(meter, "TCP both ways", lambda name: loads.stream(outside, inside, seconds, name, "--bidir"))
        self._one(meter, "TCP guest to guest", lambda name: loads.stream(beside, inside, seconds, name, ""))
        self._one(meter, "packets to the guest", lambda name: loads.packets(outside, inside, seconds, name, ""))
        self._one(meter, "packets from the guest", lambda name: loads.packets(outside, inside, seconds, name, "-R"))
        self._one(meter, "HTTP", lambda name: loads.web(outside, inside, seconds, name))
        self._one(meter, "round trip", lambda name: loads.round_trip(outside, inside, seconds, name))
        self._one(meter, "round trip guest to guest", lambda name: loads.round_trip(beside, inside, seconds, name))

    def _one(self, meter: Meter, name: str, load) -> None:
        meter.begin()
        measured = load(name)
        cpu = meter.end()
        for metric, (unit, value) in measured.values.items():
            self._add(metric, unit, value)
        if measured.gigabytes:
            self._add(f"CPU, {name}", "s/GB", cpu / measured.gigabytes)
        if measured.packets:
            self._add(f"CPU, {name}", "us/packet", cpu / measured.packets * 1e6)

    def _add(self, metric: str, unit: str, value: float) -> None:
        self.result.add_samples(self.system, metric, unit, [value])
