#!/usr/bin/env python3
"""Writes the seeds of the fuzz corpora: short, readable inputs from which the fuzzer goes on."""

import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).parent / "corpus"


def request(selector: int, kind: int, payload: bytes, transaction: int = 0) -> bytes:
    """A well-formed request in the wire target's script."""
    return bytes([0x70 | selector, kind, transaction, len(payload)]) + payload


def wire() -> dict[str, bytes]:
    write, read, watch, rm = 11, 2, 4, 13
    home = b"/local/domain/1"
    make = request(0, 12, home + b"\0") + request(0, 14, home + b"\0n1\0")
    return {
        "tree": make + request(3, write, b"a/b\0x") + request(3, read, b"a/b\0") + request(3, rm, b"a\0"),
        "watch": make + request(3, watch, b"a\0t\0") + request(3, write, b"a\0x") + b"\x13",
        "transaction": make + request(3, 6, b"\0") + request(3, write, b"a\0x", 1) + request(3, 7, b"T\0", 1),
        "life": make + request(0, 8, b"1\0" b"1\0" b"1\0") + b"\x30\x40\x50\x60" + request(0, 9, b"1\0"),
        "raw": b"\x03\x10" + struct.pack("<4I", read, 1, 0, 2) + b"\x03\x02a\0",
        "long": b"\x03\x10" + struct.pack("<4I", read, 1, 0, 5000),
    }


def ring() -> dict[str, bytes]:
    message = struct.pack("<4I", 2, 1, 0, 6) + b"/tool\0"
    return {
        "read": b"\x00\x00" + bytes([len(message)]) + message + b"\x00\x00\x00",
        "hostile": b"\x08\x04\x04" + struct.pack("<I", 0xFFFFFFFF),
        "reconnect": b"\x08\x14\x04" + struct.pack("<I", 1) + b"\x00\x03\x00",
    }


def netback() -> dict[str, bytes]:
    def at(what: int, offset: int, data: bytes) -> bytes:
        return bytes([what]) + struct.pack(">H", offset) + bytes([len(data)]) + data

    request = struct.pack("<IHHHH", 100, 0, 0, 0, 60)
    endless = struct.pack("<IHHHH", 100, 0, 4, 0, 60)
    return {
        "send": at(0, 64, request) + at(0x80, 0, struct.pack("<I", 1)),
        "indexes": at(0x80, 0, struct.pack("<I", 0x80000000)) + at(3, 0, struct.pack("<I", 0xFFFFFFFF)),
        "chain": b"".join(at(0, 64 + 12 * i, endless) for i in range(40)) + at(0x80, 0, struct.pack("<I", 40)),
        "reborn": bytes([4, 2, 3, 20, 9, 0]) + b"\x87" + at(0, 24, struct.pack("<II", 5, 5 ^ 0x5050764D)) + b"\x87",
        "grants": bytes([5, 0, 5, 1, 4, 2, 3, 100, 9, 0, 4, 255, 3, 2, 250, 9]) + b"\x86",
    }


def main() -> int:
    for target, seeds in {"wire": wire(), "ring": ring(), "netback": netback()}.items():
        folder = HERE / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (folder / name).write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
