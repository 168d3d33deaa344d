"""Places where load programs run: the network outside, and guests. Both take a shell command and bring back what it said."""

import shlex
import threading
import time
from dataclasses import dataclass

from ppvmm.session import Hung, Session

OUTSIDE = "10.77.0.1"
# What runs in a guest: its task (guests/place.sh) waits for orders in the XenStore and reports over the console, so that
# nothing polls and no network is needed.
ARCHIVE = "/lab/load.cpio"
TASK = "/lab/place.sh"


@dataclass
class Said:
    code: int
    text: str

    @property
    def ok(self) -> bool:
        return self.code == 0


class Namespace:
    """The network outside the emulated machine (network = "lan")."""

    name = "outside"

    def __init__(self, session: Session):
        self._session = session

    def start(self, command: str, limit: float):
        """Begins the command; the answer's `finish()` waits for its end."""
        return _Thread(self._session, command, limit)

    def run(self, command: str, limit: float = 60.0) -> Said:
        return self.start(command, limit).finish()


class _Thread:
    def __init__(self, session: Session, command: str, limit: float):
        self._said: list[Said] = []
        self._thread = threading.Thread(target=self._run, args=(session, command, limit), daemon=True)
        self._thread.start()

    def _run(self, session: Session, command: str, limit: float) -> None:
        code, said = session.network.run(command, session.out, limit)
        self._said.append(Said(code, said.decode(errors="replace")))

    def finish(self) -> Said:
        self._thread.join()
        if not self._said:
            raise Hung("a command in the network outside could not be started")
        return self._said[0]


class Guest:
    """A guest that runs guests/place.sh."""

    def __init__(self, session: Session, name: str):
        self._session = session
        self.name = name
        self._orders = 0

    def create(self, extra: str, memory: int = 192, limit: float = 180.0) -> None:
        """Creates it by the unmodified xl; returns when it takes orders."""
        self._seen = len(self._session.events)
        done = self._session.run(f"guest {self.name} --task {TASK} --archive {ARCHIVE} --memory {memory} "
                                 f"--extra {shlex.quote(extra)}", limit)
        if not done.ok:
            raise Hung(f"guest {self.name} was not created: {(done.err or done.out).strip()[-500:]}")
        self._wait(f"{self.name} takes orders", limit)
        self._path = f"/local/domain/{self._session.run(f'xl domid {self.name}').out.strip()}/data/order"

    def destroy(self) -> None:
        self._session.run(f"xl destroy {self.name}", 60)
        self._orders = 0

    def start(self, command: str, limit: float):
        self._orders += 1
        self._seen = len(self._session.events)
        order = shlex.quote(f"{self._orders} {command}")
        done = self._session.run(f"xenstore-write {self._path} {order}", 30)
        if not done.ok:
            raise Hung(f"no order could be given to {self.name}: {done.err.strip()[-300:]}")
        return _Order(self, self._orders, limit)

    def run(self, command: str, limit: float = 60.0) -> Said:
        return self.start(command, limit).finish()

    def answer(self, number: int, limit: float) -> Said:
        what = self._wait(f"{self.name} {number} ", limit)
        name = f"{self.name}.{number}"
        path = self._session.reports.files.pop(name, None)
        text = path.read_text(errors="replace") if path else ""
        return Said(int(what.split()[2]), text)

    def _wait(self, beginning: str, limit: float) -> str:
        # The limit is of the machine's clock, which may run far behind ours.
        end = time.monotonic() + limit * (20 if self._session.variant.mode == "virtual" else 1.5)
        while True:
            events = self._session.events
            for event in events[self._seen:]:
                if event["what"].startswith(beginning):
                    return event["what"]
            if self._session.machine.process.poll() is not None or time.monotonic() > end:
                raise Hung(self._session.where(f"guest {self.name} did not say {beginning!r} within {limit:.0f} s"))
            self._session.reports.wait(0.5)


class _Order:
    def __init__(self, guest: Guest, number: int, limit: float):
        self._guest, self._number, self._limit = guest, number, limit

    def finish(self) -> Said:
        return self._guest.answer(self._number, self._limit)
