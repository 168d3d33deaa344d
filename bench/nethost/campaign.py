"""`./ppvmm campaign net`: random faults to a net_uk under root. The oracle: TCP streams both ways, from outside and between
guests, whose every byte is judged at the far end, and numbered packets."""

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

from campaign.classify import ERROR, REFUSED, STOPPED, UNSEEN, WRONG, Case
from campaign.host import KEEPER, SUPERVISOR_PID, Injected
from campaign.main import boots_of, conclude, over, progress
from campaign.subject import Subject
from nethost import host, loadset, loads, mix, net_faults, options, supervised
from nethost.campaign_plan import plan
from ppvmm import build, packages
from ppvmm.results import Result, new_folder
from ppvmm.session import Hung
from ppvmm.term import UserError, say

SUBJECT = Subject("net", "net_uk", "longest silence, outgoing", "longest silence of what the guest sent, around a fault")
MOMENT_LIMIT_MS = 1500  # until the moment for a fault must have come
TRIES = 4               # root may be being started again just when it is told of an injection


def run(arguments: argparse.Namespace) -> int:
    if arguments.faults < 1 or arguments.per_boot < 1 or arguments.seconds < 2:
        raise UserError("at least one fault, one in each boot, and two seconds of load", 2)
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
    cases, problems, boots = boots_of(faults, variant, arguments, folder, result, _boot)
    return conclude(result, cases, problems, boots, arguments, folder, SUBJECT)


@dataclass
class _Outcome:
    """Of one fault: what the load heard, from outside and between guests."""

    heard: mix.Heard
    between: dict
    well: bool
    stopped: list[str] = field(default_factory=list)


def _boot(left, variant, arguments, out: Path, result: Result, cases: list[Case], began: float, total: int) -> int:
    """One boot: as many faults as it survives, `per_boot` at most. Returns how many were done."""
    say(f"boot {out.name}: faults {left[0].number} to at most {left[min(arguments.per_boot, len(left)) - 1].number}")
    here = host.Host(arguments.policy, variant, out, more=("beside",))
    done: list[Case] = []
    try:
        result.versions |= here.session.versions
        here.session.put(KEEPER.encode(), "/tmp/keeper.sh", 0o755)
        here.session.start("sh /tmp/keeper.sh")
        for fault in left[:arguments.per_boot]:
            if done and over(began, arguments):
                break
            case = _one(here, fault, arguments)
            done.append(case)
            result.events.append({"t_ms": round(case.injected.xen_ns / 1e6, 3), "what": f"fault {fault.number}: {fault.name}",
                                  "component": case.injected.target})
            progress(cases, done, began, total, case.injected)
            if case.kind in (WRONG, STOPPED, ERROR):
                say(f"  fault {fault.number} ({fault.name}): {case.kind}: {'; '.join(case.reasons)[:300]}")
            if not case.injected.refused and not case.injected.healed:
                break
        if here.alive:
            (out / "history.json").write_text(here.session.run("ppvmm history --last 0 --json -", 60).out)
    finally:
        cases += done
        here.close()
    return max(1, len(done))


def _one(here: host.Host, fault, arguments) -> Case:
    seconds = arguments.seconds
    load = here.load(seconds, fault.seed, web=False)
    limit = seconds + mix.GRACE_S + 30
    beside = here.guests["beside"].start(mix.check(loads.INSIDE, seconds, fault.seed + 100, here.pressure, 2), limit)
    here.wait(fault.delay_s)
    injected = _inject(here, fault)
    outcome = _Outcome(load.finish(), _between(beside.finish()), here.well(arguments.limit))
    injected.served, injected.healed = outcome.well, outcome.well
    case = Case(fault, injected)
    case.outage_ms = round(outcome.heard.silence_ms, 3)
    if not injected.refused:
        case.incidents = [each for each in supervised.incidents(here.session) if each["seen_ns"] >= injected.dom0_ns
                          and each["outcome"] in ("repaired", "stopped", "open")]
    outcome.stopped = [f"{each['unit']}: {each['cause']}: {each['detail']}" for each in case.incidents
                       if each["outcome"] == "stopped"]
    judge(case, outcome)
    return case


def _between(said) -> dict:
    try:
        return json.loads(said.text[said.text.index("{"):])
    except ValueError:
        raise Hung(f"the load between guests said nothing of use: {said.text[-300:]}") from None


def judge(case: Case, outcome: _Outcome) -> None:
    """The class of a fault, by what the load was told and nothing else. What a network may lose are packets coming in,
    those that the device had and nobody had taken yet; what a guest has sent is to arrive."""
    heard, between = outcome.heard, outcome.between
    if heard.wrong or between["wrong"]:
        case.reasons.append(f"wrong bytes in {heard.wrong} streams from outside, {between['wrong']} between guests")
    if heard.damaged:
        case.reasons.append(f"{heard.damaged} damaged packets")
    if case.reasons:
        case.kind = WRONG
        return
    if heard.broken or between["broken"]:
        case.reasons.append(f"{heard.broken} connections from outside broken, {between['broken']} between guests")
    if heard.lost_out:
        case.reasons.append(f"{heard.lost_out} packets lost that the guest had sent")
    if not outcome.well:
        case.kind = STOPPED if outcome.stopped else WRONG
        case.reasons += outcome.stopped or ["the guest is not reached, and nothing says so"]
    elif case.injected.refused:
        # Nothing was done, so nothing may be broken: else load or judge are at fault.
        case.kind = WRONG if case.reasons else REFUSED
        case.reasons.append(case.injected.refused)
    else:
        case.kind = ERROR if case.reasons else UNSEEN


def _inject(here: host.Host, fault) -> Injected:
    injected = Injected(supervised.UNIT)
    if fault.words[0] in net_faults.FAULTS:
        done = net_faults.FAULTS[fault.words[0]](here.session, here.system, supervised.UNIT, fault.seed)
        injected.what, injected.dom0_ns, injected.xen_ns = {"what": done.what}, done.dom0_ns, done.dom0_ns
        return injected
    words = " ".join(fault.words)
    if "kill-supervisor" in fault.words:
        words += f" --supervisor {SUPERVISOR_PID}"
    command = f"ppvmm inject {supervised.UNIT} {words} --when {fault.when} --seed {fault.seed} " \
              f"--limit-ms {MOMENT_LIMIT_MS} --json -"
    for _ in range(TRIES):
        done = here.session.run(command, 30)
        try:
            told = json.loads(done.out)["injections"]
        except (ValueError, KeyError):
            told = []
        if told:
            injected.what = {"injections": told}
            injected.dom0_ns, injected.xen_ns = told[0]["dom0_ns"], told[0]["xen_ns"] or told[0]["dom0_ns"]
            return injected
        injected.refused = done.err.strip().removeprefix("ppvmm: ") or f"exit {done.code}"
        if "reach the daemon" not in injected.refused:
            return injected
        here.wait(0.3)
    return injected
