"""What the world outside sees of a guest's web page while its network back-end is killed: live on the terminal, and as
a figure. `web-watch` (lab/outside) writes what it got into the run's folder; the machine's events tell the states."""

import html
import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from ppvmm import scenario
from ppvmm.term import say

SAID_EVERY_S = 1.0
# What an event says about a component of net_uk.
STATES = {"driver killed": ("driver", "damaged"), "driver replaced": ("driver", "works"),
          "netback damaged": ("netback", "damaged"), "netback made anew": ("netback", "works"),
          "net_uk killed": ("net_uk", "dead"), "net_uk goes on": ("net_uk", "works")}
BEGINS = "a page is fetched from outside, again and again"
WIDTH, HEIGHT, LEFT, BASE = 1100, 250, 60, 190


@dataclass
class Span:
    """A quarter of a second, or so."""

    end_s: float  # of this machine's monotonic clock
    span_s: float
    fetched: int
    failed: int
    wrong: int

    @property
    def rate(self) -> float:
        return self.fetched / self.span_s


@dataclass
class Traffic(scenario.Spectator):
    """Follows a run: prints a line a second while pages are fetched, keeps what was seen."""

    spans: list[Span] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)  # when an event was told here, and which
    _states: dict[str, str] = field(default_factory=lambda: {name: "works" for name, _ in STATES.values()})
    _over: threading.Event = field(default_factory=threading.Event)
    _follower: threading.Thread | None = None

    def begins(self, folder: Path) -> None:
        self._follower = threading.Thread(target=self._follow, args=(folder / "web.jsonl",), daemon=True)
        self._follower.start()

    def event(self, event: dict) -> None:
        if event["what"] not in STATES:
            return
        self.marks.append((time.monotonic(), event["what"]))
        name, state = STATES[event["what"]]
        self._states[name] = state

    def end(self) -> None:
        self._over.set()
        if self._follower:
            self._follower.join()

    def _follow(self, file: Path) -> None:
        said, place = 0, 0
        while True:
            over = self._over.wait(SAID_EVERY_S)
            if file.exists():
                with open(file, encoding="utf-8") as lines:
                    lines.seek(place)
                    while (line := lines.readline()).endswith("\n"):
                        place = lines.tell()
                        self.spans.append(_span(line))
            if len(self.spans) > said:
                self._say(self.spans[said:])
                said = len(self.spans)
            if over:
                return

    def _say(self, fresh: list[Span]) -> None:
        rate = sum(span.fetched for span in fresh) / sum(span.span_s for span in fresh)
        failed, wrong = (sum(getattr(span, name) for span in self.spans) for name in ("failed", "wrong"))
        states = ", ".join(f"{name} {state}" for name, state in self._states.items())
        say(f"    {rate:5.1f} pages/s {'▇' * min(round(rate / 2), 30):<30} {failed} failed, {wrong} wrong; {states}")


def _span(line: str) -> Span:
    seen = json.loads(line)
    return Span(seen["monotonic_s"], seen["span_s"], seen["fetched"], seen["failed"], seen["wrong"])


def figure(traffic: Traffic) -> str:
    """Pages a second over time, with the moments of faults and repairs; empty if nothing was fetched."""
    spans = traffic.spans
    if not spans:
        return ""
    begin = spans[0].end_s - spans[0].span_s
    length = spans[-1].end_s - begin
    highest = max(span.rate for span in spans) or 1.0

    def across(at_s: float) -> float:
        return LEFT + (WIDTH - LEFT - 20) * (at_s - begin) / length

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="pages fetched a second" '
             'font-family="system-ui, sans-serif" font-size="12.5">',
             f'<line x1="{LEFT}" y1="{BASE}" x2="{WIDTH - 20}" y2="{BASE}" stroke="#9aa5b1"/>',
             f'<text x="8" y="24" fill="#52606d">{highest:.0f} pages/s</text><text x="8" y="{BASE}" fill="#52606d">0</text>']
    for span in spans:
        left, height = across(span.end_s - span.span_s), (BASE - 20) * span.rate / highest
        colour = "#b91c1c" if span.failed or span.wrong else "#1d4ed8"
        parts.append(f'<rect x="{left:.1f}" y="{BASE - height:.1f}" width="{across(span.end_s) - left - 1:.1f}" '
                     f'height="{height:.1f}" fill="{colour}" opacity=".75"/>')
    rows = {what: index for index, what in enumerate(STATES)}
    for at, what in traffic.marks:
        x, bad = across(at), STATES[what][1] != "works"
        colour = "#b91c1c" if bad else "#15803d"
        y = BASE + 18 + 18 * (rows[what] % 3)
        parts.append(f'<line x1="{x:.1f}" y1="16" x2="{x:.1f}" y2="{y - 10}" stroke="{colour}" stroke-dasharray="4 3"/>'
                     f'<text x="{x + 3:.1f}" y="{y}" fill="{colour}">{html.escape(what)} · {at - begin:.2f} s</text>')
    failed, wrong = sum(span.failed for span in spans), sum(span.wrong for span in spans)
    return (f"{''.join(parts)}</svg><p>{sum(span.fetched for span in spans)} pages over {length:.1f} s, each over a new "
            f"connection and compared byte by byte: {failed} failed, {wrong} wrong.</p>")
