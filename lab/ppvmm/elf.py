"""Reads from an ELF file which shared libraries it needs, and finds them and theirs.

Only what that takes of the ELF-64 format (gABI, chapters 4 and 5): nothing is executed.
"""

import struct
from pathlib import Path

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NEEDED, DT_STRTAB = 1, 5


class Missing(Exception):
    """A needed library was found in none of the folders searched."""


def needed(data: bytes) -> tuple[str | None, list[str]]:
    """The interpreter's path (None for a static file) and the names of the needed libraries."""
    if data[:4] != b"\x7fELF" or data[4] != 2:
        return None, []
    phoff, = struct.unpack_from("<Q", data, 32)
    phentsize, phnum = struct.unpack_from("<HH", data, 54)
    loads, dynamic, interpreter = [], None, None
    for index in range(phnum):
        kind, _, offset, vaddr, _, filesz = struct.unpack_from("<IIQQQQ", data, phoff + index * phentsize)
        if kind == PT_LOAD:
            loads.append((vaddr, offset, filesz))
        elif kind == PT_DYNAMIC:
            dynamic = (offset, filesz)
        elif kind == PT_INTERP:
            interpreter = data[offset:offset + filesz].rstrip(b"\0").decode()
    if dynamic is None:
        return None, []
    entries = [struct.unpack_from("<QQ", data, at) for at in range(dynamic[0], sum(dynamic), 16)]
    strings = next(value for tag, value in entries if tag == DT_STRTAB)
    base = next(offset + strings - vaddr for vaddr, offset, size in loads if vaddr <= strings < vaddr + size)
    names = []
    for tag, value in entries:
        if tag == DT_NEEDED:
            start = base + value
            names.append(data[start:data.index(b"\0", start)].decode())
    return interpreter, names


def closure(files: list[Path], folders: list[Path]) -> dict[str, Path]:
    """All libraries that `files` need, directly or not: name -> file, searched in `folders` in order."""
    found: dict[str, Path] = {}
    queue = list(files)
    while queue:
        current = queue.pop()
        _, names = needed(current.read_bytes())
        for name in names:
            if name in found:
                continue
            path = next((folder / name for folder in folders if (folder / name).exists()), None)
            if path is None:
                raise Missing(f"{current} needs {name}, found in none of {', '.join(map(str, folders))}")
            found[name] = path
            queue.append(path)
    return found
