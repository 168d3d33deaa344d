"""A run's result for people: the table on the terminal, and one HTML file with figures."""

import html

from xenstore.figures import NAMES
from xenstore.samples import DAEMONS, OURS, SYSTEMS, Samples
from xenstore.targets import Target

TITLES = {"native": "Native: a process on the Unix socket", "dom0": "Lab: dom0, through its kernel",
          "guest": "Lab: a guest, through its kernel", "xl": "Lab: xl", "lab": "Lab: the XenStore domain itself"}
MORE_IS_BETTER = ("op/s", "nodes")


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def _section(metric: str) -> str:
    return TITLES[metric.split(".", 1)[0]]


def relation(samples: Samples, metric: str, statistic: str) -> float | None:
    """Ours over the better daemon's, where both were measured."""
    mine = samples.record(OURS, metric)
    theirs = [record[statistic] for system in DAEMONS if (record := samples.record(system, metric))]
    if not mine or not theirs:
        return None
    best = max(theirs) if samples.units[metric] in MORE_IS_BETTER else min(theirs)
    return mine[statistic] / best if best else None


def table(samples: Samples, targets: list[Target]) -> str:
    """Mean and p99 of every metric; the last column is ours over the better daemon's."""
    head = f"{'':36}" + "".join(f"{NAMES[system]:>20}" for system in SYSTEMS) + f"{'ours / better':>18}"
    lines, section = [], None
    for metric in sorted(samples.metrics(), key=lambda each: list(TITLES).index(each.split(".", 1)[0])):
        if _section(metric) != section:
            section = _section(metric)
            lines += ["", section, head, f"{'':36}" + f"{'mean':>11}{'p99':>9}" * 3 + f"{'mean':>10}{'p99':>8}"]
        name = f"  {metric.split('.', 1)[1]} [{samples.units[metric]}]"
        line = f"{name:36}"
        for system in SYSTEMS:
            record = samples.record(system, metric)
            line += f"{_number(record and record['mean']):>11}{_number(record and record['p99']):>9}"
        for statistic, width in (("mean", 10), ("p99", 8)):
            value = relation(samples, metric, statistic)
            line += f"{f'{value:.2f}' if value is not None else '':>{width}}"
        lines.append(line)
    lines += ["", "Targets"]
    for target in targets:
        mark = "met   " if target.met else "MISSED"
        lines.append(f"  {mark} {target.name}: {_number(target.value)} (target {target.wanted})")
        lines.append(f"         {target.note}")
    return "\n".join(lines).lstrip("\n")


STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #22282d; max-width: 1060px; margin: 2.5em auto; padding: 0 1em; }
h1 { font-size: 1.7em; margin-bottom: .2em; } h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; font-size: .88em; }
th, td { padding: .28em .6em; text-align: right; border-bottom: 1px solid #e3e7ea; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #b8c1c8; }
.met { color: #1c7c54; font-weight: 600; } .missed { color: #b3261e; font-weight: 600; }
.note { color: #66717a; font-size: .92em; } svg { width: 100%; height: auto; } td.ours { background: #eef6f8; }
"""


def page(result: dict, samples: Samples, targets: list[Target], figures: dict[str, str], remarks: list[str]) -> str:
    """One HTML file that needs nothing else."""
    escape = html.escape
    met = sum(target.met for target in targets)
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><title>XenStore benchmark</title>",
             f"<style>{STYLE}</style><h1>XenStore: three servers side by side</h1>",
             f"<p class=note>{escape(_describe(result))}</p>",
             "".join(f"<p>{escape(remark)}</p>" for remark in remarks),
             f"<h2>Targets: {met} of {len(targets)} met</h2>", _targets_table(targets)]
    parts += [f"<h2>{escape(name.replace('-', ', ').capitalize())}</h2>{svg}" for name, svg in figures.items()]
    parts.append("<h2>All measurements</h2>")
    parts.append(_records_table(samples))
    return "\n".join(parts) + "</html>\n"


def _describe(result: dict) -> str:
    machine = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    versions = ", ".join(f"{key} {value}" for key, value in result["versions"].items())
    return f"{result['rounds']} rounds, {result['mode']} clock. Machine: {machine}. Versions: {versions}."


def _targets_table(targets: list[Target]) -> str:
    rows = []
    for target in targets:
        kind, word = ("met", "met") if target.met else ("missed", "missed")
        rows.append(f"<tr><td>{html.escape(target.name)}<br><span class=note>{html.escape(target.note)}</span></td>"
                    f"<td>{html.escape(target.wanted)}</td><td>{_number(target.value)}</td><td class={kind}>{word}</td></tr>")
    return ("<table><thead><tr><th>target<th>wanted<th>measured<th></tr></thead><tbody>" + "".join(rows)
            + "</tbody></table>")


def _records_table(samples: Samples) -> str:
    columns = ("n", "mean", "p50", "p95", "p99", "min", "max")
    rows = []
    for metric in samples.metrics():
        for system in SYSTEMS:
            record = samples.record(system, metric)
            if record:
                shade = " class=ours" if system == OURS else ""
                cells = "".join(f"<td{shade}>{_number(record[column])}</td>" for column in columns)
                rows.append(f"<tr><td{shade}>{html.escape(metric)} [{html.escape(record['unit'])}]</td>"
                            f"<td{shade}>{NAMES[system]}</td>{cells}</tr>")
    head = "".join(f"<th>{column}" for column in ("metric", "server", *columns))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
