"""E2: what each XenStore costs while nothing goes wrong."""

import argparse

from ppvmm import build, packages
from ppvmm.results import Result, new_folder
from ppvmm.session import Hung, Session
from ppvmm.term import UserError, say
from storehost import hosts, paper, requests
from xenstore import load

DEVICE = "/dev/xen/xenbus"
XSLOAD = "/lab/bin/ppvmm-xsload"
NODES = 200
GUEST_DONE = "guest latencies measured"
GUEST_TASK = """#!/bin/sh
set -e
{xsload} --connect {device} --base data/load {populate}
for each in read write; do
  {xsload} --connect {device} --base data/load --op $each {latency} > /tmp/guest-$each.csv 2> /dev/null
  sendfile /tmp/guest-$each.csv
done
event "{done}"
"""


def run(arguments: argparse.Namespace) -> int:
    systems = hosts.chosen(arguments.systems)
    if arguments.creates < 1 or arguments.count < 10:
        raise UserError("at least one creation and ten samples", 2)
    packages.ensure("build", "lab", "figures")
    build.build("release", "ppvmm", "ppvmm-root", "xenstore_uk", *hosts.PROGRAMS)
    result = Result("bench-xenstore-overhead", "virtual" if arguments.virtual else "wall")
    folder = new_folder(result.name)
    problems: list[str] = []
    counted: dict = {}
    for system in systems:
        try:
            _system(system, arguments, result, folder, counted)
        except (Hung, UserError) as error:
            problems.append(f"{system}: {str(error)[:1500]}")
            say(f"PROBLEM: {problems[-1].splitlines()[0]}")
    return _conclude(result, systems, counted, problems, arguments, folder)


def _system(system: str, arguments, result: Result, folder, counted: dict) -> None:
    say(f"{system}: booting Xen")
    with hosts.boot(system, arguments.virtual, arguments.set, folder / system) as session:
        result.versions |= session.versions
        say(f"{system}: {arguments.creates} creations")
        _creations(session, system, arguments.creates, result)
        say(f"{system}: latencies from dom0 and from a guest")
        _latencies(session, system, arguments.count, result)
        if system == "xenstored":
            say(f"{system}: requests of each operation")
            counted.update(requests.measure(session))


def _creations(session: Session, system: str, count: int, result: Result) -> None:
    config = hosts.must(session, "guest create --config-only --after stay").strip()
    for number in range(count):
        done = session.run(f"xl create -q {config}", hosts.LIMIT_S)
        if not done.ok:
            raise Hung(f"creation {number + 1} failed: {done.err.strip()[-400:]}")
        result.add_samples(system, "creation", "s", [done.seconds])
        gone = session.run("xl destroy create", hosts.LIMIT_S)
        if not gone.ok:
            raise Hung(f"destruction {number + 1} failed: {gone.err.strip()[-400:]}")
        result.add_samples(system, "destruction", "s", [gone.seconds])


def _latencies(session: Session, system: str, count: int, result: Result) -> None:
    hosts.must(session, " ".join([XSLOAD, "--connect", DEVICE, *load.populate(NODES)]))
    for operation in ("read", "write"):
        text = hosts.must(session, " ".join([XSLOAD, "--connect", DEVICE, *load.latency(operation, count, NODES)]))
        result.add_samples(system, f"dom0 {operation}", "us", load.parse_samples(text))
    task = GUEST_TASK.format(xsload=XSLOAD, device=DEVICE, done=GUEST_DONE, populate=" ".join(load.populate(NODES)),
                             latency=" ".join(load.latency("", count, NODES)[2:]))
    session.put(task.encode(), "/tmp/latency-task")
    hosts.must(session, f"mkdir -p /tmp/guests/latency/tree/lab/bin && cp {XSLOAD} /tmp/guests/latency/tree/lab/bin/ && "
                        "guest latency --task /tmp/latency-task --after stay --extra 'tsc_mode=\"native\"'")
    session.wait_event(GUEST_DONE, hosts.LIMIT_S * (3 if session.variant.mode == "virtual" else 1))
    for operation in ("read", "write"):
        text = session.reports.files[f"guest-{operation}.csv"].read_text()
        result.add_samples(system, f"guest {operation}", "us", load.parse_samples(text))
    hosts.must(session, "xl destroy latency")


def _value(result: Result, system: str, metric: str, statistic: str = "mean") -> float | None:
    return next((each[statistic] for each in result.records() if (each["system"], each["metric"]) == (system, metric)),
                None)


def _targets(result: Result) -> None:
    ours, peer, alone = (_value(result, system, "creation") for system in ("ppvmm", "xenstored", "single"))
    if ours and peer:
        result.add_target("creation: PpVMM / C xenstored", "<= 1.0", round(ours / peer, 4), ours <= peer)
    for place in ("guest", "dom0"):
        # The mean has the backups' turns on the same processor in it, the median what a write itself costs more.
        for statistic, name in (("mean", "means"), ("p50", "medians")):
            replicated, plain = (_value(result, system, f"{place} write", statistic) for system in ("ppvmm", "single"))
            if replicated and plain:
                result.add_target(f"write from {place}: replicated / our own unreplicated, {name}", "<= 1.15",
                                  round(replicated / plain, 4), replicated <= 1.15 * plain)
    if alone and peer and not ours:
        result.add_target("creation: XenStore_uk alone / C xenstored", "<= 1.0", round(alone / peer, 4), alone <= peer)


def _conclude(result, systems, counted, problems, arguments, folder) -> int:
    from storehost import overhead_report  # matplotlib is there only now
    _targets(result)
    for name, counts in counted.items():
        result.add_samples("host", f"requests: {name}", "requests", [sum(counts.values())])
        result.add_samples("host", f"share of writes: {name}", "share", [requests.share_of_writes(counts)])
    measured = {each["system"] for each in result.records()}
    result.ok = not problems and all(system in measured for system in systems)
    result.extra = {"problems": problems, "requests": {name: dict(counts) for name, counts in counted.items()},
                    "paper": {"creation_s": paper.CREATION_S, "requests": paper.REQUESTS,
                              "create_writes": paper.CREATE_WRITES}}
    result.write(folder, arguments.json)
    text = overhead_report.table(result, systems, counted)
    (folder / "table.txt").write_text(text + "\n")
    for name, svg in overhead_report.figures(result, systems).items():
        (folder / f"{name}.svg").write_text(svg)
    print(text)
    for problem in problems:
        say(f"PROBLEM: {problem}")
    say(f"numbers and figures: {folder}")
    return 0 if result.ok else 1
