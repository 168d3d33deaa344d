"""The line to the agent in the emulated machine: orders out, answers and reports in, one JSON object a line."""

import base64
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable


class ChannelClosed(Exception):
    """The machine is gone, or was gone before it answered."""


class Answer:
    """What comes back for one order. `done` is set by its last message."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.last: dict = {}
        self.out: list[str] = []
        self.err: list[str] = []
        self.data: list[bytes] = []
        self.live: Callable[[str], None] | None = None


class Channel:
    """Reads in a thread of its own. `report(message)` is called there for all that is no answer."""

    def __init__(self, port: socket.socket, report: Callable[[dict], None]):
        self._port = port
        self._report = report
        self._ids = itertools.count(1)
        self._waiting: dict[int, Answer] = {}
        self._lock = threading.Lock()
        self.closed = threading.Event()
        threading.Thread(target=self._read, daemon=True, name="lab-channel").start()

    def order(self, live: Callable[[str], None] | None = None, **order) -> Answer:
        """Sends an order; its answer fills up meanwhile."""
        answer = Answer()
        answer.live = live
        with self._lock:
            if self.closed.is_set():
                raise ChannelClosed("the machine is gone")
            order["id"] = next(self._ids)
            self._waiting[order["id"]] = answer
            try:
                self._port.sendall(json.dumps(order).encode() + b"\n")
            except OSError as error:
                raise ChannelClosed(str(error)) from error
        return answer

    def _read(self) -> None:
        partial = b""
        while True:
            try:
                data = self._port.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                break
            *lines, partial = (partial + data).split(b"\n")
            host = time.monotonic()
            for line in lines:
                try:
                    message = json.loads(line)
                except ValueError:
                    message = {"k": "error", "what": f"not JSON: {line[:80]!r}"}
                message["host"] = host
                self._take(message)
        with self._lock:
            self.closed.set()
            waiting, self._waiting = list(self._waiting.values()), {}
        for answer in waiting:
            answer.last = {"k": "error", "what": "the machine ended before it answered", "closed": True}
            answer.done.set()

    def _take(self, message: dict) -> None:
        answer = self._waiting.get(message.get("id", 0))
        kind = message.get("k")
        if answer is None:
            self._report(message)
        elif kind == "output":
            (answer.out if message["stream"] == "out" else answer.err).append(message["d"])
            if answer.live:
                answer.live(message["d"])
        elif kind == "data":
            answer.data.append(base64.b64decode(message["d"]))
        else:
            answer.last = message
            with self._lock:
                self._waiting.pop(message["id"], None)
            answer.done.set()
