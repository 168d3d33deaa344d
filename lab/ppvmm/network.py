"""A network outside the emulated machine: a fresh namespace with a bridge `lan`, into which the machine's cards are plugged.

No root is needed: the namespace belongs to a user namespace of its own. It lives as long as its holder, a small
process that made it and hands QEMU the taps; commands enter it with nsenter. Nothing of it is reachable from
anywhere else, and nothing else from it. The holder is also the first process of a process namespace that commands run
in: with it end all of them, and what they left in the background.
"""

import array
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from ppvmm.image import Image
from ppvmm.paths import LAB
from ppvmm.term import UserError

ADDRESS = "10.77.0.1/24"
ADDRESS6 = "fd77::1/64"
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
READY = b"ready"


class Network:
    """A namespace with `cards` taps on its bridge. `taps` are their file descriptors, for QEMU to inherit."""

    def __init__(self, cards: int, image: Image):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._life = ours  # the holder ends when this is closed
        self._tools = tempfile.TemporaryDirectory(prefix="ppvmm-tools-")
        busybox = Path(self._tools.name) / "busybox"
        busybox.symlink_to(image.root / "bin/busybox")
        for applet in ("ping", "ping6", "arping", "nc", "httpd", "wget"):
            (Path(self._tools.name) / applet).symlink_to(busybox)
        self._holder = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", sys.executable, "-m",
             "ppvmm.network", str(theirs.fileno()), str(cards)], env=dict(os.environ) | {"PYTHONPATH": str(LAB)},
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        theirs.close()
        self.taps: list[int] = []
        ours.settimeout(20)
        try:
            message, parts, _, _ = ours.recvmsg(len(READY), socket.CMSG_SPACE(cards * 4))
        except OSError as error:
            message, parts = str(error).encode(), []
        if message != READY:
            self._holder.kill()
            said = self._holder.communicate()[1].decode(errors="replace").strip().splitlines()
            raise UserError("a network namespace cannot be made (unprivileged user namespaces and /dev/net/tun are "
                            f"needed): {said[-1] if said else message.decode()}")
        for _, _, data in parts:
            numbers = array.array("i")
            numbers.frombytes(data[:len(data) - len(data) % numbers.itemsize])
            self.taps += numbers

    def add_tool(self, name: str, program: Path) -> None:
        """A program of the build that commands out here find by its name."""
        place = Path(self._tools.name) / name
        if not place.exists():  # a target may be named twice
            place.symlink_to(program.resolve())

    def command(self, line: str) -> list[str]:
        """The arguments of a process that runs the shell command `line` in the namespace."""
        # `unshare` itself stays outside of the process namespace that it has made for its child.
        place = f"/proc/{self._holder.pid}/ns"
        return ["nsenter", "--preserve-credentials", f"--user={place}/user", f"--net={place}/net",
                f"--pid={place}/pid_for_children", "--", "sh", "-c", line]

    def environment(self) -> dict[str, str]:
        """For such a process: busybox, the programs of lab/outside and those of the build are found."""
        path = f"{LAB / 'outside'}:{self._tools.name}:{os.environ.get('PATH', '')}"
        return dict(os.environ) | {"PATH": path, "PYTHON": sys.executable}

    def run(self, line: str, folder: Path, timeout: float) -> tuple[int, bytes]:
        """Runs a shell command in the namespace; its exit code and what it said. Ended by force after `timeout` seconds."""
        process = subprocess.Popen(self.command(line), cwd=folder, env=self.environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            return _finish(process, timeout)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def close_taps(self) -> None:
        """After QEMU has inherited them."""
        for tap in self.taps:
            os.close(tap)
        self.taps = []

    def close(self) -> None:
        """Ends the holder, and with it the namespaces and whatever still runs in them."""
        self.close_taps()
        self._life.close()
        try:
            self._holder.wait(5)
        except subprocess.TimeoutExpired:
            self._holder.kill()
            self._holder.wait()
        if self._holder.stderr:
            self._holder.stderr.close()
        self._tools.cleanup()


def _finish(process: subprocess.Popen, timeout: float) -> tuple[int, bytes]:
    try:
        out, _ = process.communicate(timeout=timeout)
        return process.returncode, out
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        return 124, out + f"\nended after {timeout:.0f} s".encode()


def _hold(life: socket.socket, cards: int) -> None:
    """The holder: in the namespace, as its root. Makes bridge and taps, gives the taps away, waits for the end."""
    steps = [["link", "set", "lo", "up"], ["link", "add", "lan", "type", "bridge", "forward_delay", "0"],
             ["address", "add", ADDRESS, "dev", "lan"], ["address", "add", ADDRESS6, "dev", "lan", "nodad"],
             ["link", "set", "lan", "mtu", "1500"], ["link", "set", "lan", "up"]]
    taps = []
    for number in range(cards):
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        name = f"nic{number}"
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        taps.append(tap)
        steps += [["link", "set", name, "mtu", "9000"], ["link", "set", name, "master", "lan"], ["link", "set", name, "up"]]
    for step in steps:
        subprocess.run(["ip", *step], check=True)
    life.sendmsg([READY], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", taps))] if taps else [])
    for tap in taps:
        os.close(tap)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # it is the parent of what others leave in the background
    life.recv(1)  # nothing ever comes: it ends when the other end is closed


if __name__ == "__main__":
    _hold(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
