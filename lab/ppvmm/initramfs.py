"""Builds the initramfs archives of dom0 and of the guests out of the image, cached by content."""

import re
import subprocess
from pathlib import Path

from ppvmm import elf
from ppvmm.cpio import Archive
from ppvmm.image import Image
from ppvmm.paths import LAB, cache, digest
from ppvmm.term import Step

XEN_BIN = "usr/lib/xen-4.17/bin"
DOM0_TOOLS = ["xl", "xenstored", "oxenstored", "xenconsoled", "xenconsole", "xen-init-dom0", "xenstore-control",
              "test-xenstore", "libxl-save-helper", "xenctx", "xentop", "lsevtchn"]
STORE_TOOLS = ["xenstore", *(f"xenstore-{verb}" for verb in ("chmod exists list ls read rm watch write".split()))]
DOM0_MODULES = ["xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd", "xenfs", "xen-netback", "xen-blkback",
                "virtio_pci", "virtio_console", "loop", "bridge", "xen-pciback"]
# Carried along and listed in /etc/modules.more, for scenarios in which dom0 itself drives a card, or has a vif.
DOM0_MORE_MODULES = ["e1000e", "xen-netfront"]
GUEST_MODULES = ["xen-netfront", "xen-blkfront", "xen-pcifront", "e1000e", "nvme"]


class Builder:
    """An archive under construction: usrmerged tree, busybox, and files with all the libraries they need."""

    def __init__(self, image: Image):
        self.image = image
        self.archive = Archive()
        for name in ("bin", "sbin", "lib", "lib64"):
            self.archive.folder(f"usr/{name}")
            self.archive.link(name, f"usr/{name}")
        for name in ("proc", "sys", "dev", "run", "tmp", "root", "var/log", "var/lib", "etc"):
            self.archive.folder(name)
        self.archive.link("var/run", "/run")
        self.archive.link("var/lock", "/run/lock")
        self.archive.device("dev/console", 5, 1)
        self.archive.link("usr/lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
        self._libraries: set[str] = set()
        busybox = image.root / "bin/busybox"
        self.archive.copy("usr/bin/busybox", busybox)
        # The C library opens this one by name, when a thread is cancelled (xl, xenstore-watch).
        self.archive.copy("usr/lib/x86_64-linux-gnu/libgcc_s.so.1", _first(image, "libgcc_s.so.1"))
        applets = subprocess.run([busybox, "--list-full"], capture_output=True, text=True, check=True).stdout
        for applet in applets.split():
            place = applet if applet.startswith("usr/") else f"usr/{applet}"
            if place != "usr/bin/busybox" and not place.startswith("usr/linuxrc"):
                self.archive.link(place, "/usr/bin/busybox")

    def program(self, name: str, source: Path) -> None:
        """A program with its libraries."""
        self.archive.file(name, source.read_bytes(), 0o755)
        self.libraries([source])

    def libraries(self, files: list[Path]) -> None:
        for name, path in sorted(elf.closure(files, self.image.library_folders()).items()):
            if name not in self._libraries:
                self._libraries.add(name)
                self.archive.file(f"usr/lib/x86_64-linux-gnu/{name}", path.read_bytes(), 0o755)

    def modules(self, names: list[str], place: str) -> None:
        """Kernel modules with those they depend on; the file `place` lists them in loading order."""
        release = self.image.kernel_release
        files = {_module_name(file.stem): file for file in (self.image.root / "lib/modules" / release).rglob("*.ko")}
        order: list[str] = []

        def add(name: str) -> None:
            name = _module_name(name)
            if name in order:
                return
            if name not in files:
                return  # built into the kernel
            data = files[name].read_bytes()
            found = re.search(rb"(?:^|\0)depends=([^\0]*)\0", data)
            for other in (found[1].decode().split(",") if found and found[1] else []):
                add(other)
            order.append(name)
            self.archive.file(f"usr/lib/modules/{name}.ko", data)

        for name in names:
            add(name)
        self.archive.file(place, "".join(f"{name}\n" for name in order))


def dom0(image: Image) -> Path:
    """The archive of dom0, without anything of ours but its start script."""
    start = (LAB / "dom0/init").read_bytes()
    return _cached("dom0", [image.key, start, *DOM0_TOOLS, *DOM0_MODULES, *DOM0_MORE_MODULES], lambda: _dom0(image, start))


def guest(image: Image) -> Path:
    """The archive of a guest."""
    start = (LAB / "guest/init").read_bytes()
    return _cached("guest", [image.key, start, *GUEST_MODULES], lambda: _guest(image, start))


def _dom0(image: Image, start: bytes) -> bytes:
    builder = Builder(image)
    archive, root = builder.archive, image.root
    for tool in DOM0_TOOLS:
        builder.program(f"{XEN_BIN}/{tool}", root / XEN_BIN / tool)
        archive.link(f"usr/sbin/{tool}", f"/{XEN_BIN}/{tool}")
    for tool in STORE_TOOLS:
        builder.program(f"usr/bin/{tool}", root / "usr/bin" / tool)
    builder.modules(DOM0_MODULES, "etc/modules")
    builder.modules(DOM0_MORE_MODULES, "etc/modules.more")
    for script in sorted((root / "etc/xen/scripts").iterdir()):
        archive.copy(f"etc/xen/scripts/{script.name}", script)
    for name in ("xl.conf", "oxenstored.conf"):
        archive.copy(f"etc/xen/{name}", root / "etc/xen" / name)
    for folder in ("var/log/xen/console", "var/lib/xen", "var/lib/xenstored"):
        archive.folder(folder)
    archive.file("init", start, 0o755)
    return archive.bytes()


def _guest(image: Image, start: bytes) -> bytes:
    builder = Builder(image)
    for tool in STORE_TOOLS:
        builder.program(f"usr/bin/{tool}", image.root / "usr/bin" / tool)
    builder.modules(GUEST_MODULES, "etc/modules")
    builder.archive.file("init", start, 0o755)
    return builder.archive.bytes()


def _first(image: Image, name: str) -> Path:
    return next(folder / name for folder in image.library_folders() if (folder / name).exists())


def _module_name(name: str) -> str:
    return name.replace("-", "_")


def _cached(kind: str, parts: list, make) -> Path:
    builders = [(LAB / "ppvmm" / name).read_bytes() for name in ("initramfs.py", "cpio.py", "elf.py")]
    path = cache() / "initramfs" / f"{kind}-{digest(*parts, *builders)}.cpio"
    if not path.exists():
        with Step(f"building the initramfs of {kind}"):
            data = make()
            path.parent.mkdir(parents=True, exist_ok=True)
            making = path.with_suffix(".making")
            making.write_bytes(data)
            making.rename(path)
    return path
