"""The emulated machine: QEMU's command line for a variant, and the running process."""

import os
import re
import socket
import subprocess
from dataclasses import dataclass, field, fields
from pathlib import Path

from ppvmm.image import Image
from ppvmm.term import UserError

XENSTORES = ("xenstored", "oxenstored", "ppvmm", "ppvmm-single", "none")  # ppvmm: three replicas, and root
MODES = ("wall", "virtual")
DEVICES = ("nic", "nic2", "nic3", "virtio-nic", "nvme", "iommu")
# Network cards among the devices: QEMU's model, and where it sits on the machine's bus.
CARDS = {"nic": ("e1000e", "0x10"), "nic2": ("e1000e", "0x11"), "nic3": ("e1000e", "0x13"),
         "virtio-nic": ("virtio-net-pci,disable-legacy=on,iommu_platform=on,romfile=", "0x12")}


@dataclass
class Variant:
    """What of the machine can be chosen, per scenario and on the command line (`--set key=value`)."""

    xenstore: str = "xenstored"  # who serves XenStore: one of XENSTORES
    mode: str = "wall"  # wall: as fast as it goes; virtual: one instruction is one nanosecond
    cpus: int = 1  # of the machine; dom0 has as many virtual ones
    memory: int = 2048  # MiB of the machine
    dom0_memory: int = 1024  # MiB of dom0
    devices: list[str] = field(default_factory=list)  # of DEVICES
    # none: cards are plugged in nowhere; lan: into a bridge in a namespace (network.py); wire: all of them into each
    # other, so that a guest with one of them is outside the others' hosts, on the machine's own clock.
    network: str = "none"
    xen_args: str = ""  # further words for Xen's command line
    dom0_args: str = ""  # further words for dom0's kernel
    cpu: str = "Haswell-noTSX,-smap,-smep"  # QEMU's model when emulated: with SMAP a PV dom0 crashes early
    accel: str = "auto"  # auto: KVM when /dev/kvm is usable and mode is wall, else tcg

    def change(self, key: str, value: str) -> None:
        """Sets one field from text; says what is possible when it cannot."""
        known = {each.name: each.type for each in fields(self)}
        if key not in known:
            raise UserError(f"no setting named {key}; there are: {', '.join(known)}")
        if known[key] is int:
            try:
                setattr(self, key, int(value))
            except ValueError:
                raise UserError(f"{key} is a number, not {value!r}") from None
        elif key == "devices":
            self.devices = [name for name in value.split(",") if name]
        else:
            setattr(self, key, value)
        self.check()

    def apply(self, settings: list[str]) -> None:
        """Takes over `key=value` settings of a command line."""
        for setting in settings:
            key, found, value = setting.partition("=")
            if not found:
                raise UserError(f"--set wants KEY=VALUE, not {setting!r}")
            self.change(key, value)

    def check(self) -> None:
        for key, allowed in (("xenstore", XENSTORES), ("mode", MODES), ("accel", ("auto", "kvm", "tcg")),
                             ("network", ("none", "lan", "wire"))):
            if getattr(self, key) not in allowed:
                raise UserError(f"{key} is one of {', '.join(allowed)}; not {getattr(self, key)!r}")
        unknown = set(self.devices) - set(DEVICES)
        if unknown:
            raise UserError(f"devices are {', '.join(DEVICES)}; not {', '.join(sorted(unknown))}")

    @property
    def cards(self) -> list[str]:
        """The network cards among the devices, in the order of their places on the bus."""
        return [name for name in CARDS if name in self.devices]

    @property
    def kvm(self) -> bool:
        return self.mode == "wall" and (self.accel == "kvm" or (self.accel == "auto" and kvm_usable()))


