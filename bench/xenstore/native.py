"""The three servers as Linux processes on a Unix socket, at this machine's full speed.

The two daemons are Debian's unmodified binaries; a preloaded library stands in for the hypervisor (tests/peers).

Server and client share one CPU. On two, what is measured is where Linux happens to place them and how long an idle
virtual CPU takes to wake: 12 or 35 us for the same read, whichever server answers it. On one, it is the work.
"""

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ppvmm.image import image
from xenstore import load
from xenstore.samples import OURS, Samples

START_LIMIT_S = 20
RUN_LIMIT_S = 300


class Unavailable(Exception):
    """This server cannot run natively here; the text says why."""


@dataclass
class Running:
    """A server under measurement."""

    system: str
    client: "Client"
    pid: int


def measure(build: Path, size: load.Size, samples: Samples, systems: list[str], turn: int, progress) -> None:
    """One round. All servers run; each step is done with one after the other, so that what else the machine does
    strikes them alike."""
    with ExitStack() as stack:
        stack.enter_context(_one_cpu())
        servers = []
        for system in systems:
            socket, pid = stack.enter_context(server(build, system))
            servers.append(Running(system, Client(build, socket), pid))
        for one in servers:
            one.client.run(*load.populate(size.nodes_small))
        for operation in load.OPERATIONS:
            progress(f"native: {operation}")
            for one in servers:
                _latency(one, operation, size, samples, turn)
        for clients in load.CLIENTS:
            progress(f"native: throughput, {clients} clients")
            for one in servers:
                _throughput(one, clients, size, samples, turn)
        # Making the large tree takes longest of all, and what is compared are two trees of one process: once is enough.
        for nodes in (size.nodes_small, size.nodes_large) if turn == 0 else ():
            progress(f"native: {nodes} nodes")
            _scaling(servers, nodes, size, samples, turn)


def available(build: Path, systems: list[str]) -> tuple[list[str], dict[str, str]]:
    """Which systems run natively, and for the others why not."""
    good, reasons = [], {}
    for system in systems:
        try:
            with server(build, system) as (socket, _):
                Client(build, socket).run("--op", "mixed", "--count", "20", "--nodes", "20")
            good.append(system)
        except Unavailable as reason:
            reasons[system] = str(reason)
    return good, reasons


@contextmanager
def _one_cpu():
    """This process and what it starts stay on one CPU meanwhile: the last one, as interrupts tend to go to the first."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Client:
    def __init__(self, build: Path, socket: Path):
        self._command = [build / "bench/xsload/ppvmm-xsload", "--connect", socket, "--time-limit", str(RUN_LIMIT_S)]

    def run(self, *arguments: str) -> str:
        done = subprocess.run([*self._command, *arguments], capture_output=True, text=True, timeout=RUN_LIMIT_S + 10)
        if done.returncode:
            raise Unavailable(done.stderr.strip() or f"the load client ended with {done.returncode}")
        return done.stdout


@contextmanager
def server(build: Path, system: str):
    """Starts a server in a folder of its own; gives its socket and process id; ends it."""
    folder = Path(tempfile.mkdtemp(prefix="ppvmm-bench-"))
    socket = folder / "socket"
    if system == OURS:
        command = [build / "src/host/ppvmm-xenstored", "--socket", socket]
    else:
        command = [build / "tests/peers/run-peer", system, "--socket", socket, "--root", image().root]
    if not command[0].exists():
        shutil.rmtree(folder)
        raise Unavailable(f"{command[0].name} is not built")
    log = folder / "log"
    with open(log, "wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        _wait_for(socket, process, log)
        yield socket, process.pid if system == OURS else _announced_pid(process)
    finally:
        process.terminate()
        process.wait(timeout=START_LIMIT_S)
        process.stdout.close()
        shutil.rmtree(folder)


def _wait_for(socket: Path, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise Unavailable(log.read_text(errors="replace").strip()[-300:] or "it did not start")
        time.sleep(0.01)


def _announced_pid(process: subprocess.Popen) -> int:
    """run-peer says "ready <pid>" once clients can connect."""
    words = process.stdout.readline().split()
    if len(words) != 2 or words[0] != "ready":
        raise Unavailable(f"run-peer said {' '.join(words)!r} instead of being ready")
    return int(words[1])


def cpu_us(pid: int) -> float:
    """CPU time that a process's threads have used, in microseconds (Linux Documentation/scheduler/sched-stats)."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1000


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def _latency(one: Running, operation: str, size: load.Size, samples: Samples, turn: int) -> None:
    before = cpu_us(one.pid)
    text = one.client.run(*load.latency(operation, size.native_count, size.nodes_small))
    used = cpu_us(one.pid) - before
    values = load.parse_samples(text)
    samples.add(one.system, f"native.{operation}", "us", turn, values)
    samples.add(one.system, f"native.cpu.{operation}", "us", turn, [used / len(values)])


def _throughput(one: Running, clients: int, size: load.Size, samples: Samples, turn: int) -> None:
    before = cpu_us(one.pid)
    result = load.parse_result(one.client.run(*load.throughput(clients, size.native_seconds, size.nodes_small)))
    used = cpu_us(one.pid) - before
    samples.add(one.system, f"native.throughput.{clients}", "op/s", turn, [result["ops_per_s"]])
    samples.add(one.system, f"native.cpu.{clients} clients", "us", turn, [used / result["n"]])


def _scaling(servers: list[Running], nodes: int, size: load.Size, samples: Samples, turn: int) -> None:
    """The same operations on a small tree and on a large one, in the same process."""
    if nodes != size.nodes_small:
        for one in servers:
            before = resident_mib(one.pid)
            one.client.run(*load.populate(nodes))
            samples.add(one.system, f"native.memory.{nodes}", "MiB", turn, [resident_mib(one.pid) - before])
    for operation in load.SCALED:
        for one in servers:
            text = one.client.run(*load.latency(operation, size.native_count, nodes))
            samples.add(one.system, f"native.scale.{operation}.{nodes}", "us", turn, load.parse_samples(text))
