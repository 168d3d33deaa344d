"""A plan of faults carried out in dom0 by `ppvmm drill`, and what it said of each: a question from here would take longer than
a repair."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from campaign.plan import Fault
from ppvmm.session import Hung, Session

SUPERVISOR_PID = "/run/ppvmm/root.pid"
MOMENT_LIMIT_MS = 3000  # until the moment for a fault must have come


class Interrupted(Hung):
    """The host ended, or stood still, in the middle of its faults."""

    def __init__(self, why: str, done: int):
        super().__init__(why)
        self.done = done  # faults before the one it ended in


class Lines:
    """Whole lines of text that comes in pieces."""

    def __init__(self):
        self._rest = ""

    def take(self, text: str) -> list[str]:
        *lines, self._rest = (self._rest + text).split("\n")
        return [line for line in lines if line.strip()]


@dataclass
class Injected:
    """What `ppvmm inject` said, and what followed."""

    target: str
    what: dict = field(default_factory=dict)
    refused: str = ""           # why it could not be done
    served: bool = False        # every client was served again in time
    healed: bool = True         # and root, if there is one, had all members of the store well again
    dom0_ns: int = 0
    xen_ns: int = 0


def _words(fault: Fault) -> str:
    """Arguments of `ppvmm inject`, behind the target."""
    words = list(fault.words)
    faults = [word for word in words if not word.startswith("--")][:2 if "kill-supervisor" in words else 1]
    options = words[len(faults):]
    if "kill-supervisor" in faults:
        options += ["--supervisor", SUPERVISOR_PID]
    return " ".join([*faults, *options, "--when", fault.when, "--seed", str(fault.seed), "--limit-ms", str(MOMENT_LIMIT_MS)])


def _injected(target: str, line: str) -> Injected:
    """Of a line that the drill wrote."""
    told = json.loads(line)
    result = Injected(target, refused=told["refused"])
    if told["injections"]:
        result.what = told
        first = told["injections"][0]
        result.dom0_ns, result.xen_ns = first["dom0_ns"], first.get("xen_ns") or first["dom0_ns"]
        result.served, result.healed = told["served"], told["well"]
    return result


def line(fault: Fault, target: str) -> str:
    """Of the plan."""
    return f"{_begin(fault)} {target} {_words(fault)}"


def command_line(fault: Fault, command: str) -> str:
    """The same for a fault that a command in dom0 does, which says so as `ppvmm inject --json -` would."""
    return f"{_begin(fault)} ! {command}"


def _begin(fault: Fault) -> str:
    return f"{fault.number} {int(fault.delay_s * 1e6)}"


def run(session: Session, faults: list[Fault], targets: list[str], plan: list[str], served: list[str], limit_s: float,
        on_fault: Callable[[Fault, Injected], bool]) -> list[Injected]:
    """Does the faults one after the other, each at its time and each to a whole system, until one leaves it broken or
    `on_fault` says no. `served`: files that the load keeps."""
    session.put("".join(f"{each}\n" for each in plan).encode(), "/tmp/drill.plan")
    done: list[Injected] = []
    lines = Lines()

    def take(text: str) -> None:
        for each in lines.take(text):
            fault = faults[len(done)]
            done.append(_injected(targets[len(done)], each))
            if not on_fault(fault, done[-1]):
                # Seen before the next fault but one; what was begun is finished.
                threading.Thread(target=session.start, args=("touch /tmp/drill.stop",), daemon=True).start()
    try:
        ended = session.run(f"ppvmm drill /tmp/drill.plan --served {' '.join(served)} --stop /tmp/drill.stop "
                            f"--heal-ms {int(limit_s * 1000)}", (2 * limit_s + 10) * len(faults), take)
    except Hung as hung:
        raise Interrupted(str(hung), len(done)) from hung
    if not ended.ok:
        raise Interrupted(f"the drill ended with {ended.code}: {ended.err.strip()[-400:]}", len(done))
    return done
