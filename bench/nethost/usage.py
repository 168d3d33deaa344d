"""Processor time of domains: what a load cost the back-end."""

import json
from dataclasses import dataclass

from nethost.backends import must
from ppvmm.session import Session


@dataclass
class Usage:
    """What Xen had counted at one moment."""

    now_ns: int
    cpu_ns: dict[int, int]
    mib: dict[int, float]


def read(session: Session) -> Usage:
    told = json.loads(must(session, "ppvmm-domlook usage"))
    return Usage(told["dom0_ns"], {each["domid"]: each["cpu_ns"] for each in told["domains"]},
                 {each["domid"]: each["pages"] / 256 for each in told["domains"]})


class Meter:
    """Processor seconds of one domain beyond what it uses when nobody wants anything of it."""

    def __init__(self, session: Session, domid: int, idle_s: float = 0.5):
        self._session, self._domid = session, domid
        before = read(session)
        must(session, f"usleep {int(idle_s * 1e6)}")
        after = read(session)
        self.idle = self._spent(before, after) / (after.now_ns - before.now_ns)
        self.mib = after.mib[domid]

    def begin(self) -> None:
        self._before = read(self._session)

    def end(self) -> float:
        """Since begin()."""
        after = read(self._session)
        busy = self._spent(self._before, after) - self.idle * (after.now_ns - self._before.now_ns)
        return max(0.0, busy / 1e9)

    def _spent(self, before: Usage, after: Usage) -> int:
        return after.cpu_ns[self._domid] - before.cpu_ns[self._domid]


def shares(session: Session, before: Usage, after: Usage) -> dict[str, float]:
    """Of one processor, what each domain used between two moments, by name."""
    names = {int(words[1]): words[0] for words in map(str.split, must(session, "xl list").splitlines()[1:])}
    return {names.get(domid, f"domain {domid}"): (spent - before.cpu_ns[domid]) / (after.now_ns - before.now_ns)
            for domid, spent in after.cpu_ns.items() if domid in before.cpu_ns}
