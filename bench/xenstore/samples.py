"""Every sample of a run, by system, metric and round; summaries are computed from them and from nothing else."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from ppvmm.results import record

XENSTORED, OXENSTORED, OURS = "xenstored", "oxenstored", "ppvmm"
SYSTEMS = (XENSTORED, OXENSTORED, OURS)
DAEMONS = (XENSTORED, OXENSTORED)


@dataclass
class Samples:
    """`values[system, metric][round]` is a list of samples; `units[metric]` their unit."""

    values: dict[tuple[str, str], dict[int, list[float]]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)

    def add(self, system: str, metric: str, unit: str, turn: int, values: list[float]) -> None:
        if self.units.setdefault(metric, unit) != unit:
            raise ValueError(f"{metric} is in {self.units[metric]}, not in {unit}")
        self.values.setdefault((system, metric), {}).setdefault(turn, []).extend(values)

    def of(self, system: str, metric: str) -> list[float]:
        """All samples of all rounds, ascending; empty when there is none."""
        return sorted(value for values in self.values.get((system, metric), {}).values() for value in values)

    def metrics(self) -> list[str]:
        return list(self.units)

    def record(self, system: str, metric: str) -> dict | None:
        """The summary of all rounds together; nothing when the metric was not measured on this system."""
        values = self.of(system, metric)
        return record(system, metric, self.units[metric], values) if values else None

    def by_round(self, system: str, metric: str, statistic: str) -> dict[int, float]:
        """One field of the summary for each round by itself: how much rounds differ is the noise."""
        return {turn: record(system, metric, self.units[metric], values)[statistic]
                for turn, values in self.values.get((system, metric), {}).items() if values}

    def write_csv(self, path: Path) -> None:
        with open(path, "w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["system", "metric", "unit", "round", "value"])
            for (system, metric), rounds in self.values.items():
                for turn, values in rounds.items():
                    out.writerows([system, metric, self.units[metric], turn, f"{value:.6g}"] for value in values)
