"""Runs one CTest label of one preset and counts single cases, GoogleTest's included."""

import os
import re
import shutil
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from ppvmm import build
from ppvmm.term import say

ENTRY_LIMIT = 900  # seconds for one CTest entry that names no limit of its own


@dataclass
class Count:
    """How a suite went. `notes` says for each failure where to look."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


def run(preset: str, label: str, quick: bool, log: Path) -> Count:
    """Runs the tests labelled `label` (`quick`: without those labelled slow as well). The build must be there."""
    began = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="ppvmm-ctest-"))
    try:
        command = ["ctest", "--test-dir", str(build.folder(preset)), "-L", f"^{label}$", "--output-on-failure",
                   "--output-junit", str(scratch / "ctest.xml"), "-j", "2", "--timeout", str(ENTRY_LIMIT)]
        if quick:
            command += ["-LE", "^slow$"]
        environment = dict(os.environ, GTEST_OUTPUT=f"xml:{scratch}/cases/", GTEST_COLOR="no",
                           PPVMM_QUICK="1" if quick else "0")
        _stream(command, environment, log)
        count = _count(scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    count.seconds = time.monotonic() - began
    if count.failed:
        count.notes.append(f"output: {log}")
    return count


def _stream(command: list[str], environment: dict, log: Path) -> None:
    """Runs ctest; whole output to `log`, one line per finished entry to the user."""
    process = subprocess.Popen(command, env=environment, text=True, errors="replace", stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with open(log, "w") as file:
        for line in process.stdout:
            file.write(line)
            found = re.match(r"\s*\d+/\d+ Test\s+#\d+: (\S+) \.*\s*(.*)", line)
            if found:
                say(f"    {found[1]}: {found[2].strip()}")
    process.wait()


def _count(scratch: Path) -> Count:
    count = Count()
    report = scratch / "ctest.xml"
    if not report.exists():
        return Count(failed=1, notes=["ctest wrote no report"])
    for entry in ElementTree.parse(report).getroot().iter("testcase"):
        name, failed = entry.get("name", ""), entry.find("failure") is not None
        cases = _cases(scratch / "cases" / f"{name}.xml")
        if cases is None:
            skipped = entry.find("skipped") is not None or entry.get("status") in ("notrun", "disabled")
            cases = Count(passed=int(not failed and not skipped), failed=int(failed), skipped=int(skipped))
        elif failed and not cases.failed:
            cases.failed += 1  # the program failed after, or outside of, its cases
        if cases.failed:
            count.notes.append(f"failed: {name} {' '.join(cases.notes)}".rstrip())
        count.passed += cases.passed
        count.failed += cases.failed
        count.skipped += cases.skipped
    return count


def _cases(path: Path) -> Count | None:
    """GoogleTest's own count for one program; None when it wrote none."""
    if not path.exists():
        return None
    count = Count()
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None:
            count.failed += 1
            count.notes.append(f"{case.get('classname')}.{case.get('name')}")
        elif case.get("result") == "completed":
            count.passed += 1
        else:
            count.skipped += 1
    return count
