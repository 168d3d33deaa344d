"""A booted host with one network back-end, guests on it and load around it: what E3 and campaigns do harm to."""

import time
from pathlib import Path

from nethost import backends, loads, loadset, mix, places, supervised
from nethost.options import POLICIES
from ppvmm.qemu import Variant
from ppvmm.session import Hung, Lab

OUTSIDER_CARD = "00:13.0"
MACS = {"inside": "00:16:3e:00:00:0b", "beside": "00:16:3e:00:00:0c"}
# A world outside whose bridge has learned where a guest is sends there until it hears otherwise; ours learns at once.
REACH = f"for i in 1 2 3 4 5 6 7 8 9 10; do ping -c 1 -W 1 {loads.INSIDE} > /dev/null && exit 0; done; exit 1"


def variant(system: str, wire: bool, virtual: bool, settings: list[str]) -> Variant:
    rooted = system in POLICIES
    devices = ["nic", "iommu", *(["nic2"] if system == "tfd" else []), *(["nic3"] if wire else [])]
    # xl reaches a card's registers from dom0 only if Linux lets programs map them.
    made = Variant(xenstore="ppvmm" if rooted else "xenstored", mode="virtual" if virtual else "wall", memory=3072,
                   network="wire" if wire else "lan", devices=devices, dom0_args="iomem=relaxed")
    made.apply(settings)
    return made


class Host:
    """Boots; afterwards guest `inside` (and those of `more`) is reached from outside through the back-end."""

    def __init__(self, system: str, machine: Variant, out: Path, more: tuple[str, ...] = ()):
        self.system, self.pressure = system, mix.PRESSURE[machine.mode]
        out.mkdir(parents=True, exist_ok=True)
        files = loadset.files(out.parent / "archives")
        rooted = system in POLICIES
        if rooted:
            files |= supervised.brought(system, out)
        self.session = Lab(files, ["net_uk", *loadset.OURS, *loadset.DOM0_TOOLS], out).boot(machine)
        try:
            self.backend = supervised.Supervised(self.session, system) if rooted else backends.OF[system](self.session)
            self.backend.start()
            self.outside = outside_place(self.session)
            self.guests = {name: places.Guest(self.session, name) for name in ("inside", *more)}
            for name, guest in self.guests.items():
                guest.create(self.backend.vif(MACS[name]))
            if system == "linux-domain":
                supervised.start_operator(self.session, {
                    name: f"mac={MACS[name]} backend=netdom script=/lab/vif-plain" for name in self.guests})
            if not self.reached():
                raise Hung(self.session.where(f"{system}: the guest is not reached from outside"))
        except BaseException:
            self.session.kill()
            raise

    @property
    def alive(self) -> bool:
        return self.session.machine.process.poll() is None

    def reached(self) -> bool:
        """Does the guest answer the world outside?"""
        return self.alive and self.outside.run(REACH, 60).ok

    def serve_outside(self) -> None:
        """Sees to it that servers of the loads run in the world outside; a guest there has them anyway."""
        if self.session.variant.network == "lan":
            for command in ("netload serve", "udpseq serve --port 7000"):
                self.outside.start(command, 86400)

    def load(self, seconds: float, seed: int, web: bool = True) -> "Load":
        return Load(self, seconds, seed, web)

    def wait(self, seconds: float) -> None:
        """On the machine's clock."""
        backends.must(self.session, f"usleep {int(seconds * 1e6)}", seconds + 30)

    def well(self, limit: float = 20.0) -> bool:
        """Waits until whoever looks after the host says that all is well, and the guest is reached."""
        end = time.monotonic() + limit * (6 if self.session.variant.mode == "virtual" else 1)
        while self.alive:
            try:
                if (self.system not in POLICIES or supervised.well(self.session)) and self.reached():
                    return True
            except (Hung, ValueError):
                pass  # root is busy, or being started again
            if time.monotonic() > end:
                return False
        return False

    def seen(self, fault_ns: int) -> supervised.Seen:
        if self.system in POLICIES:
            return supervised.seen_by_root(self.session, fault_ns)
        if self.system == "linux-domain":
            return supervised.seen_by_operator(self.session, fault_ns)
        return supervised.Seen()

    def close(self) -> None:
        if self.alive:
            self.session.poweroff()
        else:
            self.session.kill()


class Load:
    """The mix under way."""

    def __init__(self, host: Host, seconds: float, seed: int, web: bool):
        self._seconds, self._pressure = seconds, host.pressure
        self._under_way = host.outside.start(mix.command(seconds, seed, host.pressure, web), seconds + mix.GRACE_S + 60)

    def finish(self) -> mix.Heard:
        return mix.understand(self._under_way.finish().text, self._seconds, self._pressure)


def outside_place(session):
    """Where load from outside starts."""
    if session.variant.network == "lan":
        for program in loadset.DEBIAN:
            session.network.add_tool(program, loadset.where(program))
        return places.Namespace(session)
    backends.must(session, f"xl pci-assignable-add {OUTSIDER_CARD}")
    outsider = places.Guest(session, "outsider")
    outsider.create(f'pci = ["{OUTSIDER_CARD}"]\n')
    return outsider
