"""The three servers as the XenStore of a real Xen host, emulated: one boot for each system and round.

Every load goes through a kernel's xenbus device: dom0's, and an unmodified guest's. Only one XenStore can serve a
host, so a round is three boots in turn.
"""

import json
from pathlib import Path

from ppvmm import build
from ppvmm.session import Hung, Lab, Session, Variant
from xenstore import load
from xenstore.samples import OURS, Samples

DEVICE = "/dev/xen/xenbus"
XSLOAD = "/lab/bin/ppvmm-xsload"
GUEST_NODES = 200       # a guest may own 1000 nodes by default, its clients' own nodes included
GUEST_BASE = "data/load"  # the one folder that libxl lets a guest write to
GUEST_DONE = "guest load done"
COMMAND_LIMIT_S = 300.0
# An emulated processor's time-stamp counter is not what Xen calls reliable, so by default every reading of the clock in
# a guest traps into Xen. The processors that Xen hosts have do not need that: the guest is given the counter itself.
GUEST_CLOCK = "--extra 'tsc_mode=\"native\"'"
LARGE_LIMIT_S = 400.0
STORE_NAME = "Xenstore"
READY_METRIC = "XenStore_uk ready after unpause"  # as lab/dom0/bin/start-xenstore reports it

GUEST_TASK = """#!/bin/sh
# Runs in the guest: the load through the guest's own kernel; results leave by the lab's agent.
set -e
load() {{ {xsload} --connect {device} --base {base} "$@"; }}
load {populate}
for each in {operations}; do
  load --op $each {latency} > /tmp/guest-$each.csv 2> /dev/null
done
for each in {clients}; do
  load --clients $each {throughput} > /tmp/guest-clients-$each.json 2> /dev/null
done
for each in /tmp/guest-*; do sendfile $each; done
event "{done}"
"""


def boot(system: str, mode: str, out: Path) -> Session:
    # One domain against one daemon; what three of them cost is `./ppvmm bench xenstore-overhead`'s subject.
    variant = Variant(xenstore="ppvmm-single" if system == OURS else system, mode=mode)
    return Lab(targets=["ppvmm-xsload"], out=out).boot(variant)


def measure(system: str, turn: int, mode: str, size: load.Size, samples: Samples, out: Path, progress) -> Session:
    """One boot: dom0's load, a guest's, `xl create`; for ours the large tree as well, once."""
    progress(f"{system}: booting Xen")
    with boot(system, mode, out) as session:
        progress(f"{system}: load from dom0")
        _dom0(session, system, turn, size, samples)
        progress(f"{system}: load from a guest")
        _guest(session, system, turn, size, samples)
        progress(f"{system}: xl create")
        _creates(session, system, turn, size, samples)
        if system == OURS:
            _launch(session, turn, samples)
            _events(session, turn, size, samples)
            if turn == 0:
                progress(f"{system}: {size.nodes_large} nodes")
                _large(session, turn, size, samples)
    return session


def _run(session: Session, command: str, limit: float = COMMAND_LIMIT_S) -> str:
    done = session.run(command, limit)
    if not done.ok:
        raise Hung(f"in dom0, {command!r} ended with {done.code}: {done.err.strip()[-400:]}")
    return done.out


def _dom0_load(session: Session, arguments: list[str], limit: float = COMMAND_LIMIT_S) -> str:
    return _run(session, " ".join([XSLOAD, "--connect", DEVICE, "--time-limit", f"{limit:.0f}", *arguments]), limit)


def _dom0(session, system, turn, size, samples) -> None:
    _dom0_load(session, load.populate(size.nodes_small))
    for operation in load.OPERATIONS:
        text = _dom0_load(session, load.latency(operation, size.lab_count, size.nodes_small))
        samples.add(system, f"dom0.{operation}", "us", turn, load.parse_samples(text))
    for clients in load.CLIENTS:
        result = load.parse_result(_dom0_load(session, load.throughput(clients, size.lab_seconds, size.nodes_small)))
        samples.add(system, f"dom0.throughput.{clients}", "op/s", turn, [result["ops_per_s"]])


