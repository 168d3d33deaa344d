"""Building by CMake's presets, with progress."""

import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

from ppvmm.paths import ROOT
from ppvmm.term import Step, UserError

PRESETS = ("release", "sanitize", "fuzz")
_one_at_a_time = threading.Lock()  # benchmarks boot machines side by side, and each has its programs built
DPKG_STATE = Path("/var/lib/dpkg/status")


def folder(preset: str = "release") -> Path:
    return ROOT / "build" / preset


def configure(preset: str = "release") -> Path:
    """Brings the preset's build description up to date. Returns the build folder."""
    where = folder(preset)
    plan = where / "build.ninja"
    # Packages that came since the last time may bring what was left out then (tests without GoogleTest).
    with _one_at_a_time:
        if not plan.exists() or plan.stat().st_mtime < DPKG_STATE.stat().st_mtime:
            _run(["cmake", "--preset", preset], f"configuring {preset}", _environment())
    return where


def _environment() -> dict:
    """What builds run in: through ccache, with paths relative to the tree, so that clones share what was compiled."""
    environment = dict(os.environ)
    if shutil.which("ccache"):
        environment.setdefault("CMAKE_CXX_COMPILER_LAUNCHER", "ccache")
        environment.setdefault("CCACHE_BASEDIR", str(ROOT))
        environment.setdefault("CCACHE_NOHASHDIR", "1")
    return environment


def build(preset: str = "release", *targets: str) -> Path:
    """Configures if needed and builds `targets` (nothing named: everything). Returns the build folder."""
    where = configure(preset)
    names = " ".join(targets) or "everything"
    with _one_at_a_time:
        _run(["cmake", "--build", "--preset", preset, *(["--target", *targets] if targets else [])],
             f"building {names} ({preset})", _environment())
    return where


def _run(command: list[str], what: str, environment: dict) -> None:
    with Step(what) as step:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            found = re.match(r"\[\d+/\d+\]", line)
            if found:
                step.detail = found[0]
        if process.wait():
            raise UserError(f"{' '.join(command)} failed:\n" + "\n".join(lines[-40:]))


def output(name: str, preset: str = "release") -> Path:
    """The built program or image called `name`, wherever in the build folder its component puts it."""
    found = [path for path in folder(preset).rglob(name) if path.is_file() and "CMakeFiles" not in path.parts]
    if not found:
        raise UserError(f"the build has no {name}; the target of that name was not built in build/{preset}")
    return max(found, key=lambda path: path.stat().st_mtime)
