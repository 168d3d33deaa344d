"""The figures of a run, as SVG text: bars of mean and p99, throughput by clients, cost by size of the tree."""

import io

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend is chosen first)

from xenstore import load
from xenstore.samples import SYSTEMS, Samples

NAMES = {"xenstored": "C xenstored", "oxenstored": "oxenstored", "ppvmm": "PpVMM XenStore"}
COLOURS = {"xenstored": "#9aa5b1", "oxenstored": "#d9a441", "ppvmm": "#1f6f8b"}
PLACES = {"guest": "a guest, through its kernel", "dom0": "dom0, through its kernel",
          "native": "a process on the socket (native)"}


def _svg(figure, room: tuple[float, float, float, float] = (0, 0, 1, 1)) -> str:
    """The figure as an <svg> element, laid out in the part `room` of it (left, bottom, right, top)."""
    out = io.StringIO()
    figure.tight_layout(rect=room)
    figure.savefig(out, format="svg", metadata={"Date": None})
    plt.close(figure)
    text = out.getvalue()
    return text[text.index("<svg"):]


def _plain(axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color="#e3e7ea", linewidth=0.8)


def _systems(samples: Samples, metrics: list[str]) -> list[str]:
    return [system for system in SYSTEMS if any(samples.record(system, metric) for metric in metrics)]


def latency(samples: Samples, place: str, unit: str) -> str | None:
    """For each operation two groups of bars: the mean and p99."""
    operations = [each for each in load.OPERATIONS if f"{place}.{each}" in samples.units]
    systems = _systems(samples, [f"{place}.{each}" for each in operations])
    if not systems:
        return None
    figure, all_axes = plt.subplots(1, len(operations), figsize=(11, 3.3), squeeze=False)
    for axes, operation in zip(all_axes[0], operations):
        for index, system in enumerate(systems):
            record = samples.record(system, f"{place}.{operation}")
            if not record:
                continue
            for group, statistic in enumerate(("mean", "p99")):
                at = group + (index - (len(systems) - 1) / 2) * 0.28
                axes.bar(at, record[statistic], 0.26, color=COLOURS[system], label=NAMES[system] if not group else None)
                axes.annotate(f"{record[statistic]:.0f}", (at, record[statistic]), ha="center", va="bottom", fontsize=7,
                              rotation=90, xytext=(0, 2), textcoords="offset points")
        axes.set_title(operation, fontsize=10)
        axes.set_xticks((0, 1), ("mean", "p99"))
        axes.margins(y=0.22)
        axes.tick_params(labelsize=8)
        _plain(axes)
    all_axes[0][0].set_ylabel(unit)
    handles, labels = all_axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=3, frameon=False, fontsize=9)
    figure.suptitle(f"Seen by {PLACES[place]}", fontsize=11)
    return _svg(figure, (0, 0.08, 1, 1))


def throughput(samples: Samples) -> str | None:
    places = [place for place in PLACES
              if _systems(samples, [f"{place}.throughput.{clients}" for clients in load.CLIENTS])]
    if not places:
        return None
    figure, all_axes = plt.subplots(1, len(places), figsize=(10, 3.2), squeeze=False)
    for axes, place in zip(all_axes[0], places):
        systems = _systems(samples, [f"{place}.throughput.{clients}" for clients in load.CLIENTS])
        for index, system in enumerate(systems):
            for position, clients in enumerate(load.CLIENTS):
                record = samples.record(system, f"{place}.throughput.{clients}")
                if record:
                    axes.bar(position + (index - 1) * 0.27, record["mean"] / 1000, 0.25, color=COLOURS[system],
                             label=NAMES[system] if position == 0 else None)
        axes.set_xticks(range(len(load.CLIENTS)), [str(clients) for clients in load.CLIENTS])
        axes.set_xlabel("clients")
        axes.set_title(PLACES[place], fontsize=10)
        _plain(axes)
    all_axes[0][0].set_ylabel("thousand operations a second")
    all_axes[0][-1].legend(frameon=False, fontsize=8)
    return _svg(figure)


def scaling(samples: Samples, size: load.Size) -> str | None:
    """Lines: how the median cost of an operation moves as the tree grows."""
    operations = load.SCALED
    points = (size.nodes_small, size.nodes_large)
    systems = _systems(samples, [f"native.scale.{each}.{nodes}" for each in operations for nodes in points])
    if not systems:
        return None
    figure, all_axes = plt.subplots(1, len(operations), figsize=(10, 2.9), sharey=True)
    for axes, operation in zip(all_axes, operations):
        for system in systems:
            found = [(nodes, record["p50"]) for nodes in points
                     if (record := samples.record(system, f"native.scale.{operation}.{nodes}"))]
            axes.plot(*zip(*found), marker="o", color=COLOURS[system], label=NAMES[system])
        axes.set_xscale("log")
        axes.set_xticks(points, [f"{nodes:,}".replace(",", " ") for nodes in points])
        axes.minorticks_off()
        axes.set_xlabel("nodes in the store")
        axes.set_title(operation, fontsize=10)
        _plain(axes)
    all_axes[0].set_ylim(bottom=0)  # of all: they share it
    all_axes[0].set_ylabel("median, microseconds (native)")
    all_axes[-1].legend(frameon=False, fontsize=8)
    return _svg(figure)


def all_figures(samples: Samples, size: load.Size, mode: str) -> dict[str, str]:
    """Name -> SVG, those for which there are samples. `mode`: wall or virtual."""
    unit = "microseconds" if mode == "wall" else "thousand instructions"
    made = {f"latency-{place}": latency(samples, place, unit) for place in PLACES}
    made["throughput"] = throughput(samples)
    made["scaling"] = scaling(samples, size)
    return {name: svg for name, svg in made.items() if svg}
