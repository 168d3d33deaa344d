"""E3 for people: the table with the paper's figures beside ours, the targets, and the rate over time."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

from nethost import mix, paper  # noqa: E402
from nethost.backends import COLOURS, NAMES  # noqa: E402
from ppvmm.term import say  # noqa: E402
from storehost.hosts import figure  # noqa: E402

NONE = "no fault"
CRASHES = ("driver data", "driver code")
COLUMNS = (("detected ms", "detection", "mean", 12), ("recovered ms", "recovery", "mean", 13),
           ("silent ms", "longest silence", "mean", 11), ("lost out", "lost, outgoing", "sum", 10),
           ("lost in", "lost, incoming", "sum", 9), ("twice", "duplicated", "sum", 7),
           ("TCP broken", "TCP connections broken", "sum", 12), ("wrong", "TCP streams with wrong bytes", "sum", 7),
           ("ab /s", "ab", "mean", 9), ("p50 ms", "ab, p50", "mean", 9), ("p99 ms", "ab, p99", "mean", 9))
SHOWN_MS = 50  # width of a point of the figure


def _records(result) -> dict:
    return {(each["system"], each["metric"]): each for each in result.records()}


def _cell(record: dict | None, statistic: str) -> str:
    if record is None:
        return "-"
    if statistic == "sum":
        return f"{record['mean'] * record['n']:.0f}"
    value = record[statistic]
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def table(result, systems: list[str], faults: list[str]) -> str:
    records = _records(result)
    lines = []
    for fault in (NONE, *faults):
        rows = [system for system in systems if (system, f"{fault}: longest silence") in records]
        if not rows:
            continue
        lines.append(f"{fault:22}" + "".join(f"{head:>{width}}" for head, _, _, width in COLUMNS) + f"{'served again':>14}")
        for system in rows:
            again = records[system, f"{fault}: served again"]
            lines.append(f"{NAMES[system]:22}" + "".join(
                f"{_cell(records.get((system, f'{fault}: {metric}')), statistic):>{width}}"
                for _, metric, statistic, width in COLUMNS)
                + f"{round(again['mean'] * again['n']):>10}/{again['n']}")
        if fault in CRASHES:
            lines += [_paper_row(system) for system in ("fg", "cg", "tfd", "xoar")]
        lines.append("")
    lines.append("paper: a crash of the NIC driver, its own load and hardware. HPL-2009-115: most drivers back in under 10 ms")
    load = mix.PRESSURE[result.mode]
    lines.append(f"load: {load.udp_rate} numbered packets/s each way, {load.connections} TCP streams each way with every byte "
                 f"judged, ab with {load.clients} clients")
    lines += ["", "Targets"]
    lines += [f"  {'met   ' if target['met'] else 'MISSED'} {target['name']}: {target['value']} (target {target['target']})"
              for target in result.targets]
    return "\n".join(lines)


def _paper_row(system: str) -> str:
    cells = {"detection": f"{paper.DETECTION_MS[system]:g}", "recovery": f"{paper.RECOVERY_MS[system]:g}",
             "lost, outgoing": str(paper.LOST_OUTGOING[system]), "TCP connections broken": paper.SESSIONS[system],
             "ab": f"{paper.AB_WITH_FAULT[system]:g}"}
    return f"{'paper, ' + NAMES[system]:22}" + "".join(f"{cells.get(metric, ''):>{width}}" for _, metric, _, width in COLUMNS)


def targets(result) -> None:
    """Of ours, of the records of this run and nothing else."""
    records = _records(result)

    def judge(name: str, system: str, fault: str, metric: str, limit: float, statistic: str = "mean") -> None:
        record = records.get((system, f"{fault}: {metric}"))
        if record:
            value = round(record[statistic], 3)
            result.add_target(f"{name} ({system})", f"<= {limit:g}", value, value <= limit)
    judge("driver crash: detection, ms", "fg", "driver data", "detection", 1)
    judge("driver hang: detection, ms", "fg", "device stuck", "detection", 20)
    judge("driver crash: recovery, ms", "fg", "driver data", "recovery", 20)
    judge("driver hang: recovery, ms", "fg", "device stuck", "recovery", 20)
    judge("netback: recovery, ms", "fg", "netback code", "recovery", 5)
    for fault in ("vCPU stopped", "destroyed"):
        judge(f"whole net_uk, {fault}: to the next packet, ms", "fg", fault, "longest silence", 60, "max")
    for system in ("fg", "cg"):
        faults = [metric.split(":")[0] for owner, metric in records if owner == system and metric.endswith(": lost, outgoing")]
        for fault in faults:
            judge(f"{fault}: outgoing packets lost", system, fault, "lost, outgoing", 0, "max")
            judge(f"{fault}: TCP connections broken", system, fault, "TCP connections broken", 0, "max")
            judge(f"{fault}: wrong bytes", system, fault, "TCP streams with wrong bytes", 0, "max")
        without = records.get((system, f"{NONE}: ab"))
        for fault in faults:
            record = records.get((system, f"{fault}: ab"))
            if record and without and fault != NONE:
                ratio = round(record["mean"] / without["mean"], 4)
                result.add_target(f"{fault}: ab with / without ({system})", ">= 0.98", ratio, ratio >= 0.98)


def figures(rounds: list, systems: list[str], faults: list[str], seconds: float, rate: int) -> dict[str, str]:
    """What reached the outside over time, one picture for each fault."""
    shown = [fault for fault in faults if any(each.fault == fault for each in rounds)]
    if not shown:
        return {}
    made, all_axes = plt.subplots(len(shown), 1, figsize=(9, 1.9 * len(shown)), squeeze=False, sharex=True)
    width = SHOWN_MS // mix.BIN_MS
    for axes, fault in zip(all_axes[:, 0], shown):
        for system in systems:
            one = next((each for each in rounds if (each.system, each.fault) == (system, fault)), None)
            if not one:
                continue
            bins = one.heard.bins + [0] * (int(seconds * 1000 / mix.BIN_MS) - len(one.heard.bins))
            points = [sum(bins[at:at + width]) * 1000 / SHOWN_MS for at in range(0, len(bins) - width + 1, width)]
            axes.plot([at * SHOWN_MS / 1000 for at in range(len(points))], points, color=COLOURS[system], linewidth=1,
                      label=NAMES[system])
            axes.axvline(one.at_s, color="#b3261e", linewidth=0.5, linestyle=":")
        axes.set_title(f"{fault}: packets/s that the guest's receivers got", fontsize=8)
        axes.set_ylim(0, rate * 3)
    all_axes[0][0].legend(frameon=False, fontsize=7, ncol=len(systems), loc="upper right")
    all_axes[-1][0].set_xlabel("seconds of load; dotted: about when the fault was done")
    return {"rate": figure(made)}


def conclude(result, systems, faults, rounds, problems, arguments, folder) -> int:
    targets(result)
    measured = {each.system for each in rounds}
    wrong = sum(each.heard.wrong + each.heard.damaged for each in rounds if each.system in ("fg", "cg"))
    result.ok = not problems and not wrong and all(system in measured for system in systems)
    result.extra = {"problems": problems, "seed": arguments.seed, "seconds": arguments.seconds,
                    "rates": [{"system": each.system, "fault": each.fault, "what": each.what, "cause": each.seen.cause,
                               "bin_ms": mix.BIN_MS, "bins": each.heard.bins, "ab_per_s": each.heard.web_bins}
                              for each in rounds],
                    "paper": {"detection_ms": paper.DETECTION_MS, "recovery_ms": paper.RECOVERY_MS,
                              "lost_outgoing": paper.LOST_OUTGOING, "ab": paper.AB_WITH_FAULT}}
    result.write(folder, arguments.json)
    text = table(result, systems, faults)
    (folder / "table.txt").write_text(text + "\n")
    for name, svg in figures(rounds, systems, faults, arguments.seconds, mix.PRESSURE[result.mode].udp_rate).items():
        (folder / f"{name}.svg").write_text(svg)
    print(text)
    for problem in problems:
        say(f"PROBLEM: {problem}")
    say(f"numbers and figures: {folder}")
    return 0 if result.ok else 1
