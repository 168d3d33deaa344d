"""The software of the emulated machine: Debian packages downloaded and unpacked into the cache, never installed."""

import lzma
import os
import re
import shutil
import subprocess
from pathlib import Path

from ppvmm import packages
from ppvmm.paths import cache, digest, file_digest
from ppvmm.term import Step, UserError

RECIPE = "3"  # raise when what is made of the packages changes


class Image:
    """An unpacked set of packages: `root` is the merged file tree, `xen` and `vmlinux` what QEMU boots."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = folder / "root"
        self.xen = folder / "xen.elf"
        self.vmlinux = folder / "vmlinux"
        self.key = folder.name
        self.versions = dict(line.split(" ", 1) for line in (folder / "versions").read_text().splitlines())

    @property
    def kernel_release(self) -> str:
        return next((self.root / "lib/modules").iterdir()).name

    def library_folders(self) -> list[Path]:
        """Where shared libraries are looked for: the image's own first, then this machine's (for our own tools)."""
        own = [self.root / name / "x86_64-linux-gnu" for name in ("usr/lib", "lib")]
        return own + [Path("/usr/lib/x86_64-linux-gnu"), Path("/lib/x86_64-linux-gnu")]


def image(refresh: bool = False) -> Image:
    """The image for the [image] group of lab/packages, made when it is not there yet."""
    names = packages.group("image")
    index = cache() / "index" / digest(RECIPE, *names)
    if index.exists() and not refresh:
        folder = cache() / "images" / index.read_text()
        if (folder / "versions").exists():
            return Image(folder)
    debs = _download([_real_name(name) for name in names])
    key = digest(RECIPE, *sorted(file_digest(deb) for deb in debs))
    folder = cache() / "images" / key
    if not (folder / "versions").exists():
        _unpack(debs, folder)
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_text(key)
    return Image(folder)


def _real_name(name: str) -> str:
    """The versioned kernel package behind the meta package; any other name as it is."""
    if name != "linux-image-amd64":
        return name
    packages.need_lists(name)
    text = subprocess.run(["apt-cache", "depends", name], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Depends: (linux-image-[0-9]\S+)", text)
    if not found:
        raise UserError(f"apt-cache does not say which kernel {name} stands for; run: apt-get update")
    return found[1]


def _download(names: list[str]) -> list[Path]:
    """Brings the newest versions of the packages into the cache. Files already there are not fetched again."""
    folder = cache() / "debs"
    folder.mkdir(parents=True, exist_ok=True)
    listing = subprocess.run(["apt-get", "download", "--print-uris", *names], capture_output=True, text=True)
    if listing.returncode:
        raise UserError(f"the lab's packages cannot be found:\n{listing.stderr.strip()}\nrun: apt-get update")
    files = [folder / line.split()[1] for line in listing.stdout.splitlines() if line.startswith("'")]
    absent = [name for name, file in zip(names, files) if not file.exists()]
    if absent:
        command = ["apt-get", "download", *absent]
        if os.geteuid() == 0:
            command[1:1] = ["-o", "APT::Sandbox::User=root"]
        with Step(f"downloading {len(absent)} packages of the emulated machine"):
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise UserError(f"apt-get download failed:\n{done.stderr.strip()}")
    return files


def _unpack(debs: list[Path], folder: Path) -> None:
    making = folder.with_name(folder.name + f".making.{os.getpid()}")
    shutil.rmtree(making, ignore_errors=True)
    (making / "root").mkdir(parents=True)
    with Step("unpacking the emulated machine's software"):
        for deb in debs:
            subprocess.run(["dpkg-deb", "-x", deb, making / "root"], check=True)
        boot = making / "root/boot"
        kernel = next(boot.glob("vmlinuz-*")).read_bytes()
        (making / "vmlinux").write_bytes(_kernel_elf(kernel))
        xen = next(boot.glob("xen-*-amd64.gz"))
        with open(making / "xen.elf", "wb") as out:
            subprocess.run(["gzip", "-dc", xen], stdout=out, check=True)
        versions = [deb.name.removesuffix(".deb").rsplit("_", 1)[0].replace("%3a", ":").replace("_", " ", 1)
                    for deb in debs]
        (making / "versions").write_text("\n".join(versions) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    making.rename(folder)


def _kernel_elf(bzimage: bytes) -> bytes:
    """The ELF kernel inside a bzImage. Xen could decompress it as well, but emulated that costs seconds per boot."""
    at = bzimage.find(b"\xfd7zXZ\0")
    if at < 0:
        raise UserError("the kernel is not xz-compressed any more: lab/ppvmm/image.py must learn the new format")
    elf = lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(bzimage[at:])
    if elf[:4] != b"\x7fELF":
        raise UserError("what was found inside the kernel's bzImage is no ELF file")
    return elf
