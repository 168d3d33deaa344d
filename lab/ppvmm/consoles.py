"""Console logs of a run: one file for each of Xen, dom0 and every guest, all stamped on one clock.

The clock is the machine's: seconds since Xen started. Xen stamps its own lines; dom0's lines and the
agent's reports carry dom0's clock, which started `dom0_start` seconds after Xen's.
"""

import re
import threading
from collections import deque
from pathlib import Path

XEN_LINE = re.compile(r"^\(XEN\) \[\s*(\d+\.\d+)\] ?(.*)$")
KERNEL_LINE = re.compile(r"^\[\s*(\d+\.\d+)\] ?(.*)$")
XEN_MARK = re.compile(r"TSC (not )?marked as ")
DOM0_STARTS = re.compile(r"Freed \d+kB init memory")
TAIL = 12


class Consoles:
    """Writes `<name>.log` files below `folder` and keeps the last lines of each for error messages."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._files: dict = {}
        self._tails: dict[str, deque[str]] = {}
        self._lock = threading.Lock()
        self._partial = b""
        self._xen_now = 0.0
        self.on_dom0_start = lambda seconds: None  # called when Xen has handed over to dom0
        self.dom0_start = 0.0  # seconds between Xen's start and the start of dom0's clock
        self._marked = threading.Event()
        self._mark = 0.0

    def write(self, name: str, seconds: float, text: str) -> None:
        with self._lock:
            if name not in self._files:
                safe = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
                self._files[name] = open(self._folder / f"{safe}.log", "w", encoding="utf-8", errors="replace")
                self._tails[name] = deque(maxlen=TAIL)
            line = f"[{seconds:12.6f}] {text}"
            self._files[name].write(line + "\n")
            self._files[name].flush()
            self._tails[name].append(line)

    def synchronise(self, dom0_seconds: float) -> None:
        """The agent made Xen print its mark at this time of dom0's clock; the mark carries Xen's time."""
        if self._marked.wait(5.0):
            self.dom0_start = self._mark - dom0_seconds

    def feed_serial(self, data: bytes) -> None:
        """Splits what came over the first serial line into Xen's words and dom0's."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for raw in lines:
            line = raw.decode(errors="replace").strip("\r")
            xen = re.search(r"\(XEN\) .*", line)
            if xen:
                if line[:xen.start()].strip():
                    self.write("dom0", self._xen_now, line[:xen.start()])
                found = XEN_LINE.match(xen[0])
                if found:
                    self._xen_now = float(found[1])
                    self._note(found[2])
                self.write("xen", self._xen_now, found[2] if found else xen[0][6:])
                continue
            found = KERNEL_LINE.match(line)
            if found:
                self._xen_now = max(self._xen_now, float(found[1]) + self.dom0_start)
            self.write("dom0", self._xen_now, found[2] if found else line)

    def _note(self, text: str) -> None:
        """Learns the distance of the clocks: roughly when dom0 starts, exactly at the agent's mark."""
        if DOM0_STARTS.search(text):
            self.dom0_start = self._xen_now
            self.on_dom0_start(self._xen_now)
        elif XEN_MARK.search(text) and not self._marked.is_set():
            self._mark = self._xen_now
            self._marked.set()

    def tails(self) -> str:
        """The last lines of every console, for a run that went wrong."""
        with self._lock:
            return "\n".join(f"--- {name}\n" + "\n".join(tail) for name, tail in self._tails.items() if tail)

    def close(self) -> None:
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()


def pump(serial, consoles: Consoles) -> None:
    """Reads the serial line until the machine ends; runs in a thread of its own."""
    while True:
        try:
            data = serial.recv(1 << 16)
        except OSError:
            return
        if not data:
            return
        consoles.feed_serial(data)
