"""What is brought into the machine for loads: an archive of load programs for guests, and one that makes a guest a Linux
driver domain."""

import shutil
from pathlib import Path

from ppvmm import build, initramfs
from ppvmm.cpio import Archive
from ppvmm.elf import closure
from ppvmm.image import Image, image
from ppvmm.paths import LAB
from ppvmm.term import UserError

HERE = Path(__file__).parent
OURS = ("netload", "udpseq")             # static, and outside as well
DEBIAN = ("iperf3", "ab")                # of the [load] packages on this machine
DOM0_TOOLS = ("ppvmm-domlook",)
DRIVER_MODULES = ["xen-evtchn", "xen-gntdev", "xen-privcmd", "xenfs", "xen-netback", "bridge", "e1000e", "xen-pcifront"]
LIBRARIES = "usr/lib/x86_64-linux-gnu"


def where(program: str) -> Path:
    found = shutil.which(program)
    if not found:
        raise UserError(f"{program} is not installed, though the packages of group [load] are")
    return Path(found).resolve()


def load_archive() -> bytes:
    archive = Archive()
    for name in OURS:
        archive.file(f"lab/bin/{name}", build.output(name).read_bytes(), 0o755)
    programs = [where(name) for name in DEBIAN]
    for name, path in zip(DEBIAN, programs):
        archive.file(f"lab/bin/{name}", path.read_bytes(), 0o755)
    for name, path in sorted(closure(programs, image().library_folders()).items()):
        archive.file(f"{LIBRARIES}/{name}", path.read_bytes(), 0o755)
    archive.link("usr/lib64/ld-linux-x86-64.so.2", f"../lib/x86_64-linux-gnu/{_loader(image())}")
    return archive.bytes()


def _loader(software: Image) -> str:
    return next(path.name for folder in software.library_folders() for path in folder.glob("ld-linux-x86-64.so.2"))


def driver_archive() -> bytes:
    """xl with what it needs, and the modules of a back-end."""
    software = image()
    builder = initramfs.Builder(software)
    builder.program("usr/sbin/xl", software.root / initramfs.XEN_BIN / "xl")
    builder.modules(DRIVER_MODULES, "etc/modules.driver")
    builder.archive.copy("etc/xen/xl.conf", software.root / "etc/xen/xl.conf")
    builder.archive.copy("lab/vif-plain", LAB / "scenarios/net/vif-plain")
    return builder.archive.bytes()


def files(folder: Path) -> dict[str, Path]:
    """Writes the archives below `folder`; what of it goes where in dom0."""
    folder.mkdir(parents=True, exist_ok=True)
    load, driver = folder / "load.cpio", folder / "driver.cpio"
    load.write_bytes(load_archive())
    driver.write_bytes(driver_archive())
    return {"/lab/load.cpio": load, "/lab/driver.cpio": driver, "/lab/place.sh": HERE / "guests/place.sh",
            "/lab/driver.sh": HERE / "guests/driver.sh", "/lab/vif-plain": LAB / "scenarios/net/vif-plain"}
