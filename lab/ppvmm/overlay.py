"""What is ours in the emulated machine: appended to the cached archives for each run."""

from pathlib import Path

from ppvmm import build, initramfs
from ppvmm.cpio import Archive
from ppvmm.elf import closure
from ppvmm.image import Image
from ppvmm.paths import LAB, cache, digest, file_digest

APPLETS = ("event", "record", "check", "fail", "sendfile", "outside")


def assemble(image: Image, extra: dict[str, Path], target: Path) -> None:
    """Writes dom0's whole initramfs to `target`. `extra`: path in dom0 -> file here."""
    with open(target, "wb") as out:
        for part in (initramfs.dom0(image), _guest_files(image)):
            out.write(part.read_bytes())
        out.write(_ours(image, extra))


def _agent(archive: Archive) -> None:
    archive.file("lab/bin/lab-agent", build.output("lab-agent").read_bytes(), 0o755)
    for applet in APPLETS:
        archive.link(f"lab/bin/{applet}", "lab-agent")


def _guest_files(image: Image) -> Path:
    """Cached: the guests' kernel and initramfs as files of dom0."""
    base = initramfs.guest(image)
    agent = build.output("lab-agent")
    path = cache() / "initramfs" / f"guest-files-{digest(base.name, file_digest(agent), image.key)}.cpio"
    if not path.exists():
        tools = Archive()
        _agent(tools)
        archive = Archive()
        archive.copy("lab/vmlinux", image.vmlinux)
        archive.file("lab/guest.cpio", base.read_bytes() + tools.bytes())
        making = path.with_suffix(".making")
        making.write_bytes(archive.bytes())
        making.rename(path)
    return path


def _ours(image: Image, extra: dict[str, Path]) -> bytes:
    archive = Archive()
    _agent(archive)
    for script in sorted((LAB / "dom0/bin").iterdir()):
        archive.file(f"lab/bin/{script.name}", script.read_bytes(), 0o755)
    for place, source in extra.items():
        archive.copy(place, source)
    folders = image.library_folders()
    for name, path in closure(list(extra.values()), folders).items():
        archive.file(f"usr/lib/x86_64-linux-gnu/{name}", path.read_bytes(), 0o755)
    return archive.bytes()
