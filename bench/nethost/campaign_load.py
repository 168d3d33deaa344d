"""The load of a campaign on net_uk, which lasts for a whole boot: numbered packets and TCP streams whose every byte is judged,
between dom0, which is given a vif as any guest is, and the world outside, and between dom0 and a guest. So all that is told of
losses is on the clock that faults are stamped with, and a drill in dom0 sees at once whether all is served again."""

import json
import struct
from dataclasses import dataclass

from nethost import attribute, loads, places
from nethost.backends import must
from ppvmm.session import Hung, Session

ADDRESS = "10.77.0.13"
MAC = "00:16:3e:00:00:0d"
FOLDER = "/run/load"
GAP_MS = 30
GRACE_S = 10
FOREVER_S = 36000  # ended by a signal


@dataclass(frozen=True)
class Pressure:
    """Light: what is measured is a fault, not a queue, and each time that an emulated domain wakes up takes time."""

    rate: int = 50        # numbered packets per second, each way
    connections: int = 1
    tcp_rate: int = 8000  # bytes per second, each way, of each connection
    piece: int = 400      # bytes: so many times a second a stream moves


PEERS = {"outside": places.OUTSIDE, "between guests": loads.INSIDE}


def attach(session: Session, unit: str) -> None:
    """Gives dom0 a vif."""
    must(session, f"""
insmod /usr/lib/modules/xen_netfront.ko
mkdir -p {FOLDER}
xl network-attach 0 backend={unit} mac={MAC}
wait-for 30 grep -qs {MAC} /sys/class/net/*/address
name=$(grep -l {MAC} /sys/class/net/*/address | cut -d/ -f5)
ip addr add {ADDRESS}/24 dev "$name"
ip link set "$name" up
for peer in {' '.join(PEERS.values())}; do wait-for 30 ping -c 1 -W 1 $peer || exit 1; done""", 150)


class Load:
    def __init__(self, session: Session, seed: int, pressure: Pressure = Pressure()):
        self._session = session
        self.served: list[str] = []
        self._names: list[str] = []
        for number, peer in enumerate(PEERS.values()):
            self._start(f"{number}.udp", f"udpseq run --to {peer}:7000 --rate {pressure.rate} --size {pressure.piece} "
                                         f"--journal-ms {GAP_MS}")
            self._start(f"{number}.tcp", f"netload check --to {peer}:7100 --connections {pressure.connections} --rate "
                                         f"{pressure.tcp_rate} --size {pressure.piece} --seed {seed + 100 * number}")
        while not all(self._moving(path) for path in self.served):
            must(session, "usleep 100000")

    def _moving(self, path: str) -> bool:
        if not self._session.run(f"test -s {path}").ok:
            said = self._session.run(f"cat {path.removesuffix('.served')}.err").out
            if said:
                raise Hung(f"the load did not begin: {said}")
            return False
        told = self._session.get(path)
        return all(struct.unpack(f"<{len(told) // 8}Q", told))

    def _start(self, name: str, command: str) -> None:
        path = f"{FOLDER}/{name}"
        self.served.append(f"{path}.served")
        self._names.append(name)
        self._session.start(f"echo $$ > {path}.pid; exec {command} --seconds {FOREVER_S} --grace {GRACE_S} "
                            f"--served {path}.served --json {path}.json 2> {path}.err")

    def finish(self) -> attribute.Heard:
        """Ends it, and brings what all of it told."""
        pids = " ".join(f"{FOLDER}/{name}.pid" for name in self._names)
        must(self._session, f"kill -TERM $(cat {pids}); for pid in $(cat {pids}); do "
                            f"wait-for {GRACE_S + 10} sh -c \"! [ -e /proc/$pid ]\"; done; true", 4 * (GRACE_S + 15))
        end_ns = json.loads(must(self._session, "ppvmm-domlook usage"))["dom0_ns"]
        heard = attribute.Heard()
        for number, where in enumerate(PEERS):
            attribute.take_packets(heard, where, self._told(f"{number}.udp"), where == "outside")
            attribute.take_streams(heard, where, self._told(f"{number}.tcp"), end_ns)
        return heard

    def _told(self, name: str) -> dict:
        text = self._session.get(f"{FOLDER}/{name}.json", self._session.out / f"load-{name}.json") \
            if self._session.run(f"test -s {FOLDER}/{name}.json").ok else b""
        try:
            return json.loads(text)
        except ValueError:
            said = self._session.run(f"cat {FOLDER}/{name}.err").out
            raise Hung(f"the load {name} told nothing of use: {said.strip()[-300:]}") from None
