"""Debian packages: the list in lab/packages, what of it is missing, and bringing it."""

import os
import subprocess

from ppvmm.paths import LAB, cache, digest
from ppvmm.term import Step, UserError, say


def group(name: str) -> list[str]:
    """The packages of one group of lab/packages, in the file's order."""
    found, names = None, []
    for line in (LAB / "packages").read_text().splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("["):
            found = line.strip("[]")
        elif line and found == name:
            names.append(line)
    if not names:
        raise UserError(f"lab/packages has no group [{name}]")
    return names


def missing(names: list[str]) -> list[str]:
    """Those of `names` that dpkg does not know as installed."""
    query = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names],
                           capture_output=True, text=True)
    installed = {line.split()[0] for line in query.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def need_lists(probe: str) -> None:
    """Makes sure apt knows packages at all (`probe` is one it must know): a minimal machine has no lists."""
    if subprocess.run(["apt-cache", "show", probe], capture_output=True).returncode == 0:
        return
    if os.geteuid() != 0:
        raise UserError(f"apt knows no package {probe}. Run this, then the command again:\n  sudo apt-get update")
    with Step("apt-get update"):
        done = subprocess.run(["apt-get", "update", "-qq"], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"apt-get update failed:\n{done.stderr.strip()}")


def ensure(*groups: str) -> None:
    """Installs what is missing of the groups. Without root it says what to run, and ends the command."""
    names = [name for each in groups for name in group(each)]
    if _stamp(names).exists():
        return
    absent = missing(names)
    if absent:
        _install(absent)
    stamp = _stamp(names)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    for old in stamp.parent.iterdir():
        if not old.name.startswith(stamp.name.partition("-")[0]):
            old.unlink(missing_ok=True)
    stamp.touch()


def _stamp(names: list[str]):
    """The mark that `names` were all there when dpkg was in its present state: `<state>-<names>`."""
    return cache() / "installed" / f"{digest(_dpkg_state())}-{digest(*names)}"


def _dpkg_state() -> str:
    state = os.stat("/var/lib/dpkg/status")
    return f"{state.st_mtime_ns} {state.st_size}"


def _install(names: list[str]) -> None:
    command = ["apt-get", "install", "-y", "--no-install-recommends", *names]
    if os.geteuid() != 0:
        raise UserError("Debian packages are missing. Run this, then the command again:\n  sudo apt-get update && sudo "
                        + " ".join(command))
    need_lists(names[0])
    say(f"installing {len(names)} Debian packages: {' '.join(names)}")
    with Step("apt-get install") as step:
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        # Without an fsync per file the same packages come in a third of the time; a crash meanwhile would only mean
        # installing them again.
        options = ["-o", "Dpkg::Use-Pty=0", "-o", "Dpkg::Options::=--force-unsafe-io"]
        process = subprocess.Popen([*command, *options], env=environment, text=True, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            step.detail = lines[-1][:70]
        if process.wait():
            raise UserError("apt-get install failed:\n" + "\n".join(lines[-15:]))
