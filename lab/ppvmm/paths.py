"""Where things are: the tree, the cache outside it, and the folder of results."""

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "lab"
OUT = ROOT / "out"
SCENARIOS = LAB / "scenarios"


def cache() -> Path:
    """The cache folder: downloads and built images, named by what they hold."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "ppvmm"


def digest(*parts: bytes | str) -> str:
    """A short name for content: the first 16 hex digits of SHA-256 over the parts and their lengths."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "little"))
        total.update(data)
    return total.hexdigest()[:16]


def file_digest(path: Path) -> str:
    """As `digest`, of one file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
