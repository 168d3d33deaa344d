"""E5 for people: the table with the paper's figures beside ours, the targets, and figures."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

from nethost import paper  # noqa: E402
from nethost.backends import COLOURS, NAMES  # noqa: E402
from nethost.overhead_targets import LATENCIES, PACKETS, STREAMS, ratio_of, records_of, targets  # noqa: E402
from ppvmm.term import say  # noqa: E402
from storehost.hosts import figure  # noqa: E402

def table(result, systems: list[str]) -> str:
    records = records_of(result)
    metrics = list(dict.fromkeys(each["metric"] for each in result.records()))
    width = max((len(metric) for metric in metrics), default=10) + 12
    lines = [" " * width + "".join(f"{NAMES[system]:>22}" for system in systems) + f"{'net_uk / better':>18}"]
    for metric in metrics:
        unit = next(each["unit"] for each in result.records() if each["metric"] == metric)
        cells = "".join(f"{_number(records.get((system, metric))):>22}" for system in systems)
        more = unit in ("Mbit/s", "packets/s", "1/s")
        ratio = ratio_of(records, metric, more)
        lines.append(f"{f'{metric} [{unit}]':{width}}{cells}{f'{ratio:.2f}' if ratio is not None else '-':>18}")
    lines += ["", "mean of the rounds (spread)", *paper.overhead_lines(), "", "Targets"]
    lines += [f"  {'met   ' if target['met'] else 'MISSED'} {target['name']}: {target['value']} (target {target['target']})"
              for target in result.targets]
    return "\n".join(lines)


def _number(record: dict | None) -> str:
    if record is None:
        return "-"
    mean = f"{record['mean']:.4g}" if record["mean"] < 10_000 else f"{record['mean']:.0f}"
    if record["n"] < 2 or not record["mean"]:
        return mean
    return f"{mean} (±{(record['max'] - record['min']) / 2 / record['mean']:.0%})"


def figures(result, systems: list[str]) -> dict[str, str]:
    records = records_of(result)
    groups = {"throughput": (STREAMS, "Mbit/s"), "packets": (PACKETS, "packets/s"),
              "cpu": (tuple(f"CPU, {name}" for name in STREAMS), "s/GB"), "latency": (LATENCIES, "p99; HTTP in ms, else us")}
    drawn = {}
    for name, (metrics, unit) in groups.items():
        shown = [metric for metric in metrics if any((system, metric) in records for system in systems)]
        if not shown:
            continue
        made, all_axes = plt.subplots(1, len(shown), figsize=(2.7 * len(shown), 3), squeeze=False)
        for axes, metric in zip(all_axes[0], shown):
            for at, system in enumerate(systems):
                record = records.get((system, metric))
                if record:
                    axes.bar(at, record["mean"], 0.7, color=COLOURS[system],
                             yerr=[[record["mean"] - record["min"]], [record["max"] - record["mean"]]], capsize=3)
            axes.set_xticks(range(len(systems)), [NAMES[system].replace(" ", "\n") for system in systems], fontsize=7)
            axes.set_title(metric, fontsize=8)
        all_axes[0][0].set_ylabel(unit)
        drawn[name] = figure(made)
    return drawn


def conclude(result, systems, problems, arguments, folder) -> int:
    targets(result)
    measured = {each["system"] for each in result.records()}
    result.ok = not problems and all(system in measured for system in systems)
    result.extra = {"problems": problems, "seconds": arguments.seconds, "paper": paper.OVERHEAD}
    result.write(folder, arguments.json)
    text = table(result, systems)
    (folder / "table.txt").write_text(text + "\n")
    for name, svg in figures(result, systems).items():
        (folder / f"{name}.svg").write_text(svg)
    print(text)
    for problem in problems:
        say(f"PROBLEM: {problem}")
    say(f"numbers and figures: {folder}")
    return 0 if result.ok else 1
