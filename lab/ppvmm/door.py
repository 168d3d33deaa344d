"""From this machine into the emulated host that somebody has running: `./ppvmm status`, `history` and `inject` beside an
open `./ppvmm lab shell` are carried out in its dom0."""

import json
import os
import shlex
import socket
import sys
import threading
from pathlib import Path

from ppvmm.paths import cache
from ppvmm.term import UserError

LIMIT_S = 60.0


def place_of_all() -> Path:
    return cache() / "lab.sock"


class Door:
    """Open while the object lives. One at a time: the host that was booted last is the one that is reached."""

    def __init__(self, session, place: Path | None = None):
        self._session, self._place = session, place or place_of_all()
        place = self._place
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(place))
        os.chmod(place, 0o600)
        self._inode = place.stat().st_ino
        self._listener.listen(4)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        # Another door may stand there by now: only our own goes.
        if self._place.exists() and self._place.stat().st_ino == self._inode:
            self._place.unlink()
        self._listener.close()

    def __enter__(self) -> "Door":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _serve(self) -> None:
        while True:
            try:
                guest, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(guest,), daemon=True).start()

    def _answer(self, guest: socket.socket) -> None:
        with guest, guest.makefile("rwb") as stream:
            words = json.loads(stream.readline())
            try:
                done = self._session.run(shlex.join(["ppvmm", *words]), LIMIT_S)
                told = {"code": done.code, "out": done.out, "err": done.err}
            except UserError as problem:
                told = {"code": 1, "out": "", "err": f"ppvmm: {problem}\n"}
            stream.write(json.dumps(told).encode() + b"\n")


def knock(words: list[str], place: Path | None = None) -> int | None:
    """Has `ppvmm WORDS` done in the running host; its exit code. Nothing when no host runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            line.connect(str(place or place_of_all()))
        except OSError:
            return None
        with line.makefile("rwb") as stream:
            stream.write(json.dumps(words).encode() + b"\n")
            stream.flush()
            answer = stream.readline()
    if not answer:
        raise UserError("the emulated host ended meanwhile")
    told = json.loads(answer)
    sys.stdout.write(told["out"])
    sys.stderr.write(told["err"])
    return told["code"]
