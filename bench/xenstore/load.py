"""The load client's command line and what it answers: the same for the native and the emulated part."""

import csv
import io
import json
from dataclasses import dataclass

OPERATIONS = ("read", "write", "directory", "transaction", "watch")
SCALED = ("read", "write", "directory")  # what is compared between a small and a large tree
THROUGHPUT_OPERATION = "mixed"
CLIENTS = (1, 8, 64)


@dataclass(frozen=True)
class Size:
    """How much is measured. Times in seconds, counts per client."""

    rounds: int
    native_count: int       # latency samples for each operation
    native_seconds: float   # for each throughput measurement
    lab_count: int
    lab_seconds: float
    creates: int            # `xl create` in each boot
    nodes_small: int = 1_000
    nodes_large: int = 100_000


FULL = Size(rounds=3, native_count=6_000, native_seconds=1.5, lab_count=600, lab_seconds=3.0, creates=3)
QUICK = Size(rounds=2, native_count=2_000, native_seconds=0.4, lab_count=150, lab_seconds=1.0, creates=1)

# Virtual time repeats exactly: a few samples tell as much as many.
VIRTUAL = Size(rounds=1, native_count=0, native_seconds=0, lab_count=300, lab_seconds=0.1, creates=1)


def populate(nodes: int) -> list[str]:
    return ["--nodes", str(nodes), "--keep"]


def latency(operation: str, count: int, nodes: int) -> list[str]:
    """One client, `count` samples on standard output as CSV; the tree is there already. A transaction is twelve
    exchanges: a quarter of the samples takes long enough."""
    samples = count // 4 if operation == "transaction" else count
    return ["--op", operation, "--count", str(samples), "--nodes", str(nodes), "--reuse", "--keep", "--csv", "-"]


def throughput(clients: int, seconds: float, nodes: int) -> list[str]:
    return ["--op", THROUGHPUT_OPERATION, "--clients", str(clients), "--count", "0", "--seconds", str(seconds),
            "--warmup", "5", "--nodes", str(nodes), "--reuse", "--keep", "--json", "-"]


def parse_samples(text: str) -> list[float]:
    """Microseconds out of the client's CSV."""
    return [int(row["ns"]) / 1000 for row in csv.DictReader(io.StringIO(text))]


def parse_result(text: str) -> dict:
    """The only measurement of the client's JSON."""
    (result,) = json.loads(text)["results"]
    return result
