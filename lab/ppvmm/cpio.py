"""Writes initramfs archives: the "newc" format of Linux' Documentation/driver-api/early-userspace/buffer-format.

Archives are reproducible: owner root, time zero, entries in the order given.
"""

import stat
from pathlib import Path


class Archive:
    """Collects entries, then `bytes()`. Folders above an entry are made on demand."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._seen: set[str] = set()
        self._inode = 0

    def folder(self, name: str, mode: int = 0o755) -> None:
        name = name.strip("/")
        if not name or name in self._seen:
            return
        self._above(name)
        self._entry(name, stat.S_IFDIR | mode, b"")

    def file(self, name: str, data: bytes | str, mode: int = 0o644) -> None:
        name = name.strip("/")
        self._above(name)
        self._entry(name, stat.S_IFREG | mode, data.encode() if isinstance(data, str) else data)

    def link(self, name: str, target: str) -> None:
        name = name.strip("/")
        self._above(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name: str, major: int, minor: int, mode: int = 0o600) -> None:
        name = name.strip("/")
        self._above(name)
        self._entry(name, stat.S_IFCHR | mode, b"", (major, minor))

    def copy(self, name: str, source: Path) -> None:
        """A file with the source's permission bits."""
        self.file(name, source.read_bytes(), stat.S_IMODE(source.stat().st_mode))

    def bytes(self) -> bytes:
        """The archive with its trailer, padded to a whole page so that archives can be concatenated."""
        whole = b"".join(self._parts) + self._header("TRAILER!!!", 0, b"", (0, 0), 0)
        return whole + b"\0" * (-len(whole) % 4096)

    def _above(self, name: str) -> None:
        parent = name.rpartition("/")[0]
        if parent:
            self.folder(parent)

    def _entry(self, name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> None:
        self._seen.add(name)
        self._inode += 1
        self._parts.append(self._header(name, mode, data, device, self._inode))

    @staticmethod
    def _header(name: str, mode: int, data: bytes, device: tuple[int, int], inode: int) -> bytes:
        raw = name.encode() + b"\0"
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
        head += b"\0" * (-len(head) % 4)
        return head + data + b"\0" * (-len(data) % 4)
