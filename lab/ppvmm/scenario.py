"""Scenarios: the files lab/scenarios/*.toml, and running one. docs/how-to-write-a-scenario.md is the guide."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from ppvmm import bench_smoke, symbols
from ppvmm.paths import SCENARIOS
from ppvmm.qemu import Variant
from ppvmm.results import Result, new_folder
from ppvmm.session import Hung, Lab
from ppvmm.term import UserError, say

KEYS = {"name", "summary", "suite", "timeout_s", "targets", "files", "script", "run", "bench", "expect", "variant",
        "xenstores", "symbols"}


@dataclass
class Scenario:
    name: str
    summary: str
    suite: str
    timeout_s: float  # of the machine's clock, for the script; booting has a limit of its own
    script: str  # runs in dom0
    variant: Variant
    targets: list[str] = field(default_factory=list)  # built and brought to /lab/bin
    files: dict[str, str] = field(default_factory=dict)  # path in dom0 -> file beside the scenario
    expect: list[str] = field(default_factory=list)  # events that must have been reported
    folder: Path = SCENARIOS
    xenstores: list[str] = field(default_factory=list)  # `./ppvmm test` runs it once with each of these
    symbols: dict[str, str] = field(default_factory=dict)  # variable of the script -> "IMAGE name of a function in it"
    bench: str = ""  # instead of a script: the words of a ./ppvmm that boots its own machines


@dataclass
class Outcome:
    """How a run ended: `problems` is empty when all went well."""

    scenario: Scenario
    folder: Path
    result: Result
    problems: list[str]

    @property
    def ok(self) -> bool:
        return not self.problems


def names() -> list[str]:
    return sorted(path.stem for path in SCENARIOS.glob("*.toml"))


def load(name: str) -> Scenario:
    """Reads a scenario by its name (or the path of its file); says what is wrong with it."""
    path = Path(name) if name.endswith(".toml") else SCENARIOS / f"{name}.toml"
    if not path.exists():
        raise UserError(f"no scenario {name}; there are: {', '.join(names())}")
    try:
        data = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: {error}") from None
    unknown = set(data) - KEYS
    lacking = {"summary", "suite", "timeout_s"} - set(data)
    if unknown or lacking:
        raise UserError(f"{path}: " + "; ".join(filter(None, [
            f"unknown keys {', '.join(sorted(unknown))}" if unknown else "",
            f"missing keys {', '.join(sorted(lacking))}" if lacking else ""])))
    variant = Variant()
    for key, value in data.get("variant", {}).items():
        variant.change(key, ",".join(value) if isinstance(value, list) else str(value))
    if sum(key in data for key in ("run", "script", "bench")) != 1:
        raise UserError(f"{path}: needs one of run (the commands), script (a file beside it), bench (a ./ppvmm to run)")
    script = (path.parent / data["script"]).read_text() if "script" in data else data.get("run", "")
    return Scenario(data.get("name", path.stem), data["summary"], data["suite"], float(data["timeout_s"]), script,
                    variant, data.get("targets", []), data.get("files", {}), data.get("expect", []), path.parent,
                    data.get("xenstores", [variant.xenstore]), data.get("symbols", {}), data.get("bench", ""))


class Spectator:
    """Someone who looks on while a scenario runs."""

    def begins(self, folder: Path) -> None:
        """What the run leaves, and what its commands outside write, is in this folder."""

    def event(self, event: dict) -> None:
        """As in Session.events, told at once."""


def run(scenario: Scenario, json_file: Path | None = None, verbose: bool = True,
        spectator: Spectator | None = None) -> Outcome:
    """Boots the scenario's machine, runs its script in dom0 and judges what was reported."""
    folder = new_folder(scenario.name)
    result = Result(scenario.name, scenario.variant.mode)
    problems: list[str] = []
    if scenario.bench:
        return _bench(scenario, folder, result, json_file, verbose)

    def on_event(event: dict) -> None:
        if verbose:
            say(f"  {event['t_ms'] / 1000:8.3f} s  {event['what']}  ({event['component']})")
        if spectator:
            spectator.event(event)

    if spectator:
        spectator.begins(folder)
    if verbose:
        say(f"{scenario.name}: {scenario.summary} [xenstore={scenario.variant.xenstore}, "
            f"mode={scenario.variant.mode}, cpus={scenario.variant.cpus}]")
    files = {place: scenario.folder / name for place, name in scenario.files.items()}
    session = None
    try:
        session = Lab(files, scenario.targets, folder).boot(scenario.variant, on_event=on_event)
        places = "".join(f"{name}={symbols.address_of(*what.split(' ', 1)):#x}\n"
                         for name, what in scenario.symbols.items())
        session.put((places + scenario.script).encode(), "/tmp/scenario.sh")
        done = session.run("set -ex; cd /tmp; . /tmp/scenario.sh", scenario.timeout_s)
        (folder / "script.log").write_text(done.out + done.err)
        last = "\n".join(done.out.splitlines()[-5:] + done.err.splitlines()[-10:])
        if done.timed_out:
            problems.append(session.where(f"the script was ended by its limit of {scenario.timeout_s:.0f} s, in:\n{last}"))
        elif done.code:
            problems.append(f"the script ended with {done.code}:\n{last}")
        (folder / "dom0-kernel.log").write_text(session.run("dmesg", 60).out)
        session.poweroff()
    except Hung as hung:
        problems.append(str(hung))
    finally:
        if session:
            session.kill()
    if session:
        problems += _judge(scenario, session.reports, result)
        result.versions |= session.versions
    result.ok = not problems
    result.extra |= {"variant": vars(scenario.variant), "problems": problems}
    result.write(folder, json_file)
    return Outcome(scenario, folder, result, problems)


def _bench(scenario: Scenario, folder: Path, result: Result, json_file: Path | None, verbose: bool) -> Outcome:
    """A benchmark in short: it boots its own machines, and its records are what is expected of it."""
    if verbose:
        say(f"{scenario.name}: {scenario.summary} [./ppvmm {scenario.bench}]")
    told, checks, problems = bench_smoke.run(scenario.bench, scenario.expect, folder, scenario.timeout_s)
    if not scenario.expect:
        problems.append("the scenario checked nothing")
    result.ok = not problems
    result.versions |= told.get("versions", {})
    result.extra |= {"checks": checks, "problems": problems, "bench": told}
    result.write(folder, json_file)
    return Outcome(scenario, folder, result, problems)


def _judge(scenario: Scenario, reports, result: Result) -> list[str]:
    """Takes over what the machine reported; returns what of it speaks against success."""
    result.events = reports.events
    result.extra["checks"] = reports.checks
    for sample in reports.samples:
        result.add_samples(sample["system"], sample["metric"], sample["unit"], sample["values"])
    seen = {event["what"] for event in reports.events}
    problems = [f"reported failure: {text}" for text in reports.failures]
    problems += [f"check failed: {check['name']} (exit {check['code']}): {check['detail'].strip()}"
                 for check in reports.checks if not check["ok"]]
    problems += [f"expected event never reported: {what}" for what in scenario.expect if what not in seen]
    if not reports.checks and not scenario.expect:
        problems.append("the scenario checked nothing")
    return problems
