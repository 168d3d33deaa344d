"""The whole benchmark: rounds of A B C, then the table, figures and result files."""

import argparse
import os

from ppvmm import build, packages
from ppvmm.results import Result, new_folder
from ppvmm.term import UserError, say
from xenstore import emulated, load, native
from xenstore.samples import OURS, SYSTEMS, Samples
from xenstore.targets import all_targets



def run(arguments: argparse.Namespace) -> int:
    size = load.VIRTUAL if arguments.virtual else load.QUICK if arguments.quick else load.FULL
    rounds = arguments.rounds or size.rounds
    systems = [system for system in arguments.systems.split(",") if system]
    unknown = set(systems) - set(SYSTEMS)
    if unknown or not systems or rounds < 1:
        raise UserError(f"servers are {', '.join(SYSTEMS)}, and at least one round is needed", 2)
    parts = [arguments.only] if arguments.only else ["lab"] if arguments.virtual else ["native", "lab"]
    packages.ensure("build", "lab", "test", "figures")
    programs = ["ppvmm-xsload"]
    if "native" in parts:
        programs += ["run-peer"] + ["ppvmm-xenstored"] * (OURS in systems)
    if "lab" in parts and OURS in systems:
        programs += ["ppvmm", "xenstore_uk"]
    build.build("release", *programs)

    result = Result("bench-xenstore", "virtual" if arguments.virtual else "wall")
    result.rounds = rounds
    folder = new_folder(result.name)
    samples = Samples()
    problems: list[str] = []
    remarks: list[str] = []
    if result.mode == "wall":
        remarks += _busy()
    try:
        if "native" in parts:
            remarks += _native(systems, rounds, size, samples)
        if "lab" in parts:
            _lab(systems, rounds, size, samples, result, folder)
    except (UserError, native.Unavailable) as error:
        problems.append(str(error))
    _conclude(result, samples, size, parts, remarks, problems, folder, arguments.json)
    return 0 if result.ok else 1


def _busy() -> list[str]:
    """Others at work here reach into every wall-clock sample, p99 first of all: it must be said beside the numbers."""
    load_average, cpus = os.getloadavg()[0], os.cpu_count() or 1
    if load_average < cpus / 2:
        return []
    remark = (f"This machine was busy when the run began (load {load_average:.1f} on {cpus} CPUs): wall-clock values, "
              "p99 above all, tell little. --virtual is blind to that.")
    say(remark)
    return [remark]


def _native(systems: list[str], rounds: int, size: load.Size, samples: Samples) -> list[str]:
    folder = build.folder()
    good, reasons = native.available(folder, systems)
    say(f"native: {', '.join(good)} on a Unix socket, same client, full speed")
    for turn in range(rounds):
        native.measure(folder, size, samples, good, turn, lambda what: say(f"  round {turn + 1}/{rounds}  {what}"))
    remarks = [f"Natively measured: {', '.join(good)}."]
    remarks += [f"{system} could not run natively: {reason}" for system, reason in reasons.items()]
    return remarks


def _lab(systems, rounds, size, samples, result, folder) -> None:
    if OURS in systems:
        emulated.image_size(samples)
    for turn in range(rounds):
        for system in systems:
            out = folder / f"{turn + 1}-{system}"
            session = emulated.measure(system, turn, result.mode, size, samples, out,
                                       lambda what: say(f"  round {turn + 1}/{rounds}  {what}"))
            result.versions |= session.versions
            result.events += [{**event, "what": f"round {turn + 1}, {system}: {event['what']}"}
                              for event in session.events]


def _conclude(result, samples, size, parts, remarks, problems, folder, json_file) -> None:
    from xenstore import figures, report  # matplotlib is there only now
    targets = [target for target in all_targets(samples, size) if target.part in parts]
    for metric in samples.metrics():
        for system in SYSTEMS:
            result.add_samples(system, metric, samples.units[metric], samples.of(system, metric))
    for target in targets:
        result.add_target(target.name, target.wanted, target.value, target.met)
    result.ok = not problems
    result.extra = {"problems": problems, "remarks": remarks, "notes": {each.name: each.note for each in targets}}
    result.write(folder, json_file)
    samples.write_csv(folder / "samples.csv")  # as the result's own, and with the round of each sample
    drawn = figures.all_figures(samples, size, result.mode)
    for name, svg in drawn.items():
        (folder / f"{name}.svg").write_text(svg)
    (folder / "report.html").write_text(report.page(result.as_dict(), samples, targets, drawn, remarks))
    text = report.table(samples, targets)
    (folder / "table.txt").write_text(text + "\n")
    print(text)
    for remark in remarks:
        print(remark)
    for problem in problems:
        say(f"PROBLEM: {problem}")
    say(f"report: {folder / 'report.html'}   numbers: {folder / 'result.json'}")
