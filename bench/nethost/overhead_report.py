"""E5 for people: the table with the paper's figures beside ours, the targets, and figures."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

from nethost import paper  # noqa: E402
from nethost.backends import COLOURS, NAMES  # noqa: E402
from ppvmm.term import say  # noqa: E402
from storehost.hosts import figure  # noqa: E402

PEERS = ("linux-dom0", "linux-domain")
OURS = "net_uk"
STREAMS = ("TCP to the guest", "TCP from the guest", "TCP both ways", "TCP guest to guest")
PACKETS = ("packets to the guest", "packets from the guest")
LATENCIES = ("HTTP, p99", "round trip, p99", "round trip guest to guest, p99")


def _records(result) -> dict:
    return {(each["system"], each["metric"]): each for each in result.records()}


def better(records: dict, metric: str, more: bool) -> tuple[str, float] | None:
    """The Linux back-end that does better in the mean of `metric`."""
    found = [(records[system, metric]["mean"], system) for system in PEERS if (system, metric) in records]
    if not found:
        return None
    value, system = max(found) if more else min(found)
    return system, value


def _ratio(records: dict, metric: str, more: bool) -> float | None:
    peer = better(records, metric, more)
    mine = records.get((OURS, metric))
    return mine["mean"] / peer[1] if peer and mine and peer[1] else None


def targets(result) -> None:
    """Of the records of this run and nothing else."""
    records = _records(result)

    def judge(name: str, metric: str, more: bool, limit: float) -> None:
        ratio = _ratio(records, metric, more)
        if ratio is not None:
            met = ratio >= limit if more else ratio <= limit
            result.add_target(f"{name}: net_uk / better Linux", f"{'>=' if more else '<='} {limit:g}", round(ratio, 4), met)
    for metric in STREAMS:
        judge(f"throughput, {metric}", metric, True, 1.0)
    for metric in PACKETS:
        judge(metric, metric, True, 1.0)
    judge("HTTP requests", "HTTP requests", True, 1.0)
    for metric in LATENCIES:
        judge(metric, metric, False, 1.0)
    for metric in STREAMS:
        judge(f"CPU per gigabyte, {metric}", f"CPU, {metric}", False, 0.7)


def table(result, systems: list[str]) -> str:
    records = _records(result)
    metrics = list(dict.fromkeys(each["metric"] for each in result.records()))
    width = max((len(metric) for metric in metrics), default=10) + 12
    lines = [" " * width + "".join(f"{NAMES[system]:>22}" for system in systems) + f"{'net_uk / better':>18}"]
    for metric in metrics:
        unit = next(each["unit"] for each in result.records() if each["metric"] == metric)
        cells = "".join(f"{_number(records.get((system, metric))):>22}" for system in systems)
        more = unit in ("Mbit/s", "packets/s", "1/s")
        ratio = _ratio(records, metric, more)
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
    records = _records(result)
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
