"""`./ppvmm lint`: one command that checks the whole tree. What has passed is remembered by content."""

import concurrent.futures
import json
import re
import subprocess
import time
from pathlib import Path

from ppvmm import build
from ppvmm.ctest import Count
from ppvmm.paths import ROOT, cache, digest, file_digest
from ppvmm.term import Step, say

LONG_FILE = 400
SOURCES = (".cpp", ".hpp", ".cc", ".h")
# They define what g++ and its library declare, with flags and attributes that only g++ takes.
GCC_ONLY = {ROOT / "src/kernel/string.cpp", ROOT / "src/kernel/std_support.cpp"}


def run(tidy_limit: float | None = None, workers: int = 2) -> Count:
    """All checks. clang-tidy takes minutes on a tree that it has not seen, with `workers` at a time: with a `tidy_limit`
    it stops after so many seconds (0: it is left out), and the files it did not come to count as skipped."""
    began = time.monotonic()
    count = Count()
    files = _tracked()
    cpp = [file for file in files if file.suffix in SOURCES]
    shell = [file for file in files if _is_shell(file)]
    python = [file for file in files if file.suffix == ".py"]
    checks = [("clang-format", lambda: _per_file("clang-format", cpp, ["clang-format", "--dry-run", "-Werror"],
                                                 ROOT / ".clang-format")),
              ("shellcheck", lambda: _per_file("shellcheck", shell, ["shellcheck", "-x"], None)),
              ("python", lambda: _per_file("pyflakes", python, ["/usr/bin/python3", "-m", "pyflakes"], None)),
              ("readme", _readmes)]
    if tidy_limit != 0:
        checks.append(("clang-tidy", lambda: _tidy(cpp, tidy_limit, workers, count)))
    for name, check in checks:
        checked, problems = check()
        count.passed += checked - len(problems)
        count.failed += len(problems)
        count.notes += problems
        say(f"  {name}: {checked} checked, {len(problems)} with problems")
    for file in cpp + python:
        lines = len(file.read_text(errors="replace").splitlines())
        if lines > LONG_FILE:
            say(f"  warning: {file.relative_to(ROOT)} has {lines} lines (over {LONG_FILE})")
    count.seconds = time.monotonic() - began
    return count


def _tracked() -> list[Path]:
    """The files of the tree: those git knows and new ones it does not ignore."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True,
                             text=True, check=True).stdout
    return [ROOT / name for name in sorted(set(listing.split("\0"))) if name and (ROOT / name).is_file()]


def _is_shell(file: Path) -> bool:
    if file.suffix == ".sh":
        return True
    if file.suffix:
        return False
    with open(file, "rb") as opened:
        return bool(re.match(rb"#!(/usr/bin/env |/bin/)(ba)?sh\b", opened.readline()))


def _per_file(tool: str, files: list[Path], command: list[str], config: Path | None) -> tuple[int, list[str]]:
    """Runs `command FILE` for each file that has not passed with this content before."""
    settings = file_digest(config) if config else ""

    def one(file: Path) -> str | None:
        stamp = cache() / "lint" / tool / digest(file.read_bytes(), settings, *command)
        if stamp.exists():
            return None
        done = subprocess.run([*command, file], cwd=ROOT, capture_output=True, text=True)
        if done.returncode == 0:
            stamp.parent.mkdir(parents=True, exist_ok=True)
            stamp.touch()
            return None
        return f"{tool}: {file.relative_to(ROOT)}\n{(done.stdout + done.stderr).strip()[:3000]}"

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return len(files), [problem for problem in pool.map(one, files) if problem]


def _readmes() -> tuple[int, list[str]]:
    """Every component's folder has a README."""
    folders = [path for path in sorted((ROOT / "src").iterdir()) if path.is_dir() and path.name != "uk"]
    folders += [path for path in sorted((ROOT / "src/uk").iterdir()) if path.is_dir()]  # one image each
    folders += [ROOT / "lab", ROOT / "bench"]
    return len(folders), [f"readme: {folder.relative_to(ROOT)} has no README.md" for folder in folders
                          if not (folder / "README.md").exists()]


def _tidy(files: list[Path], limit: float | None, workers: int, count: Count) -> tuple[int, list[str]]:
    """clang-tidy on what is shipped (tests are left to the compiler's warnings), over the release compile database. A
    file is checked again when it, its configuration, its compile command or any header of ours that it includes has
    changed."""
    where = build.configure("release")
    commands = {Path(entry["file"]): entry["command"]
                for entry in json.loads((where / "compile_commands.json").read_text())}
    units = [file for file in files if file in commands and ROOT / "tests" not in file.parents
             and not file.name.endswith("_test.cpp") and file not in GCC_ONLY]
    settings = file_digest(ROOT / ".clang-tidy")
    stamps = {}
    for unit in units:
        parts = [settings, commands[unit], *(file_digest(file) for file in _includes(unit))]
        stamps[unit] = cache() / "lint" / "clang-tidy" / digest(*parts)
    todo = [unit for unit in units if not stamps[unit].exists()]
    if not todo:
        return len(units), []
    problems, left = [], 0
    deadline = time.monotonic() + limit if limit else float("inf")

    def one(unit: Path) -> tuple[Path, str | None, bool]:
        late = time.monotonic() > deadline
        return unit, None if late else _tidy_one(where, unit), late

    with Step(f"clang-tidy on {len(todo)} of {len(units)} files") as step, \
            concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for number, (unit, problem, late) in enumerate(pool.map(one, todo), 1):
            step.detail = f"{number}/{len(todo)} {unit.name}"
            if late:
                left += 1
            elif problem:
                problems.append(f"clang-tidy: {unit.relative_to(ROOT)}\n{problem}")
            else:
                stamps[unit].parent.mkdir(parents=True, exist_ok=True)
                stamps[unit].touch()
    if left:
        say(f"  clang-tidy: {left} files not reached within {limit:.0f} s; ./ppvmm lint checks them all")
    count.skipped += left
    return len(units) - left, problems


def _tidy_one(where: Path, unit: Path) -> str | None:
    # Without the path-sensitive analyzer, which is most of the time: minutes instead of half an hour on two cores.
    # Politely: an emulated machine may run beside it.
    command = ["nice", "-n", "10", "clang-tidy-19", "--quiet", "--checks=-clang-analyzer-*", "--extra-arg=-Wno-unknown-warning-option",
               "--extra-arg=-Wno-deprecated-declarations",  # inside libstdc++ 12, as clang 19 sees it
               "-p", str(where), str(unit)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    lines = [line for line in done.stdout.splitlines() if "error:" in line or "warning:" in line]
    return "\n".join(lines[:20]) or (done.stdout + done.stderr)[-1500:]


def _includes(unit: Path) -> list[Path]:
    """The unit and every file of the tree that it includes, directly or not, found by name."""
    found: dict[Path, None] = {}
    queue = [unit]
    while queue:
        file = queue.pop()
        if file in found:
            continue
        found[file] = None
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', file.read_text(errors="replace"), re.MULTILINE):
            for base in (file.parent, ROOT / "src", ROOT / "tests", ROOT / "bench", ROOT / "lab"):
                if (base / name).is_file():
                    queue.append((base / name).resolve())
                    break
    return sorted(found)
