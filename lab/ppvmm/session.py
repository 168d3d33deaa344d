"""A booted lab that Python drives: boot once, run many commands in dom0, get their output and all reports.

    from ppvmm.session import Lab, Variant

    with Lab(files={"/lab/bin/mytool": path}).boot(Variant(xenstore="oxenstored")) as session:
        result = session.run("xl list", timeout=20)      # -> Done(code, out, err, timed_out, seconds)
        session.put(local, "/tmp/input"); session.get("/tmp/samples.csv", local)
        session.events                                   # what `event` reported, stamped by the machine
"""

import base64
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ppvmm import build, overlay
from ppvmm.channel import Answer, Channel, ChannelClosed
from ppvmm.consoles import Consoles, pump
from ppvmm.image import image
from ppvmm.network import Network
from ppvmm.qemu import Machine, Variant, command_line
from ppvmm.reports import Reports
from ppvmm.term import UserError

__all__ = ["Done", "Hung", "Lab", "Session", "Variant"]

BOOT_LIMIT = 240.0
OURS = ("ppvmm", "ppvmm-root", "xenstore_uk")  # dom0's tool, the supervisor and the image, when XenStore is ours


class Hung(UserError):
    """The machine did not do in time what it should have; the message says where it stood."""


@dataclass
class Done:
    """How a command in dom0 ended."""

    code: int
    out: str
    err: str
    timed_out: bool
    seconds: float  # on dom0's clock

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.timed_out


class Lab:
    """What is brought into the machine: `files` maps a path in dom0 to a file here; shared libraries that a
    program needs come along. `targets` are built first, and brought as /lab/bin/<target>."""

    def __init__(self, files: dict[str, Path] | None = None, targets: list[str] | None = None,
                 out: Path | None = None):
        self.files = dict(files or {})
        self.targets = list(targets or [])
        self.out = out

    def boot(self, variant: Variant | None = None, limit: float = BOOT_LIMIT,
             on_event: Callable[[dict], None] | None = None, until: str = "dom0 ready") -> "Session":
        """Boots and waits for the event `until` (`limit` seconds of this machine's clock at most)."""
        variant = variant or Variant()
        variant.check()
        software = image()
        targets = [*self.targets, *(OURS if variant.xenstore.startswith("ppvmm") else ())]
        build.build("release", "lab-agent", *targets)
        files = dict(self.files)
        for target in targets:
            files.setdefault(f"/lab/bin/{target}", build.output(target))
        out = self.out or Path(tempfile.mkdtemp(prefix="ppvmm-lab-"))
        out.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="ppvmm-boot-"))
        network = None
        try:
            overlay.assemble(software, files, scratch / "initramfs")
            if variant.network == "lan":
                network = Network(len(variant.cards), software)
                for target in targets:
                    network.add_tool(target, build.output(target))
            taps = network.taps if network else []
            machine = Machine(command_line(variant, software, scratch / "initramfs", scratch, taps), out / "qemu.log",
                              taps)
            if network:
                network.close_taps()
            session = Session(machine, variant, out, scratch, on_event, network)
        except BaseException:
            if network:
                network.close()
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        session.versions = software.versions
        try:
            session.wait_event(until, limit)
            (scratch / "initramfs").unlink()
        except BaseException:
            session.kill()
            raise
        return session


