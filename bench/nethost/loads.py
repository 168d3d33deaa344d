"""The loads, by the usual programs: iperf3, ab, and netload's request and answer; and what they measured."""

import json
from dataclasses import dataclass, field

from ppvmm.session import Hung

INSIDE = "10.77.0.11"
BESIDE = "10.77.0.12"
SMALL = 64  # bytes of a small packet


@dataclass
class Measured:
    """Samples (metric -> unit, value), and what went over the wire for the cost of a gigabyte or a packet."""

    values: dict[str, tuple[str, float]] = field(default_factory=dict)
    gigabytes: float = 0.0
    packets: float = 0.0


def _must(place, command: str, seconds: float) -> str:
    said = place.run(command, seconds + 40)
    if not said.ok:
        raise Hung(f"{place.name}: {command!r} ended with {said.code}: {said.text.strip()[-400:]}")
    return said.text


def _iperf(place, to: str, seconds: float, words: str) -> dict:
    whole = max(1, round(seconds))  # it takes whole seconds, and 0 for no end
    text = _must(place, f"iperf3 -c {to} -t {whole} -i 0 -J {words}", whole)
    try:
        told = json.loads(text[text.index("{"):])
    except ValueError:
        raise Hung(f"{place.name}: iperf3 {words} said no JSON: {text[-300:]}") from None
    if "error" in told:
        raise Hung(f"{place.name}: iperf3 {words}: {told['error']}")
    return told["end"]


def stream(place, to: str, seconds: float, name: str, words: str) -> Measured:
    """A TCP stream; with `--bidir` in `words` one each way, counted together."""
    end = _iperf(place, to, seconds, words)
    parts = [end[key] for key in ("sum_received", "sum_received_bidir_reverse") if key in end]
    rate = sum(part["bits_per_second"] for part in parts) / 1e6
    return Measured({name: ("Mbit/s", rate)}, gigabytes=sum(part["bytes"] for part in parts) / 1e9)


def packets(place, to: str, seconds: float, name: str, words: str) -> Measured:
    """UDP as fast as the sender can, 64 bytes each: what arrives."""
    end = _iperf(place, to, seconds, f"-u -b 0 -l {SMALL} {words}")["sum_received"]
    # Counted by what came: its count of lost ones knows nothing of those behind the last that came.
    arrived = end["bytes"] / SMALL
    return Measured({name: ("packets/s", arrived / end["seconds"])}, packets=arrived)


def round_trip(place, to: str, seconds: float, name: str) -> Measured:
    told = json.loads(_must(place, f"netload echo --to {to}:7100 --seconds {seconds:g}", seconds))
    return Measured({f"{name}, {key}": ("us", told[f"{key}_us"]) for key in ("mean", "p95", "p99")})


def web(place, to: str, seconds: float, name: str, clients: int = 8) -> Measured:
    """ab against the guest's web server: a page of 4 KiB, each in a connection of its own."""
    text = _must(place, f"ab -q -r -d -t {seconds:g} -c {clients} -e ab.csv http://{to}/page && cat ab.csv", seconds)
    return Measured(_web_values(text, name))


def _web_values(text: str, name: str) -> dict[str, tuple[str, float]]:
    values = {}
    at: dict[int, float] = {}
    for line in text.splitlines():
        label, _, rest = line.partition(":")
        if label == "Requests per second":
            values[f"{name} requests"] = ("1/s", float(rest.split()[0]))
        elif label == "Failed requests":
            values[f"{name} requests failed"] = ("requests", float(rest.split()[0]))
        elif label == "Time per request" and "across" not in rest:
            values[f"{name}, mean"] = ("ms", float(rest.split()[0]))
        percent, comma, milliseconds = line.partition(",")
        if comma and percent.isdigit():
            at[int(percent)] = float(milliseconds)
    if f"{name} requests" not in values:
        raise Hung(f"ab said nothing of use: {text[-300:]}")
    values |= {f"{name}, p{percent}": ("ms", at[percent]) for percent in (95, 99) if at.get(percent)}
    return values
