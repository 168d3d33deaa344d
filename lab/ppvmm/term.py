"""What the user sees while something runs: one line a step, with elapsed time, and never a silent minute."""

import sys
import threading
import time

START = time.monotonic()
_lock = threading.Lock()
_live = sys.stdout.isatty()


class UserError(Exception):
    """Something the user can act on: shown without a traceback, ends the command with `code`."""

    def __init__(self, message: str, code: int = 1):
        super().__init__(message)
        self.code = code


def elapsed() -> str:
    return f"{time.monotonic() - START:6.1f}s"


def say(text: str) -> None:
    """One line, stamped with the time since the command started."""
    with _lock:
        if _live:
            sys.stdout.write("\r\x1b[K")
        print(f"[{elapsed()}] {text}", flush=True)


class Step:
    """A step that may take a while: `with Step("building"):` shows that it is still alive.

    On a terminal the line is rewritten every second; elsewhere a line appears every 20 seconds.
    """

    def __init__(self, text: str):
        self.text = text
        self.detail = ""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Step":
        self._began = time.monotonic()
        if not _live:
            say(f"{self.text} ...")
        self._thread.start()
        return self

    def __exit__(self, kind, value, trace) -> None:
        self._done.set()
        self._thread.join()
        took = time.monotonic() - self._began
        say(f"{self.text}: {'failed after' if kind else 'done in'} {took:.1f} s")

    def _tick(self) -> None:
        period = 1.0 if _live else 20.0
        while not self._done.wait(period):
            took = time.monotonic() - self._began
            line = f"[{elapsed()}] {self.text} ... {took:.0f} s {self.detail}"
            with _lock:
                if _live:
                    sys.stdout.write("\r\x1b[K" + line[:150])
                    sys.stdout.flush()
                else:
                    print(line, flush=True)
