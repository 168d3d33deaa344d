"""The command line of ./ppvmm: what it understands, and where that goes."""

import argparse
import importlib
import os
import signal
import sys
from pathlib import Path

from ppvmm import build, packages
from ppvmm.paths import ROOT
from ppvmm.term import UserError, say

HELP = """\
PpVMM: dom0's services as self-healing C++ unikernels on stock Xen.

Every command first brings what it needs (Debian packages, a build, the emulated machine's software) and says
what it does meanwhile."""


ON_HOST = {  # commands of dom0's own tool (src/root/tool), reached from here as well
    "status": "show the unikernels of this host and what watches them",
    "history": "every fault that root saw on this host, and what it did about it",
    "inject": "do a fault to a unikernel of this host, from outside",
}
CAPABILITIES = Path("/proc/xen/capabilities")  # says control_d in dom0


def main() -> int:
    # A closed pipe (./ppvmm ... | head) ends the command quietly; Ctrl-C as well.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, _ended)
    parser = _parser()
    arguments = parser.parse_args()
    try:
        return arguments.function(arguments) or 0
    except UserError as error:
        print(f"ppvmm: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("ppvmm: interrupted", file=sys.stderr)
        return 130


def _ended(*_) -> None:
    """SIGTERM reaches this process alone: without it emulated machines would run on for ever."""
    from ppvmm import qemu
    qemu.kill_all()
    raise SystemExit(128 + signal.SIGTERM)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ppvmm", description=HELP,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(metavar="command", required=True)

    command = commands.add_parser("setup", help="bring everything the other commands need")
    command.add_argument("--refresh", action="store_true", help="look for newer packages of the emulated machine")
    command.set_defaults(function=_setup)

    command = commands.add_parser("build", help="build tools, unikernel images and tests")
    command.add_argument("--preset", choices=build.PRESETS, default="release")
    command.add_argument("targets", nargs="*", help="CMake targets; nothing: everything")
    command.set_defaults(function=_build)

    command = commands.add_parser("demo", help="boot a real Xen host on XenStore_uk and show what happens")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well as under out/")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of `lab run`")
    command.set_defaults(function=_demo)

    command = commands.add_parser("test", help="run test suites (none named: all)")
    command.add_argument("suite", nargs="*")
    command.add_argument("--quick", action="store_true", help="host suites only, in their short form (< 3 minutes)")
    command.add_argument("--list", action="store_true", help="name the suites")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well as under out/")
    command.set_defaults(function=_test)

    command = commands.add_parser("lint", help="check layout, static analysis, shell and Python of the whole tree")
    command.set_defaults(function=_lint)

    for name, text in ON_HOST.items():
        command = commands.add_parser(name, help=f"{text} (on a Xen host)", add_help=False)
        command.add_argument("words", nargs=argparse.REMAINDER)
        command.set_defaults(function=_on_host, name=name)

    sys.path.insert(0, str(ROOT / "bench"))
    benches = commands.add_parser("bench", help="measure us and the others side by side")
    verbs = benches.add_subparsers(metavar="subject", required=True)
    command = verbs.add_parser("xenstore", help="C xenstored, oxenstored and ours: natively and on real Xen")
    importlib.import_module("xenstore.options").add_arguments(command)
    command.set_defaults(function=lambda arguments: importlib.import_module("xenstore.main").run(arguments))

    command = verbs.add_parser("xenstore-overhead", help="what each XenStore costs a host while nothing goes wrong (E2)")
    importlib.import_module("storehost.options").add_overhead(command)
    command.set_defaults(function=lambda arguments: importlib.import_module("storehost.overhead").run(arguments))

    command = verbs.add_parser("xenstore-faults", help="creations during which the XenStore fails (E1)")
    importlib.import_module("storehost.options").add_faults(command)
    command.set_defaults(function=lambda arguments: importlib.import_module("storehost.faults").run(arguments))

    command = verbs.add_parser("net-overhead", help="what each network back-end gives and costs while nothing goes wrong (E5)")
    importlib.import_module("nethost.options").add_overhead(command)
    command.set_defaults(function=lambda arguments: importlib.import_module("nethost.overhead").run(arguments))

    command = verbs.add_parser("net-faults", help="network back-ends that fail under load (E3)")
    importlib.import_module("nethost.options").add_faults(command)
    command.set_defaults(function=lambda arguments: importlib.import_module("nethost.faults").run(arguments))

    campaigns = commands.add_parser("campaign", help="random faults under a mixed load, and what came of each")
    verbs = campaigns.add_subparsers(metavar="subject", required=True)
    command = verbs.add_parser("xenstore", help="faults from outside on XenStore_uk and root")
    importlib.import_module("campaign.options").add_arguments(command)
    command.set_defaults(function=lambda arguments: importlib.import_module("campaign.main").run(arguments))

    command = verbs.add_parser("net", help="faults from outside on net_uk, its card and root")
    importlib.import_module("nethost.options").add_campaign(command)
    command.set_defaults(function=lambda arguments: importlib.import_module("nethost.campaign").run(arguments))

    lab = commands.add_parser("lab", help="run scenarios on real Xen, emulated")
    verbs = lab.add_subparsers(metavar="verb", required=True)
    command = verbs.add_parser("run", help="boot a scenario, run it, judge it")
    command.add_argument("scenario", help="a name that `lab list` shows, or the path of a .toml file")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well as under out/")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                         help="change the machine: xenstore, mode, cpus, memory, devices, ...")
    command.set_defaults(function=_lab_run)
    command = verbs.add_parser("shell", help="an interactive dom0 on this terminal")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of `lab run`")
    command.set_defaults(function=_lab_shell)
    command = verbs.add_parser("list", help="name the scenarios")
    command.set_defaults(function=_lab_list)
    return parser


