"""A campaign for people: the table on the terminal, and one HTML file with figures."""

import html
import io
from collections import Counter

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

from campaign.classify import CLASSES, ERROR, REFUSED, STOPPED, UNSEEN, WRONG, Case  # noqa: E402
from campaign.subject import Subject  # noqa: E402
from ppvmm.results import percentile  # noqa: E402
from xenstore.report import STYLE  # noqa: E402

COLOURS = {UNSEEN: "#1f6f8b", ERROR: "#d9a441", STOPPED: "#9aa5b1", WRONG: "#b3261e", REFUSED: "#e3e7ea"}


def _by_fault(cases: list[Case]) -> dict[str, list[Case]]:
    groups: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda each: each.fault.name):
        groups.setdefault(case.fault.name, []).append(case)
    return groups


def _outages(cases: list[Case]) -> list[float]:
    return sorted(case.outage_ms for case in cases if case.outage_ms is not None and case.kind in (UNSEEN, ERROR))


def table(cases: list[Case], seed: int, problems: list[str], subject: Subject, targets: list[dict]) -> str:
    """One line for each kind of fault; then what went wrong, with the command that does it again."""
    head = f"{'fault':38}{'n':>5}{'unseen':>8}{'error':>7}{'stopped':>9}{'wrong':>7}{'not done':>10}{'seen':>6}{'after ms p50':>14}" \
           f"{'outage ms p50':>15}{'max':>9}"
    lines = [head]
    for name, group in [*_by_fault(cases).items(), ("all", cases)]:
        counts = Counter(case.kind for case in group)
        outages = _outages(group)
        p50, most = (f"{percentile(outages, 0.5):.1f}", f"{outages[-1]:.1f}") if outages else ("-", "-")
        seen = sorted(case.detection_ms for case in group if case.detection_ms is not None)
        after = f"{percentile(seen, 0.5):.2f}" if seen else "-"
        lines.append(f"{name:38}{len(group):5}{counts[UNSEEN]:8}{counts[ERROR]:7}{counts[STOPPED]:9}{counts[WRONG]:7}"
                     f"{counts[REFUSED]:10}{len(seen):6}{after:>14}{p50:>15}{most:>9}")
    for case in cases:
        if case.kind in (WRONG, STOPPED, ERROR):
            lines.append(f"{case.kind}: fault {case.fault.number} ({case.fault.name} at {case.injected.target}): "
                         f"{'; '.join(case.reasons)[:400]}")
            lines.append(f"    again: ./ppvmm campaign {subject.command} --seed {seed} --only {case.fault.number}")
    lines += [f"{'met   ' if each['met'] else 'MISSED'} {each['name']}: {each['value']} (target {each['target']})"
              for each in targets]
    lines += [f"PROBLEM: {problem.splitlines()[0]}" for problem in problems]
    return "\n".join(lines)


def _svg(figure) -> str:
    out = io.StringIO()
    figure.tight_layout()
    figure.savefig(out, format="svg", metadata={"Date": None})
    plt.close(figure)
    text = out.getvalue()
    return text[text.index("<svg"):]


def figures(cases: list[Case], subject: Subject) -> dict[str, str]:
    made = {}
    groups = _by_fault(cases)
    if groups:
        figure, axes = plt.subplots(figsize=(10, 1.2 + 0.26 * len(groups)))
        left = [0] * len(groups)
        for kind in CLASSES:
            widths = [sum(case.kind == kind for case in group) for group in groups.values()]
            axes.barh(list(groups), widths, left=left, color=COLOURS[kind], label=kind)
            left = [a + b for a, b in zip(left, widths)]
        axes.invert_yaxis()
        axes.set_xlabel("faults")
        axes.tick_params(labelsize=8)
        axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.4, 1), ncol=len(CLASSES))
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        made["classes"] = _svg(figure)
    outages = _outages(cases)
    if len(outages) > 1:
        figure, axes = plt.subplots(figsize=(10, 3))
        axes.plot(outages, [(at + 1) / len(outages) for at in range(len(outages))], drawstyle="steps-post",
                  color=COLOURS[UNSEEN])
        axes.set_xscale("log")
        axes.set_xlabel(f"{subject.waits}, ms")
        axes.set_ylabel("share of faults")
        axes.grid(color="#e3e7ea")
        made["outage"] = _svg(figure)
    return made


def page(result: dict, cases: list[Case], text: str, drawn: dict[str, str], subject: Subject) -> str:
    """One HTML file that needs nothing else."""
    counts = ", ".join(f"{kind}: {sum(case.kind == kind for case in cases)}" for kind in CLASSES)
    machine = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    rows = "".join(f"<tr><td>{case.fault.number}<td>{html.escape(case.fault.name)}<td>{html.escape(case.injected.target)}"
                   f"<td>{case.fault.when}<td>{case.kind}<td>{case.outage_ms if case.outage_ms is not None else ''}"
                   f"<td>{html.escape('; '.join(case.reasons))}</tr>" for case in cases)
    return "\n".join([
        "<!doctype html><html lang=en><meta charset=utf-8><title>Campaign</title>",
        f"<style>{STYLE}</style><h1>{subject.title} under {len(cases)} faults</h1>",
        f"<p class=note>Seed {result['seed']}; {result['rounds']} boots. Machine: {html.escape(machine)}.</p>",
        f"<p>{html.escape(counts)}</p>",
        *[f"<h2>{html.escape(name.capitalize())}</h2>{svg}" for name, svg in drawn.items()],
        f"<h2>By fault</h2><pre>{html.escape(text)}</pre>",
        "<h2>Every fault</h2><table><thead><tr><th>number<th>fault<th>target<th>when<th>class<th>outage ms<th>why</thead>"
        f"<tbody>{rows}</tbody></table></html>"]) + "\n"
