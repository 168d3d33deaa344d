"""What the machine reports by itself: events, checks, records, failures, files, console lines."""

import base64
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path

from ppvmm.consoles import Consoles


class Reports:
    """Collects reports, keeps them as JSON lines in <out>/reports.jsonl, and lets others wait for them."""

    def __init__(self, out: Path, consoles: Consoles, on_event: Callable[[dict], None] | None = None):
        self.events: list[dict] = []
        self.checks: list[dict] = []
        self.samples: list[dict] = []
        self.failures: list[str] = []
        self.files: dict[str, Path] = {}
        self.on_outside: Callable[[dict], None] | None = None  # dom0 asks for a command outside the machine
        self._out = out
        self._consoles = consoles
        self._on_event = on_event
        self._changed = threading.Condition()
        self._log = open(out / "reports.jsonl", "w", encoding="utf-8")

    def take(self, message: dict) -> None:
        """Called by the channel's thread for every report."""
        kind = message.get("k")
        if kind == "xen_mark":
            self._consoles.synchronise((message["before_ns"] + message["after_ns"]) / 2e9)
            return
        stamp = message.get("t", 0) / 1e9 + self._consoles.dom0_start
        if kind == "console":
            self._consoles.write(message["name"], stamp, message["d"])
            return
        with self._changed:
            if kind != "file" and not self._log.closed:
                self._log.write(json.dumps(message) + "\n")
            self._keep(kind, message, stamp)
            self._changed.notify_all()
        if kind == "event" and self._on_event:
            self._on_event(self.events[-1])
        if kind == "outside" and self.on_outside:
            self.on_outside(message)

    def _keep(self, kind: str | None, message: dict, stamp: float) -> None:
        if kind == "hello":
            self._add_event("dom0's agent up", "dom0", stamp)
        elif kind == "event":
            self._add_event(message["what"], message.get("component") or "dom0", stamp)
        elif kind == "check":
            self.checks.append({key: message.get(key) for key in ("name", "ok", "code", "detail")})
        elif kind == "record":
            self.samples.append({key: message[key] for key in ("system", "metric", "unit", "values")})
        elif kind == "fail":
            self.failures.append(message["what"])
        elif kind == "file":
            self._file(message)
        elif kind == "error":
            self.failures.append(f"agent: {message['what']}")

    def note(self, what: str, component: str, seconds: float) -> None:
        """An event that was seen from outside: `seconds` on the machine's clock."""
        with self._changed:
            self._add_event(what, component, seconds)
            self._changed.notify_all()
        if self._on_event:
            self._on_event(self.events[-1])

    def _add_event(self, what: str, component: str, stamp: float) -> None:
        self.events.append({"t_ms": round(stamp * 1000, 3), "what": what, "component": component})

    def _file(self, message: dict) -> None:
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", message["name"]).lstrip(".") or "file"
        path = self._out / name
        with open(path, "ab" if name in self.files else "wb") as file:
            file.write(base64.b64decode(message["d"]))
        self.files[name] = path

    def find(self, what: str) -> dict | None:
        with self._changed:
            return next((event for event in self.events if event["what"] == what), None)

    def wait(self, seconds: float) -> None:
        """Returns after the next report, or after `seconds`."""
        with self._changed:
            self._changed.wait(seconds)

    def close(self) -> None:
        with self._changed:
            self._log.close()