def _setup(arguments) -> int:
    from ppvmm.image import image
    packages.ensure("build", "lab", "test", "lint", "figures")
    say(f"the emulated machine's software is in {image(arguments.refresh).folder}")
    return 0


def _build(arguments) -> int:
    packages.ensure("build", "test")
    build.build(arguments.preset, *arguments.targets)
    return 0


def _on_host(arguments) -> int:
    if not CAPABILITIES.exists() or "control_d" not in CAPABILITIES.read_text():
        code = importlib.import_module("ppvmm.door").knock([arguments.name, *arguments.words])
        if code is None:
            raise UserError(f"{arguments.name} is for a Xen host's dom0, and this machine is none; it also reaches into "
                            "an emulated one, while `./ppvmm lab shell --set xenstore=ppvmm` runs in another terminal")
        return code
    tool = build.folder() / "bin" / "ppvmm"
    if not tool.exists():
        raise UserError("the tool is not built yet: ./ppvmm build ppvmm")
    os.execv(tool, [str(tool), arguments.name, *arguments.words])


def _demo(arguments) -> int:
    packages.ensure("build", "lab")
    return importlib.import_module("ppvmm.demo").run(arguments.json, arguments.set)


def _test(arguments) -> int:
    suites = importlib.import_module("ppvmm.suites")
    if arguments.list:
        print(suites.listing())
        return 0
    return suites.run(arguments.suite, arguments.quick, arguments.json)


def _lint(_arguments) -> int:
    lint = importlib.import_module("ppvmm.lint")
    packages.ensure("build", "test", "lint")
    count = lint.run()
    for note in count.notes:
        print(note)
    print(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


def _lab_run(arguments) -> int:
    packages.ensure("build", "lab")
    scenario = importlib.import_module("ppvmm.scenario")
    chosen = scenario.load(arguments.scenario)
    chosen.variant.apply(arguments.set)
    outcome = scenario.run(chosen, arguments.json)
    for problem in outcome.problems:
        say(f"PROBLEM: {problem}")
    say(f"{chosen.name}: {'ok' if outcome.ok else 'FAILED'}; logs and result in {outcome.folder}")
    return 0 if outcome.ok else 1


def _lab_shell(arguments) -> int:
    packages.ensure("build", "lab")
    return importlib.import_module("ppvmm.shell").run(arguments.set)


def _lab_list(_arguments) -> int:
    scenario = importlib.import_module("ppvmm.scenario")
    for name in scenario.names():
        one = scenario.load(name)
        print(f"{name:24} {one.suite:12} xenstore={one.variant.xenstore:10} {one.summary}")
    return 0
