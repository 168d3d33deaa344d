"""The one result format of demos, benchmarks, campaigns and test runs, and its file.

    {"name", "mode", "machine", "versions", "rounds", "ok",
     "events": [{"t_ms", "what", "component"}],
     "records": [{"system", "metric", "unit", "n", "mean", "p50", "p95", "p99", "min", "max"}],
     "targets": [{"name", "target", "value", "met"}]}
"""

import csv
import json
import os
import platform
import subprocess
import time
from pathlib import Path

from ppvmm.paths import OUT, ROOT


def percentile(ordered: list[float], share: float) -> float:
    """The value below which `share` (0..1) of the sorted samples lie, interpolated between neighbours."""
    at = (len(ordered) - 1) * share
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def record(system: str, metric: str, unit: str, values: list[float]) -> dict:
    """Samples of one measure, condensed to what the format asks for. At least one sample is needed."""
    ordered = sorted(values)
    return {"system": system, "metric": metric, "unit": unit, "n": len(ordered), "mean": sum(ordered) / len(ordered),
            "p50": percentile(ordered, 0.50), "p95": percentile(ordered, 0.95), "p99": percentile(ordered, 0.99),
            "min": ordered[0], "max": ordered[-1]}


class Result:
    """A result under construction. Raw samples go to samples.csv beside result.json."""

    def __init__(self, name: str, mode: str = "wall"):
        self.name = name
        self.mode = mode
        self.rounds = 1
        self.ok = False
        self.versions: dict[str, str] = {"ppvmm": tree_version()}
        self.events: list[dict] = []
        self.targets: list[dict] = []
        self._samples: dict[tuple[str, str, str], list[float]] = {}
        self.extra: dict = {}

    def add_samples(self, system: str, metric: str, unit: str, values: list[float]) -> None:
        if values:
            self._samples.setdefault((system, metric, unit), []).extend(values)

    def records(self) -> list[dict]:
        return [record(*key, values) for key, values in self._samples.items()]

    def add_target(self, name: str, target: str, value: float | str, met: bool) -> None:
        """A target with the value this run's records gave for it."""
        self.targets.append({"name": name, "target": target, "value": value, "met": met})

    def as_dict(self) -> dict:
        return {"name": self.name, "mode": self.mode, "machine": machine(), "versions": self.versions,
                "rounds": self.rounds, "ok": self.ok, "events": self.events, "records": self.records(),
                "targets": self.targets, **self.extra}

    def write(self, folder: Path, json_file: Path | None = None) -> Path:
        """Writes result.json and samples.csv below `folder`, and a copy of the former to `json_file`."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.as_dict(), indent=1) + "\n"
        path = folder / "result.json"
        path.write_text(text)
        if json_file:
            json_file.parent.mkdir(parents=True, exist_ok=True)
            json_file.write_text(text)
        if self._samples:
            with open(folder / "samples.csv", "w", newline="") as file:
                out = csv.writer(file)
                out.writerow(["system", "metric", "unit", "value"])
                for key, values in self._samples.items():
                    out.writerows((*key, value) for value in values)
        return path


def machine() -> dict:
    """What this ran on, as far as it matters to numbers."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    return {"cpu": model, "cpus": os.cpu_count(), "memory_mib": memory, "kernel": platform.release(),
            "kvm": os.access("/dev/kvm", os.R_OK | os.W_OK)}


def tree_version() -> str:
    """The commit of this tree, with "+" when files differ from it; "unknown" outside git."""
    def git(*words: str) -> str:
        try:
            done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
        except FileNotFoundError:
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""
    commit = git("rev-parse", "--short=12", "HEAD")
    return (commit + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")) or "unknown"


def new_folder(name: str) -> Path:
    """A new folder below out/ for one run; out/<name>-latest points to it."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = OUT / f"{name}-{stamp}"
    count = 1
    while folder.exists():
        count += 1
        folder = OUT / f"{name}-{stamp}.{count}"
    folder.mkdir(parents=True)
    latest = OUT / f"{name}-latest"
    latest.unlink(missing_ok=True)
    latest.symlink_to(folder.name)
    return folder
