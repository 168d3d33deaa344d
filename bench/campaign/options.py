"""The options of `./ppvmm campaign xenstore`, apart from the campaign itself: reading them needs no figures library."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faults", type=int, default=50, metavar="N", help="how many (default 50)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of everything that is drawn (default 1)")
    parser.add_argument("--per-boot", type=int, default=100, metavar="N",
                        help="faults in one boot, unless one ends it (default 100)")
    parser.add_argument("--only", type=int, metavar="K", help="fault number K alone, as it was drawn in the whole campaign")
    parser.add_argument("--first", type=int, default=0, metavar="K", help="begin with fault number K (default 0)")
    parser.add_argument("--limit", type=float, default=20.0, metavar="SECONDS",
                        help="how long every client may wait to be served again (default 20)")
    parser.add_argument("--minutes", type=float, metavar="M", help="begin no boot and no fault after M minutes")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of `lab run`")
    parser.add_argument("--list", action="store_true", help="print the faults and do nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well as under out/")