def _guest(session, system, turn, size, samples) -> None:
    """The guest's task measures; its files come through the guest's console."""
    def words(arguments: list[str]) -> str:
        return " ".join(arguments)
    task = GUEST_TASK.format(
        xsload=XSLOAD, device=DEVICE, base=GUEST_BASE, done=GUEST_DONE, operations=" ".join(load.OPERATIONS),
        populate=words(load.populate(GUEST_NODES)), clients=" ".join(map(str, load.CLIENTS)),
        latency=words(load.latency("", size.lab_count, GUEST_NODES)[2:]),
        throughput=words(load.throughput(0, size.lab_seconds, GUEST_NODES)).replace("--clients 0 ", ""))
    session.put(task.encode(), "/tmp/load-task")
    # What lies in the guest's tree before `guest` is called goes into its initramfs too.
    _run(session, f"mkdir -p /tmp/guests/load/tree/lab/bin && cp {XSLOAD} /tmp/guests/load/tree/lab/bin/ && "
                  f"guest load --task /tmp/load-task --after stay {GUEST_CLOCK}")
    session.wait_event(GUEST_DONE, COMMAND_LIMIT_S * (3 if session.variant.mode == "virtual" else 1))
    for operation in load.OPERATIONS:
        text = session.reports.files[f"guest-{operation}.csv"].read_text()
        samples.add(system, f"guest.{operation}", "us", turn, load.parse_samples(text))
    for clients in load.CLIENTS:
        result = load.parse_result(session.reports.files[f"guest-clients-{clients}.json"].read_text())
        samples.add(system, f"guest.throughput.{clients}", "op/s", turn, [result["ops_per_s"]])
    _run(session, "xl destroy load")


def _creates(session, system, turn, size, samples) -> None:
    config = _run(session, "guest create --config-only --after stay").strip()
    for _ in range(size.creates):
        done = session.run(f"xl create -q {config}", COMMAND_LIMIT_S)
        if not done.ok:
            raise Hung(f"xl create failed: {done.err.strip()[-400:]}")
        samples.add(system, "xl.create", "ms", turn, [done.seconds * 1000])
        _run(session, "xl destroy create")


def _launch(session, turn, samples) -> None:
    """What the launcher of the XenStore domain reported while it brought it up, and the image's size."""
    for sample in session.reports.samples:
        if sample["metric"] == READY_METRIC:
            samples.add(OURS, "lab.ready", sample["unit"], turn, sample["values"])


def image_size(samples: Samples) -> None:
    size = build.output("xenstore_uk").stat().st_size
    samples.add(OURS, "lab.image", "MiB", 0, [size / (1 << 20)])


def _vitals(session) -> dict:
    """The vitals page of the XenStore domain."""
    return json.loads(_run(session, f"ppvmm vitals {STORE_NAME} --json -"))


def _events(session, turn, size, samples) -> None:
    """How often the XenStore domain is woken, and sleeps, for one read by dom0: why a read costs what it costs."""
    before = _vitals(session)
    text = _dom0_load(session, [*load.latency("read", size.lab_count, size.nodes_small), "--warmup", "0"])
    after = _vitals(session)
    count = len(load.parse_samples(text))
    for what in ("events", "sleeps"):
        samples.add(OURS, f"lab.{what} for one read", "events" if what == "events" else "sleeps", turn,
                    [(after[what] - before[what]) / count])


def _large(session, turn, size, samples) -> None:
    """The same operations with a small tree and with a large one, in the same domain."""
    for nodes in (size.nodes_small, size.nodes_large):
        if nodes != size.nodes_small:
            _dom0_load(session, load.populate(nodes), LARGE_LIMIT_S)
            samples.add(OURS, "lab.nodes", "nodes", turn, [nodes])
            samples.add(OURS, "lab.memory", "MiB", turn, [_vitals(session)["heap_bytes"] / (1 << 20)])
        for operation in load.SCALED:
            text = _dom0_load(session, load.latency(operation, size.lab_count, nodes))
            samples.add(OURS, f"dom0.scale.{operation}.{nodes}", "us", turn, load.parse_samples(text))
