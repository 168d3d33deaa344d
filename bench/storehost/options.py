"""The options of both benchmarks, apart from them: reading these needs no figures library."""

import argparse
from pathlib import Path

SYSTEMS = ("xenstored", "oxenstored", "single", "xoar", "ppvmm")
FAULTS = ("crash", "corruption", "destroyed")


def _common(parser: argparse.ArgumentParser, systems: tuple[str, ...]) -> None:
    parser.add_argument("--systems", default=",".join(systems), metavar="A,B",
                        help=f"some of {','.join(SYSTEMS)} (default: {','.join(systems)})")
    parser.add_argument("--virtual", action="store_true",
                        help="one instruction is one nanosecond: blind to what else this machine does")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of `lab run`")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well as under out/")


def add_overhead(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--creates", type=int, default=10, metavar="N", help="creations for each system (default 10)")
    parser.add_argument("--count", type=int, default=400, metavar="N", help="latency samples of each kind (default 400)")
    _common(parser, SYSTEMS)


def add_faults(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=10, metavar="N",
                        help="creations with each fault for each system (default 10)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of everything that is drawn (default 1)")
    parser.add_argument("--only", choices=FAULTS, help="one of the faults")
    _common(parser, SYSTEMS)
