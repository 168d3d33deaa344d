"""Judging what clients in a lab's dom0 were told (bench/xshistory), here: emulated it would take a hundred times as long."""

import json
import subprocess

from ppvmm import build
from ppvmm.session import Hung, Session


def judge(session: Session, place: str, gap_ms: float, keep: bool = False) -> dict:
    """The verdict on the history that lies at `place` in dom0. A copy stays in the session's folder if it is to be kept, or
    shows something wrong."""
    history = session.out / "history.tsv"
    session.get(place, history, 300)
    program = build.folder() / "bench" / "xshistory" / "ppvmm-xshistory"
    told = subprocess.run([program, "check", history, "--gap-ms", str(gap_ms), "--json", "-"], capture_output=True, text=True)
    if told.returncode not in (0, 1):
        raise Hung(f"the history cannot be judged: {told.stderr.strip()}")
    verdict = json.loads(told.stdout)
    if not verdict["violations"] and not keep:
        history.unlink()
    return verdict
