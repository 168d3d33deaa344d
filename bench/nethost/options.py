"""The options of both benchmarks, apart from them: reading these needs no figures library."""

import argparse
from pathlib import Path

# In the order of tables and colours. Policies are words of root's configuration.
BACKENDS = ("linux-dom0", "linux-domain", "net_uk")
POLICIES = ("fg", "cg", "tfd", "xoar")
FAULTS = ("rehearsed", "driver data", "driver code", "device reset", "device stuck", "netback code", "vCPU stopped", "destroyed")
DEFAULT_FAULTS = ("driver data", "driver code", "device stuck", "destroyed")
OUTSIDES = ("lan", "wire")


def _common(parser: argparse.ArgumentParser, known: tuple[str, ...], systems: tuple[str, ...]) -> None:
    parser.add_argument("--systems", default=",".join(systems), metavar="A,B",
                        help=f"some of {','.join(known)} (default: {','.join(systems)})")
    parser.add_argument("--virtual", action="store_true",
                        help="one instruction is one nanosecond: blind to what else this machine does, and to overlap")
    parser.add_argument("--outside", choices=OUTSIDES,
                        help="where load comes from: lan, a namespace of this machine; wire, a guest with a card of its own"
                             " (default: lan, and wire with --virtual)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of `lab run`")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well as under out/")


def add_overhead(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, metavar="N",
                        help="turns of all systems (default 3; 1 with --virtual, which repeats itself)")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="of each load, whole ones for iperf3 (default 1)")
    _common(parser, BACKENDS, BACKENDS)


def add_faults(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="of each fault for each system (default 1)")
    parser.add_argument("--seconds", type=float, default=8.0, metavar="S",
                        help="of load around each fault, which comes after a quarter of it (default 8)")
    parser.add_argument("--faults", default=",".join(DEFAULT_FAULTS), metavar="A,B",
                        help=f"some of {', '.join(FAULTS)} (default: {', '.join(DEFAULT_FAULTS)}); rehearsed: one"
                             " in netback's code, but nothing is changed")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of everything that is drawn (default 1)")
    _common(parser, (*POLICIES, *BACKENDS[:2]), ("linux-dom0", "linux-domain", "cg", "fg"))


def add_campaign(parser: argparse.ArgumentParser) -> None:
    from campaign import options as shared
    shared.add_arguments(parser)
    parser.add_argument("--policy", choices=POLICIES, default="fg", help="of root (default fg)")
    parser.add_argument("--virtual", action="store_true", help="as of `bench net-faults`")
    parser.add_argument("--outside", choices=OUTSIDES, help="as of `bench net-faults`")


def outside_of(arguments) -> str:
    return arguments.outside or ("wire" if arguments.virtual else "lan")
