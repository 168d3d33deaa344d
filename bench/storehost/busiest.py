"""When a XenStore is busiest during a creation: found by sampling how much work it has done, not guessed."""

import json

from ppvmm.session import Session
from storehost.hosts import DAEMONS, LIMIT_S, STORE, must

PID = "/run/xenstored.pid"
SAMPLES = "/tmp/rate.json"
WINDOW_SHARE = 0.04  # of the creation's duration
RATE_MS = 60_000     # how long is sampled at most; the sampler is stopped when the creation is over


def sampler(system: str, milliseconds: int) -> str:
    """The command that samples; it writes JSON to standard output."""
    if system in DAEMONS:
        return f"ppvmm-xsfault rate $(cat {PID}) --ms {milliseconds}"
    return f"ppvmm rate {STORE} --ms {milliseconds} --json -"


def peak(samples: list[list[int]], begin_ns: int, end_ns: int) -> tuple[int, float, float]:
    """Of (time, work done) samples: the work done when the middle of the busiest window is reached, counted from
    `begin_ns` on; the work per second in that window, and in the whole time."""
    inside = [(time, count) for time, count in samples if begin_ns <= time <= end_ns]
    before = [count for time, count in samples if time < begin_ns]
    base = before[-1] if before else 0
    if len(inside) < 3:
        raise ValueError("too few samples to find the busiest moment")
    width = (end_ns - begin_ns) * WINDOW_SHARE
    best, best_at, first = 0, 0, 0
    for last, (time, count) in enumerate(inside):
        while inside[first][0] < time - width:
            first += 1
        done = count - inside[first][1]
        if done > best:
            best, best_at = done, inside[first][1] + done // 2
    whole = (inside[-1][1] - base) / ((end_ns - begin_ns) / 1e9)
    return best_at - base, best / (width / 1e9), whole


def trace(session: Session, system: str, config: str, estimate_s: float) -> tuple[int, float, float, float]:
    """One creation with a sampler beside it: `peak`'s answer and how long the creation took, in seconds."""
    milliseconds = int(min(RATE_MS, estimate_s * 1200 + 200))
    script = (f"{sampler(system, milliseconds)} > {SAMPLES} & rate=$!; usleep 100000; "
              "now() { awk '{ printf \"%.0f\", $1 * 1e9 }' /proc/uptime; }; "
              f"begin=$(now); xl create -q {config}; end=$(now); wait $rate; echo $begin $end")
    begin, end = map(int, must(session, script, LIMIT_S).split()[-2:])
    samples = json.loads(session.get(SAMPLES))["samples"]
    must(session, "xl destroy create")
    return *peak(samples, begin, end), (end - begin) / 1e9
