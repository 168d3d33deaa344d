"""The whole campaign: boots, faults, verdicts; then table, figures and the result file."""

import argparse
import json
import time
from collections import Counter
from pathlib import Path

from campaign.classify import CLASSES, ERROR, REFUSED, STOPPED, UNSEEN, WRONG, Case, classify
from campaign.drill import Injected, Interrupted
from campaign.host import Host
from campaign.plan import Fault, plan
from campaign.subject import XENSTORE, Subject
from ppvmm import build, packages
from ppvmm.qemu import Variant
from ppvmm.results import Result, new_folder, percentile
from ppvmm.session import Hung
from ppvmm.term import UserError, say

UNSEEN_SHARE = 0.99
MOST_PROBLEMS = 5


def run(arguments: argparse.Namespace) -> int:
    if arguments.faults < 1 or arguments.per_boot < 1:
        raise UserError("at least one fault, and one in each boot", 2)
    if arguments.only is not None:
        faults = plan(arguments.seed, arguments.only, 1)
    else:
        faults = plan(arguments.seed, arguments.first, arguments.faults)
    if arguments.list:
        for fault in faults:
            say(_describe(fault))
        return 0
    packages.ensure("build", "lab", "figures")
    build.build("release", "ppvmm", "ppvmm-root", "xenstore_uk", "ppvmm-xshistory")
    variant = Variant(xenstore="ppvmm")
    variant.apply(arguments.set)
    result = Result("campaign-xenstore", variant.mode)
    folder = new_folder(result.name)
    cases, problems, boots = boots_of(faults, variant, arguments, folder, result, _boot)
    return conclude(result, cases, problems, boots, arguments, folder)


def _describe(fault: Fault) -> str:
    return (f"fault {fault.number}: {fault.name} [{' '.join(fault.words)}] at the {fault.role}, {fault.when}, "
            f"after {fault.delay_s:.2f} s, seed {fault.seed}")


def last_words(out: Path) -> str:
    """Did Xen itself end? Nothing that is done to a guest may do that: then the emulator or Xen has a bug."""
    log = out / "xen.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    for at, line in enumerate(lines):
        if "Panic on CPU" in line:
            what = " ".join(each.split("] ", 1)[-1].strip() for each in lines[at + 1:at + 3])
            return f"Xen panicked ({what}): "
    return ""


def boots_of(faults: list[Fault], variant: Variant, arguments, folder: Path, result: Result, boot):
    """Boots until all faults were done. A fault that the host does not survive ends its boot. `boot` does one: it adds
    its cases, and says how many of the faults that are left it did."""
    cases: list[Case] = []
    problems: list[str] = []
    boots = 0
    left = list(faults)
    began = time.monotonic()
    while left and not over(began, arguments):
        boots += 1
        out = folder / f"boot-{boots:03}"
        before = len(cases)
        try:
            done = boot(left, variant, arguments, out, result, cases, began, len(faults))
            left = left[done:]
        except Hung as hung:
            # Lab trouble is not a class of its own: it is a problem of this run. The fault that it came in is left out, and
            # what was done before and could not be judged any more is done again.
            judged = len(cases) - before
            done = hung.done if isinstance(hung, Interrupted) else judged
            culprit = left[min(done, len(left) - 1)]
            problems.append(f"boot {boots}, fault {culprit.number} ({culprit.name}): {last_words(out)}{str(hung)[:1500]}")
            say(f"PROBLEM: {problems[-1].splitlines()[0]}")
            left = left[judged:done] + left[done + 1:]
            if len(problems) >= MOST_PROBLEMS:
                break
        with (folder / "cases.jsonl").open("a") as file:  # what an end from outside leaves of it
            file.writelines(json.dumps(case.as_dict()) + "\n" for case in cases[before:])
    return cases, problems, boots


def over(began: float, arguments) -> bool:
    return arguments.minutes is not None and time.monotonic() - began > arguments.minutes * 60


