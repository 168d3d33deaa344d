"""Scenarios that are a short run of a benchmark: `bench = "net-overhead --rounds 1"` in the .toml. What must come out of it
stands in `expect`: "system: metric" of its records."""

import json
import shlex
import subprocess
from pathlib import Path

from ppvmm.paths import ROOT


def run(words: str, expect: list[str], folder: Path, limit_s: float) -> tuple[dict, list[dict], list[str]]:
    """Runs `./ppvmm WORDS`; its result, checks in the form of a scenario's, and what speaks against success."""
    path = folder / "bench.json"
    command = [str(ROOT / "ppvmm"), *shlex.split(words), "--json", str(path)]
    with open(folder / "script.log", "w") as log:
        try:
            code = subprocess.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, timeout=limit_s).returncode
        except subprocess.TimeoutExpired:
            return {}, [], [f"{words} was ended by its limit of {limit_s:.0f} s"]
    if not path.exists():
        said = (folder / "script.log").read_text().strip().splitlines()
        return {}, [], [f"{words} ended with {code} and left no result: {said[-1] if said else 'it said nothing'}"]
    result = json.loads(path.read_text())
    measured = {f"{each['system']}: {each['metric']}" for each in result["records"]}
    checks = [{"name": f"measured: {what}", "ok": what in measured, "code": 0, "detail": ""} for what in expect]
    problems = [f"never measured: {what}" for what in expect if what not in measured]
    if code or not result["ok"]:
        problems.append(f"{words} ended with {code}: {'; '.join(result.get('problems', []))[:1500]}")
    return result, checks, problems
