"""The options of `./ppvmm bench xenstore`, apart from the benchmark itself: reading them needs no figures library."""

import argparse
from pathlib import Path

from xenstore.samples import SYSTEMS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="fewer samples: under 4 minutes instead of 12")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of all three servers in turn (default 3)")
    parser.add_argument("--only", choices=("native", "lab"), help="one of the two parts")
    parser.add_argument("--systems", default=",".join(SYSTEMS), metavar="A,B",
                        help=f"some of {','.join(SYSTEMS)} (default: all)")
    parser.add_argument("--virtual", action="store_true",
                        help="lab part with one instruction as one nanosecond: repeatable counts, one round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well as under out/")
