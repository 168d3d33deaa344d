"""Where a unikernel's functions and tables lie, by their names in the source: for doing harm to exactly them."""

import functools
import re
import subprocess

from ppvmm import build
from ppvmm.term import UserError


@functools.cache
def symbols(image: str) -> dict[str, int]:
    """Addresses in a built image, by demangled name."""
    path = build.output(image)
    debug = path.with_name(path.name + ".debug")
    done = subprocess.run(["nm", "-C", debug if debug.exists() else path], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"the symbols of {image} cannot be read: {done.stderr.strip()}")
    return {name: int(address, 16) for address, name in re.findall(r"^([0-9a-f]+) \w (.*)$", done.stdout, re.MULTILINE)}


def address_of(image: str, beginning: str) -> int:
    """Of the first symbol that begins so."""
    found = [address for name, address in symbols(image).items() if name.startswith(beginning)]
    if not found:
        raise UserError(f"{image} has no symbol that begins with {beginning!r}")
    return found[0]