class Session:
    """A running machine. As a context manager it powers the machine off at the end."""

    def __init__(self, machine: Machine, variant: Variant, out: Path, scratch: Path,
                 on_event: Callable[[dict], None] | None, network: Network | None = None):
        self.variant = variant
        self.network = network  # the world outside the machine, if it has one
        self.out = out
        self.versions: dict[str, str] = {}
        self.machine = machine
        self._scratch = scratch
        self.consoles = Consoles(out)
        self.reports = Reports(out, self.consoles, on_event)
        self.reports.on_outside = lambda message: threading.Thread(
            target=self._outside, args=(message,), daemon=True).start()
        self.consoles.on_dom0_start = lambda seconds: self.reports.note("Xen up", "xen", seconds)
        self._channel = Channel(machine.port, self.reports.take)
        threading.Thread(target=pump, args=(machine.serial, self.consoles), daemon=True).start()

    @property
    def events(self) -> list[dict]:
        """All events so far: {"t_ms", "what", "component"}; t_ms counts from Xen's start."""
        return self.reports.events

    def wait_event(self, what: str, timeout: float) -> dict:
        """The first event called `what`, waited for if need be."""
        deadline = time.monotonic() + timeout
        while True:
            event = self.reports.find(what)
            if event:
                return event
            left = deadline - time.monotonic()
            if self._channel.closed.is_set() or self.machine.process.poll() is not None:
                raise Hung(self.where(f"the machine ended before the event {what!r}"))
            if left <= 0:
                raise Hung(self.where(f"no event {what!r} within {timeout:.0f} s"))
            self.reports.wait(min(left, 0.5))

    def run(self, command: str, timeout: float = 60.0, live: Callable[[str], None] | None = None) -> Done:
        """Runs a shell command in dom0. `timeout` is in seconds of the machine's clock; the command's whole
        process group is ended then. If the machine itself does not answer, Hung says where it stood."""
        answer = self._channel.order(live, op="run", cmd=command, timeout_ms=int(timeout * 1000))
        last = self._finish(answer, timeout, f"the command {command.splitlines()[0][:60]!r}")
        return Done(last["code"], "".join(answer.out), "".join(answer.err), last["timed_out"],
                    (last["t"] - last["began_ns"]) / 1e9)

    def start(self, command: str) -> threading.Event:
        """Starts a command in dom0 that may run for as long as it likes; the event is set when it has ended."""
        return self._channel.order(op="run", cmd=command, timeout_ms=0).done

    def put(self, source: Path | bytes, place: str, mode: int = 0o644, timeout: float = 60.0) -> None:
        """Writes a file in dom0."""
        data = source if isinstance(source, bytes) else source.read_bytes()
        chunk = 1 << 18
        for at in range(0, max(len(data), 1), chunk):
            text = base64.b64encode(data[at:at + chunk]).decode()
            self._finish(self._channel.order(op="put", path=place, d=text, mode=mode, append=at > 0), timeout, place)

    def get(self, place: str, target: Path | None = None, timeout: float = 60.0) -> bytes:
        """Reads a file of dom0, and writes it to `target` if given."""
        answer = self._channel.order(op="get", path=place)
        self._finish(answer, timeout, place)
        data = b"".join(answer.data)
        if target:
            target.write_bytes(data)
        return data

    def poweroff(self, limit: float = 20.0) -> None:
        """Ends the machine in order; by force when it does not follow."""
        try:
            self._channel.order(op="stop").done.wait(limit)
            self.machine.wait(limit)
        except ChannelClosed:
            pass
        self.kill()

    def kill(self) -> None:
        self.machine.kill()
        if self.network:
            self.network.close()
        self.reports.close()
        self.consoles.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, kind, value, trace) -> None:
        self.poweroff() if kind is None else self.kill()

    def _outside(self, message: dict) -> None:
        """Runs a command of dom0's `outside` in the network namespace and brings the result back."""
        if self.network:
            code, said = self.network.run(message["cmd"], self.out, message["timeout_s"])
        else:
            code, said = 125, b"this scenario's machine has no network outside: set network = \"lan\"\n"
        try:
            self.put(said, f"/run/lab/outside.{message['n']}.out")
            self.put(f"{code}\n".encode(), f"/run/lab/outside.{message['n']}.code")
        except (UserError, ChannelClosed):
            pass  # the machine ended meanwhile: nobody waits any more

    def _finish(self, answer: Answer, timeout: float, what: str) -> dict:
        # The machine's clock may run far behind ours (virtual time): the agent keeps the command's own limit,
        # and this one only notices a machine that does not answer any more.
        patience = timeout * (20 if self.variant.mode == "virtual" else 2) + 30
        if not answer.done.wait(patience):
            raise Hung(self.where(f"no answer from dom0 to {what} within {patience:.0f} s"))
        if answer.last.get("closed"):
            raise Hung(self.where(f"the machine ended during {what}"))
        if answer.last["k"] == "error":
            raise UserError(f"dom0: {answer.last['what']}")
        return answer.last

    def where(self, problem: str) -> str:
        """`problem`, with the last event and the last lines of every console."""
        events = self.reports.events
        last = f"{events[-1]['what']} at {events[-1]['t_ms']:.0f} ms" if events else "none"
        parts = [problem, f"last event: {last}", self.machine.last_words(), self.consoles.tails(),
                 f"whole logs: {self.out}"]
        return "\n".join(part for part in parts if part)
