"""`./ppvmm campaign net`: random faults to a net_uk under root. The oracle: TCP streams both ways, with the world outside and
between guests, whose every byte is judged at the far end, and numbered packets (campaign_load.py). They last for a whole boot;
whose a loss is follows from when it was known (attribute.py)."""

import argparse
from pathlib import Path

from campaign import drill
from campaign.classify import Case
from campaign.host import KEEPER
from campaign.main import boots_of, conclude, listener, tell_failures
from campaign.plan import Fault
from campaign.subject import Subject
from nethost import attribute, campaign_load, host, loadset, net_faults, options, supervised
from nethost.campaign_plan import plan
from ppvmm import build, packages
from ppvmm.results import Result, new_folder
from ppvmm.term import UserError, say

SUBJECT = Subject("net", "net_uk", "longest time in which nothing got through",
                  "longest time in which no packet got there and was answered, around a fault")


def run(arguments: argparse.Namespace) -> int:
    if arguments.faults < 1 or arguments.per_boot < 1:
        raise UserError("at least one fault, and one in each boot", 2)
    first, count = (arguments.only, 1) if arguments.only is not None else (arguments.first, arguments.faults)
    faults = plan(arguments.seed, first, count)
    if arguments.list:
        for fault in faults:
            say(f"fault {fault.number}: {fault.name} [{' '.join(fault.words)}], {fault.when}, after {fault.delay_s:.2f} s, "
                f"seed {fault.seed}")
        return 0
    packages.ensure("build", "lab", "figures", "load")
    build.build("release", "net_uk", "ppvmm", "ppvmm-root", "xenstore_uk", *loadset.OURS, *loadset.DOM0_TOOLS)
    variant = host.variant(arguments.policy, options.outside_of(arguments) == "wire", arguments.virtual, arguments.set)
    result = Result("campaign-net", variant.mode)
    folder = new_folder(result.name)
    unexplained: list[str] = []

    def boot(*words) -> int:
        return _boot(*words, unexplained)
    cases, problems, boots = boots_of(faults, variant, arguments, folder, result, boot)
    return conclude(result, cases, problems + unexplained, boots, arguments, folder, SUBJECT)


def _boot(left, variant, arguments, out: Path, result: Result, cases: list[Case], began: float, total: int,
          problems: list[str]) -> int:
    """One boot: as many faults as it survives, `per_boot` at most. Returns how many were done."""
    faults = left[:arguments.per_boot]
    say(f"boot {out.name}: faults {faults[0].number} to at most {faults[-1].number}")
    done: list[Case] = []
    here = host.Host(arguments.policy, variant, out)
    try:
        result.versions |= here.session.versions
        here.session.put(KEEPER.encode(), "/tmp/keeper.sh", 0o755)
        here.session.start("sh /tmp/keeper.sh")
        campaign_load.attach(here.session, supervised.UNIT)
        here.serve_outside()
        load = campaign_load.Load(here.session, arguments.seed * 100_000 + faults[0].number)
        bar = net_faults.registers(here.session)
        drill.run(here.session, faults, [supervised.UNIT] * len(faults), [_line(fault, bar) for fault in faults], load.served,
                  arguments.limit, listener(result, cases, done, began, total, arguments))
        incidents = supervised.incidents(here.session)
        heard = load.finish()
        (out / "history.json").write_text(here.session.run("ppvmm history --last 0 --json -", 60).out)
    finally:
        here.close()
    problems += [f"{out.name}: {text}" for text in attribute.attribute(done, heard, incidents)]
    cases += done
    tell_failures(done)
    say(f"  boot over: {len(done)} faults, {heard.packets} packets and {heard.bytes} bytes of streams judged")
    return len(done)


def _line(fault: Fault, bar: str) -> str:
    if fault.words[0] in net_faults.FAULTS:
        return drill.command_line(fault, net_faults.command_of(fault.words[0], supervised.UNIT, bar, fault.seed))
    return drill.line(fault, supervised.UNIT)
