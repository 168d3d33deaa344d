"""E2 for people: tables with the paper's figures beside ours, and figures."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

from storehost import paper, requests  # noqa: E402
from storehost.hosts import COLOURS, NAMES, figure  # noqa: E402

LATENCIES = ("dom0 read", "dom0 write", "guest read", "guest write")


def _records(result) -> dict:
    return {(each["system"], each["metric"]): each for each in result.records()}


def table(result, systems: list[str], counted: dict) -> str:
    records = _records(result)
    base = records.get(("xenstored", "creation"))
    lines = [f"{'':20}{'creation s':>12}{'p95':>8}{'n':>4}{'/ C xenstored':>15}{'paper s':>10}{'paper /':>9}"]
    for system in systems:
        record = records.get((system, "creation"))
        if not record:
            continue
        ratio = f"{record['mean'] / base['mean']:.3f}" if base else "-"
        theirs = paper.CREATION_S.get(system)
        relative = f"{theirs / paper.CREATION_S['xenstored']:.3f}" if theirs else "-"
        lines.append(f"{NAMES[system]:20}{record['mean']:12.3f}{record['p95']:8.3f}{record['n']:4}{ratio:>15}"
                     f"{theirs or '-':>10}{relative:>9}")
    lines += ["", f"{'latency, us':20}" + "".join(f"{name + ' mean':>18}{'p95':>8}{'p99':>8}" for name in LATENCIES)]
    for system in systems:
        cells = ""
        for name in LATENCIES:
            record = records.get((system, name))
            cells += f"{record['mean']:18.0f}{record['p95']:8.0f}{record['p99']:8.0f}" if record else f"{'-':>18}{'':16}"
        lines.append(f"{NAMES[system]:20}{cells}")
    lines.append("paper: Xen and PpVMM read <= 160, write <= 250; Xoar read 1611 / 27 000 / 30 000, "
                 "write 1719 / 27 000 / 31 000")
    if counted:
        lines += ["", f"{'requests of':14}{'all':>6}{'writes':>8}{'reads':>7}{'other':>7}{'share of writes':>17}{'paper':>7}"]
        for name, counts in counted.items():
            writes = sum(counts[kind] for kind in requests.WRITES)
            reads = sum(counts[kind] for kind in requests.READS)
            everything = sum(counts.values())
            lines.append(f"{name:14}{everything:6}{writes:8}{reads:7}{everything - writes - reads:7}"
                         f"{requests.share_of_writes(counts):17.0%}{paper.REQUESTS.get(name, '-'):>7}")
        lines.append(f"paper: share of writes of a creation {paper.CREATE_WRITES:.0%}; its 24 are a migration's")
    lines += ["", "Targets"]
    for target in result.targets:
        lines.append(f"  {'met   ' if target['met'] else 'MISSED'} {target['name']}: {target['value']} "
                     f"(target {target['target']})")
    return "\n".join(lines)


def figures(result, systems: list[str]) -> dict[str, str]:
    records = _records(result)
    shown = [system for system in systems if (system, "creation") in records]
    if not shown:
        return {}
    made, axes = plt.subplots(figsize=(7, 3))
    for at, system in enumerate(shown):
        axes.bar(at, records[(system, "creation")]["mean"], 0.6, color=COLOURS[system])
    axes.set_xticks(range(len(shown)), [NAMES[system] for system in shown], fontsize=8)
    axes.set_ylabel("xl create, mean, s")
    drawn = {"creation": figure(made)}
    made, all_axes = plt.subplots(1, len(LATENCIES), figsize=(11, 3.2))
    for axes, name in zip(all_axes, LATENCIES):
        for index, system in enumerate(shown):
            record = records.get((system, name))
            for group, statistic in enumerate(("mean", "p95", "p99")):
                if record:
                    axes.bar(group + (index - len(shown) / 2) * 0.15, record[statistic], 0.14, color=COLOURS[system],
                             label=NAMES[system] if not group else None)
        axes.set_xticks((0, 1, 2), ("mean", "p95", "p99"))
        axes.set_title(name, fontsize=10)
    all_axes[0].set_ylabel("us")
    all_axes[-1].legend(frameon=False, fontsize=7)
    drawn["latency"] = figure(made)
    return drawn
