"""`./ppvmm lab shell`: an interactive dom0 on the user's terminal."""

import os
import select
import sys
import termios
import tty

from ppvmm.door import Door
from ppvmm.results import new_folder
from ppvmm.session import Lab, Session, Variant
from ppvmm.term import say

LEAVE = b"\x1d"  # Ctrl-]
WELCOME = """dom0 of a real Xen, emulated. `guest NAME` creates a Linux guest, `xl console NAME` talks to it (leave: Ctrl-5),
`xenstore-ls` shows the tree. From another terminal, `./ppvmm status`, `history` and `inject` reach in here.
`exit` or Ctrl-] powers the machine off."""


def run(settings: list[str]) -> int:
    """Boots, connects the terminal to a shell in dom0, powers off when the shell ends."""
    variant = Variant()
    variant.apply(settings)
    folder = new_folder("shell")
    say(f"booting Xen, xenstore={variant.xenstore}; a few seconds ...")
    with Lab(out=folder).boot(variant, on_event=lambda event: say(f"  {event['what']}")) as session:
        print(WELCOME, flush=True)
        with Door(session):
            _connect(session)
        say(f"powering off; logs: {folder}")
    return 0


def _connect(session: Session) -> None:
    rows, columns = _size()
    # The trailing command keeps the outer shell waiting; without it, setsid would be a group leader and fork away.
    command = (f"setsid -c sh -c 'stty rows {rows} cols {columns} sane; export TERM={_terminal()} PS1=\"dom0 \\w # \"; "
               "cd /root; exec sh -i' < /dev/hvc1 > /dev/hvc1 2>&1; :")
    ended = session.start(command)
    source = sys.stdin.fileno()
    saved = termios.tcgetattr(source) if os.isatty(source) else None
    try:
        if saved:
            tty.setraw(source)
        _relay(session, source, ended)
    finally:
        if saved:
            termios.tcsetattr(source, termios.TCSADRAIN, saved)
        print(flush=True)


def _relay(session: Session, source: int, ended) -> None:
    line = session.machine.shell
    sources = [source, line]
    while not ended.is_set():
        for ready in select.select(sources, [], [], 0.2)[0]:
            data = os.read(ready, 4096) if ready == source else line.recv(1 << 16)
            if ready == source and LEAVE in data:
                return
            if not data:
                sources.remove(ready)  # the input has ended: what dom0 still says is shown
                if ready is line:
                    return
            elif ready == source:
                line.sendall(data)
            else:
                os.write(sys.stdout.fileno(), data)


def _size() -> tuple[int, int]:
    try:
        size = os.get_terminal_size()
        return size.lines or 24, size.columns or 80
    except OSError:
        return 24, 80


def _terminal() -> str:
    name = os.environ.get("TERM", "vt100")
    return name if name.replace("-", "").isalnum() else "vt100"