def kvm_usable() -> bool:
    """Whether this machine has KVM on hardware virtualisation. A /dev/kvm alone says little: some virtual machines show
    one whose processor has neither VMX nor SVM, and Xen dies in it at its first unusual instruction."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return flags is not None and bool({"vmx", "svm"} & set(flags[1].split()))


def command_line(variant: Variant, image: Image, initramfs: Path, scratch: Path, taps: list[int]) -> list[str]:
    """The whole QEMU command line but for the character devices, which `Machine` adds. `taps`: one for each card, or
    none for cards that are plugged in nowhere."""
    iommu = "iommu" in variant.devices
    line = ["qemu-system-x86_64", "-M", "q35", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-m", str(variant.memory), "-smp", str(variant.cpus)]
    if variant.kvm:
        line += ["-accel", "kvm", "-cpu", "host"]
    else:
        threads = "single" if variant.mode == "virtual" else "multi"
        line += ["-accel", f"tcg,thread={threads},tb-size=512", "-cpu", variant.cpu]
    if variant.mode == "virtual":
        line += ["-icount", "shift=0,sleep=off,align=off"]
    if iommu:
        line += ["-device", "intel-iommu,intremap=off"]
    for number, name in enumerate(variant.cards):
        model, slot = CARDS[name]
        plug = f"tap,id=net{number},fd={taps[number]}" if taps else f"hubport,id=net{number},hubid=0" \
            if variant.network == "wire" else f"user,id=net{number},restrict=on"
        line += ["-netdev", plug,
                 "-device", f"{model},netdev=net{number},mac=52:54:00:50:50:{number + 1:02x},addr={slot}"]
    if "nvme" in variant.devices:
        disk = scratch / "nvme.img"
        with open(disk, "wb") as file:
            file.truncate(256 << 20)
        line += ["-drive", f"file={disk},if=none,id=disk0,format=raw,cache=unsafe",
                 "-device", "nvme,drive=disk0,serial=ppvmm"]
    xen = ["console=com1", "com1=115200,8n1", "console_timestamps=boot", "loglvl=all", "guest_loglvl=all",
           f"dom0_mem={variant.dom0_memory}M,max:{variant.dom0_memory}M", f"dom0_max_vcpus={variant.cpus}",
           # No mitigations: emulated, they cost half of the time. But vector registers must be switched eagerly:
           # switched lazily, dom0's programs find a guest's registers in theirs under QEMU 7.2 (seen with and without
           # AVX) and crash in malloc now and then.
           "spec-ctrl=no,eager-fpu"]
    if iommu:
        xen.append("iommu=verbose,no-intremap")
    xen += variant.xen_args.split()
    # Self tests and page-table audits of the kernel cost a second when emulated.
    dom0 = ["console=hvc0", "quiet", "loglevel=4", "printk.time=1", "panic=1", "cryptomgr.notests", "rodata=off",
            f"lab.xenstore={variant.xenstore}", *variant.dom0_args.split()]
    line += ["-kernel", str(image.xen), "-append", " ".join(xen),
             "-initrd", f"{image.vmlinux} {' '.join(dom0)},{initramfs}"]
    return line


_running: set[subprocess.Popen] = set()


def kill_all() -> None:
    for process in list(_running):
        process.kill()


class Machine:
    """A running QEMU with three lines to it: `serial` (Xen and dom0's console), `port` (the agent) and
    `shell` (a terminal in dom0). Each is a socket of ours whose other end QEMU holds."""

    def __init__(self, line: list[str], log: Path, inherited: list[int]):
        self.serial, serial = socket.socketpair()
        self.port, port = socket.socketpair()
        self.shell, shell = socket.socketpair()
        ends = (serial, port, shell)
        line = list(line)
        for name, end in zip(("serial0", "port0", "shell0"), ends):
            line += ["-chardev", f"socket,id={name},fd={end.fileno()}"]
        line += ["-serial", "chardev:serial0", "-device", "virtio-serial-pci",
                 "-device", "virtserialport,chardev=port0,name=ppvmm.lab,nr=1",
                 "-device", "virtconsole,chardev=shell0,nr=2"]
        with open(log, "wb") as errors:
            errors.write((" ".join(line) + "\n").encode())
            errors.flush()
            self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                                            pass_fds=[*inherited, *(end.fileno() for end in ends)])
        _running.add(self.process)
        self._log = log
        for end in ends:
            end.close()

    def last_words(self) -> str:
        """What QEMU itself said, if anything, for a message to the user."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[1:][-5:])

    def wait(self, timeout: float) -> bool:
        """True when the machine has ended within `timeout` seconds."""
        try:
            self.process.wait(timeout)
            return True
        except subprocess.TimeoutExpired:
            return False

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        _running.discard(self.process)
        for end in (self.serial, self.port, self.shell):
            end.close()
