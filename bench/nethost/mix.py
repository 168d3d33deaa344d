"""The load of E3 and of campaigns: numbered packets both ways, TCP streams whose every byte is judged, and ab, all at once
from outside; and what they say of a time with a fault in it."""

import json
from dataclasses import dataclass, field

from nethost.loads import INSIDE
from ppvmm.session import Hung

BIN_MS = 10
GRACE_S = 15
LAST_MS = 300            # before the end: when packets come until then, all is well again


@dataclass(frozen=True)
class Pressure:
    """How much of each load. As much as leaves the machine some room: what is measured is a fault, not a queue."""

    udp_rate: int        # packets per second, each way
    connections: int     # TCP streams
    tcp_rate: int        # bytes per second, each way, of each
    clients: int         # of ab


PRESSURE = {"wall": Pressure(100, 2, 20_000, 2), "virtual": Pressure(500, 4, 40_000, 4)}


@dataclass
class Heard:
    """What the load saw."""

    lost_out: int | None = None        # packets that the guest sent and nobody got
    lost_in: int | None = None         # packets for the guest; nothing when it never said
    duplicated: int = 0
    reordered: int = 0
    damaged: int = 0
    silence_ms: float = 0.0            # longest, of what the guest sent
    bins: list[int] = field(default_factory=list)
    broken: int = 0                    # TCP connections
    wrong: int = 0                     # ... with wrong bytes
    tcp_bytes: int = 0
    tcp_silence_ms: float = 0.0
    web_rate: float | None = None      # requests per second over the whole time; nothing when ab gave up
    web_ms: dict[int, float] = field(default_factory=dict)  # percentile -> ms
    web_failed: int = 0
    web_bins: dict[int, int] = field(default_factory=dict)  # second -> requests
    back: bool = True                  # packets came until the end


def command(seconds: float, seed: int, pressure: Pressure, web: bool = True) -> str:
    """One shell command that runs all and prints everything, in parts that begin with a line of their own."""
    limit = int(seconds + GRACE_S + 25)
    udp = f"timeout {limit} udpseq run --to {INSIDE}:7000 --rate {pressure.udp_rate} --seconds {seconds:g} --size 400 " \
          f"--bin-ms {BIN_MS} --grace {GRACE_S} --json udp.json"
    tcp = f"timeout {limit} {check(INSIDE, seconds, seed, pressure, pressure.connections)} --json tcp.json"
    ab = f"timeout -s INT {limit} ab -q -r -d -s 10 -t {seconds:g} -c {pressure.clients} -e ab.csv -g ab.tsv " \
         f"http://{INSIDE}/page > ab.txt 2>&1"
    count = "awk -F '\\t' 'NR > 1 { n[$2]++ } END { for (each in n) print each, n[each] }' ab.tsv 2> /dev/null"
    return (f"rm -f udp.json tcp.json ab.*; {udp} > udp.txt 2>&1 & {tcp} > tcp.txt 2>&1 & "
            + (f"{ab} & " if web else "") + "wait; for part in udp.json tcp.json ab.txt ab.csv; do echo \"== $part\"; "
            f"cat $part 2> /dev/null; done; echo '== bins'; {count}; exit 0")


def check(to: str, seconds: float, seed: int, pressure: Pressure, connections: int) -> str:
    """TCP streams whose every byte is judged."""
    return f"netload check --to {to}:7100 --connections {connections} --rate {pressure.tcp_rate} --size 1400 " \
           f"--seconds {seconds:g} --grace {GRACE_S} --seed {seed}"


def understand(text: str, seconds: float, pressure: Pressure) -> Heard:
    parts: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("== "):
            name = line[3:]
            parts[name] = ""
        elif name:
            parts[name] += line + "\n"
    heard = Heard()
    try:
        udp = json.loads(parts["udp.json"])
        back, there = udp["back"], udp["there"]
        tcp = json.loads(parts["tcp.json"])
    except (KeyError, ValueError):
        raise Hung(f"the load from outside said nothing of use: {text[-600:]}") from None
    heard.lost_out, heard.silence_ms, heard.bins = back["lost"], back["longest_silence_ms"], udp["bins"]
    heard.duplicated, heard.reordered, heard.damaged = back["duplicated"], back["reordered"], back["foreign"]
    # A silence that lasts is as long as we listened.
    left_ms = seconds * 1000 - len(heard.bins) * BIN_MS
    heard.silence_ms = max(heard.silence_ms, left_ms)
    heard.back = left_ms < LAST_MS
    if not there and not heard.back:
        heard.lost_out = int(seconds * pressure.udp_rate) - back["received"] + back["duplicated"]
    if there:
        heard.lost_in = there["lost"] - there["overflowed"]
        heard.duplicated += there["duplicated"]
        heard.damaged += there["foreign"]
    heard.broken, heard.wrong = tcp["broken"], tcp["wrong"]
    heard.tcp_bytes, heard.tcp_silence_ms = tcp["there_bytes"] + tcp["back_bytes"], tcp["longest_silence_ms"]
    _web(heard, parts.get("ab.txt", ""), parts.get("ab.csv", ""), parts.get("bins", ""))
    return heard


def _web(heard: Heard, said: str, percentiles: str, bins: str) -> None:
    for line in said.splitlines():
        label, _, rest = line.partition(":")
        if label == "Requests per second":
            heard.web_rate = float(rest.split()[0])
        elif label == "Failed requests":
            heard.web_failed = int(rest.split()[0])
    for line in percentiles.splitlines():
        percent, _, milliseconds = line.partition(",")
        if percent.isdigit():
            heard.web_ms[int(percent)] = float(milliseconds)
    counts = dict(tuple(map(int, line.split())) for line in bins.splitlines() if line.strip())
    first = min(counts, default=0)
    heard.web_bins = {second - first: count for second, count in sorted(counts.items())}
