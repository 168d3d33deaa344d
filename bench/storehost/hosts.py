"""The systems compared, as hosts of the lab: how each is booted, and what is done beside its load.

xenstored, oxenstored   Debian's daemons
single                  our XenStore_uk, alone: no replicas, no supervisor
ppvmm                   three XenStore_uk domains and root
xoar                    the same domains, refreshed by a timer, without detection: what Xoar does
"""

from pathlib import Path

from ppvmm.qemu import Variant
from ppvmm.session import Hung, Lab, Session
from ppvmm.term import UserError
from storehost.options import SYSTEMS

NAMES = {"xenstored": "C xenstored", "oxenstored": "oxenstored", "single": "XenStore_uk alone", "xoar": "xoar policy",
         "ppvmm": "PpVMM"}
COLOURS = {"xenstored": "#9aa5b1", "oxenstored": "#d9a441", "single": "#7fb2c2", "xoar": "#8a5a83", "ppvmm": "#1f6f8b"}
DAEMONS = ("xenstored", "oxenstored")
STORE = "Xenstore"
PROGRAMS = ["ppvmm-xsload", "ppvmm-xshistory", "ppvmm-xsfault"]
LIMIT_S = 300.0
CPUS_BESIDE = 1  # processors of a machine that is booted beside others


def chosen(text: str) -> list[str]:
    systems = [system for system in text.split(",") if system]
    unknown = set(systems) - set(SYSTEMS)
    if unknown or not systems:
        raise UserError(f"systems are {', '.join(SYSTEMS)}; not {', '.join(sorted(unknown)) or 'none'}", 2)
    return systems


def variant(system: str, virtual: bool, settings: list[str]) -> Variant:
    store = {"single": "ppvmm-single", "xoar": "ppvmm"}.get(system, system)
    made = Variant(xenstore=store, mode="virtual" if virtual else "wall")
    made.apply(settings)
    return made


def boot(system: str, virtual: bool, settings: list[str], out: Path) -> Session:
    files = {"/lab/root.toml": Path(__file__).parent / "xoar.toml"} if system == "xoar" else {}
    return Lab(files, PROGRAMS, out).boot(variant(system, virtual, settings))


def must(session: Session, command: str, limit: float = LIMIT_S) -> str:
    """Runs a command in dom0 that has to succeed."""
    done = session.run(command, limit)
    if not done.ok:
        why = "took too long" if done.timed_out else f"ended with {done.code}"
        raise Hung(f"in dom0, {command!r} {why}: {(done.err or done.out).strip()[-500:]}")
    return done.out


def figure(axes_of_figure) -> str:
    """An SVG element of a matplotlib figure."""
    import io
    import matplotlib.pyplot as plt
    out = io.StringIO()
    axes_of_figure.tight_layout()
    axes_of_figure.savefig(out, format="svg", metadata={"Date": None})
    plt.close(axes_of_figure)
    text = out.getvalue()
    return text[text.index("<svg"):]