def _boot(left, variant, arguments, out, result, cases, began, total) -> int:
    """One boot: as many faults as it survives, `per_boot` at most. Returns how many were done."""
    here: list[Case] = []
    say(f"boot {out.name}: faults {left[0].number} to at most {left[min(arguments.per_boot, len(left)) - 1].number}")
    host = Host(variant, out, arguments.seed * 1000 + left[0].number)
    try:
        host.begin()
        obituary = ""
        host.drill(left[:arguments.per_boot], arguments.limit, listener(result, cases, here, began, total, arguments))
        if here and not here[-1].injected.refused and not here[-1].injected.served:
            host.over = True
            host.keep_remains(out / "remains")
            obituary = host.obituary()
        incidents = host.incidents()
        verdict, guest, churn = host.finish()
        result.versions |= host.session.versions
    finally:
        host.close()
    classify(here, verdict, guest, churn, obituary, incidents)
    cases += here
    tell_failures(here)
    load = verdict["operations"] + (guest["operations"] if guest else 0)
    say(f"  boot over: {len(here)} faults, {load} requests judged, {len(churn)} xl runs")
    return len(here)


def listener(result: Result, cases: list[Case], here: list[Case], began: float, total: int, arguments):
    """Takes note of each fault of a boot as soon as it is over, in `here`, and says whether to go on."""
    def on_fault(fault: Fault, injected: Injected) -> bool:
        here.append(Case(fault, injected))
        result.events.append({"t_ms": round(injected.xen_ns / 1e6, 3), "what": f"fault {fault.number}: {fault.name}",
                              "component": injected.target})
        _progress(cases, here, began, total, injected)
        return not over(began, arguments)
    return on_fault


def tell_failures(cases: list[Case]) -> None:
    for case in cases:
        if case.kind in (WRONG, STOPPED, ERROR):
            say(f"  fault {case.fault.number} ({case.fault.name}): {case.kind}: {'; '.join(case.reasons)[:300]}")


def _progress(cases: list[Case], here: list[Case], began: float, total: int, injected: Injected) -> None:
    done = len(cases) + len(here)
    spent = time.monotonic() - began
    healed = "served again" if injected.healed else "served again, NOT healed"
    state = f"not done ({injected.refused[:60]})" if injected.refused else healed if injected.served \
        else "NOT served"
    fault = here[-1].fault
    say(f"  {done}/{total}  fault {fault.number}: {fault.name} at {injected.target}: {state}"
        f"  [{spent / done * (total - done) / 60:.0f} min left]")


def conclude(result: Result, cases: list[Case], problems: list[str], boots: int, arguments, folder: Path,
             subject: Subject = XENSTORE) -> int:
    from campaign import report  # matplotlib is there only now
    counts = Counter(case.kind for case in cases)
    done = [case for case in cases if case.kind != REFUSED]
    wrong = counts[WRONG]
    unseen = counts[UNSEEN] / len(done) if done else 0.0
    result.rounds = boots
    for case in done:
        if case.outage_ms is not None and case.kind in (UNSEEN, ERROR):
            result.add_samples("ppvmm", subject.outage, "ms", [case.outage_ms])
            result.add_samples("ppvmm", f"outage, {case.fault.name}", "ms", [case.outage_ms])
    for case in done:
        if case.detection_ms is not None:
            result.add_samples("ppvmm", "detection", "ms", [case.detection_ms])
            result.add_samples("ppvmm", f"detection, {case.fault.name}", "ms", [case.detection_ms])
    for kind in CLASSES:
        result.add_samples("ppvmm", kind, "faults", [counts[kind]])
    result.add_target("wrong", "= 0", wrong, wrong == 0)
    result.add_target("recovered unseen", f">= {UNSEEN_SHARE:.0%}", round(unseen, 4), unseen >= UNSEEN_SHARE)
    for name, (faults, limit) in subject.detection.items():
        times = sorted(case.detection_ms for case in done if case.fault.name in faults and case.detection_ms is not None)
        if times:
            median = round(percentile(times, 0.5), 2)
            result.add_target(f"{name}: known after, median of {len(times)}, ms", f"<= {limit:g}", median, median <= limit)
    result.ok = not problems and wrong == 0 and bool(done)
    result.extra = {"seed": arguments.seed, "problems": problems, "classes": dict(counts),
                    "cases": [case.as_dict() for case in cases]}
    result.write(folder, arguments.json)
    text = report.table(cases, arguments.seed, problems, subject, result.targets)
    (folder / "table.txt").write_text(text + "\n")
    drawn = report.figures(cases, subject)
    for name, svg in drawn.items():
        (folder / f"{name}.svg").write_text(svg)
    (folder / "report.html").write_text(report.page(result.as_dict(), cases, text, drawn, subject))
    print(text)
    say(f"report: {folder / 'report.html'}   numbers: {folder / 'result.json'}")
    return 0 if result.ok else 1
