"""`./ppvmm test`: which suites there are, running them, the table and the closing line."""

import concurrent.futures
import os
import time
from pathlib import Path

from ppvmm import build, ctest, lint, packages, scenario
from ppvmm.ctest import Count
from ppvmm.image import image
from ppvmm.qemu import Variant
from ppvmm.results import Result, new_folder
from ppvmm.term import UserError, say

# Host suites in the order they run: name -> (preset it runs in, what it is). The build target suite_NAME holds what a
# suite needs (cmake/Suites.cmake).
HOST = {
    "unit": ("sanitize", "single parts, under address and undefined-behaviour sanitizers"),
    "property": ("sanitize", "laws checked with random inputs, under sanitizers"),
    "advisory": ("sanitize", "one test per security advisory, under sanitizers"),
    "simulation": ("sanitize", "whole hosts in a simulator, under sanitizers"),
    "model": ("release", "replication: a death at every step, and SPIN over all interleavings"),
    "differential": ("release", "the same operations against the real C xenstored and oxenstored"),
    "fuzz": ("fuzz", "short fuzzer runs over hostile input, with the corpus in the tree"),
}
LINT = "lint"
# How the suite of a scenario begins that runs only when somebody asks for it: comparisons with others, which prove
# nothing that can fail, and what takes so long that everything would take more than half an hour with it.
ASKED_FOR = ("bench-", "long-")
# Seconds for clang-tidy within ./ppvmm test, which as a whole stays below half an hour: alone, or on the processor that
# an emulated machine leaves free.
TIDY_LIMIT = 240.0
TIDY_LIMIT_BESIDE = 900.0


def lab_suites() -> dict[str, list[str]]:
    """Suites of scenarios: suite -> names."""
    found: dict[str, list[str]] = {}
    for name in scenario.names():
        found.setdefault(scenario.load(name).suite, []).append(name)
    return found


def listing() -> str:
    lines = [f"{LINT:14} layout, static analysis, shell and Python checks"]
    lines += [f"{name:14} {what}" for name, (_, what) in HOST.items()]
    lines += [f"{name:14} on real Xen, emulated{', only when named' if name.startswith(ASKED_FOR) else ''}: {', '.join(names)}"
              for name, names in lab_suites().items()]
    return "\n".join(lines)


def run(wanted: list[str], quick: bool, json_file: Path | None) -> int:
    """Runs the suites named (none: all; with `quick` the host suites only). Returns the exit code."""
    lab = lab_suites()
    everything = [LINT, *HOST, *([] if quick else [name for name in lab if not name.startswith(ASKED_FOR)])]
    unknown = [name for name in wanted if name not in (LINT, *HOST, *lab)]
    if unknown:
        raise UserError(f"no suite named {', '.join(unknown)}; there are:\n{listing()}")
    chosen = [name for name in (LINT, *HOST, *lab) if name in wanted] if wanted else everything
    packages.ensure("build", "test", *(["lint"] if LINT in chosen else []),
                    *(["lab"] if any(name in lab for name in chosen) else []))
    folder = new_folder("test")
    counts: dict[str, Count] = {}
    began = time.monotonic()
    hosted = [name for name in chosen if name in HOST]
    for preset in dict.fromkeys(_preset(name, quick) for name in hosted):
        build.build(preset, *(f"suite_{name}" for name in hosted if _preset(name, quick) == preset))
    beside = LINT in chosen and any(name in lab for name in chosen)
    with concurrent.futures.ThreadPoolExecutor(1) as other:
        lint_count = None
        for name in [name for name in chosen if name != LINT or not beside]:
            if beside and name in lab and lint_count is None:
                say(f"suite {LINT}, on the processor that the emulated machines leave free")
                lint_count = other.submit(lint.run, TIDY_LIMIT_BESIDE, 1)
            say(f"suite {name}")
            counts[name] = _noted(name, _one(name, lab, quick, folder))
        if lint_count is not None:
            counts[LINT] = _noted(LINT, lint_count.result())
    return _finish(counts, time.monotonic() - began, folder, json_file)


def _preset(name: str, quick: bool) -> str:
    """Where a host suite runs. Quickly, the fuzz suite only replays its corpus, which needs no fuzzer build."""
    return "sanitize" if quick and name == "fuzz" else HOST[name][0]


def _one(name: str, lab: dict[str, list[str]], quick: bool, folder: Path) -> Count:
    if name == LINT:
        count = lint.run(0 if quick else TIDY_LIMIT)
    elif name in HOST:
        if name == "differential":
            os.environ["PPVMM_XEN_ROOT"] = str(image().root)  # the daemons, from the emulated machine's software
        count = ctest.run(_preset(name, quick), name, quick, folder / f"{name}.log")
    else:
        count = _lab(lab[name])
    return count


def _noted(name: str, count: Count) -> Count:
    """Says what a suite had to say. One without tests has failed."""
    if count.passed + count.failed == 0:
        count.failed, count.notes = 1, [f"suite {name} has no tests"]
    for note in count.notes:
        say(f"  {note}")
    return count


def _lab(names: list[str]) -> Count:
    """Runs scenarios, each with every XenStore it asks for. A check or an expected event is one test."""
    total = Count()
    began = time.monotonic()
    for name in names:
        for store in scenario.load(name).xenstores:
            one = scenario.load(name)
            one.variant.xenstore = store
            outcome = scenario.run(one)
            failed = len(outcome.problems)
            total.passed += max(0, len(outcome.result.extra.get("checks", [])) + len(one.expect) - failed)
            total.failed += failed
            total.notes += [f"{name} ({store}): {problem}" for problem in outcome.problems]
            if failed:
                total.notes.append(f"logs: {outcome.folder}")
    total.seconds = time.monotonic() - began
    return total


def _finish(counts: dict[str, Count], seconds: float, folder: Path, json_file: Path | None) -> int:
    passed, failed, skipped = (sum(getattr(count, key) for count in counts.values())
                               for key in ("passed", "failed", "skipped"))
    result = Result("test", Variant().mode)
    result.ok = failed == 0
    for name, count in counts.items():
        result.add_samples(name, "suite time", "s", [round(count.seconds, 3)])
        result.add_samples(name, "passed", "tests", [count.passed])
        result.add_samples(name, "failed", "tests", [count.failed])
    result.write(folder, json_file)
    print(f"\n{'suite':16}{'passed':>8}{'failed':>8}{'skipped':>9}{'time':>10}")
    for name, count in counts.items():
        print(f"{name:16}{count.passed:8}{count.failed:8}{count.skipped:9}{count.seconds:9.1f}s")
    print(f"{'all':16}{passed:8}{failed:8}{skipped:9}{seconds:9.1f}s")
    for name, count in counts.items():
        if count.failed:
            print(f"FAILED {name}: " + "; ".join(count.notes)[:2000])
    print(f"\nlogs and result: {folder}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0
