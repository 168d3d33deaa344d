"""Every sample of a run, by system, metric and round; summaries are computed from them and from nothing else."""

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path

XENSTORED, OXENSTORED, OURS = "xenstored", "oxenstored", "ppvmm"
SYSTEMS = (XENSTORED, OXENSTORED, OURS)
DAEMONS = (XENSTORED, OXENSTORED)


def rank(ordered: list[float], fraction: float) -> float:
    """Nearest-rank percentile: always one of the samples. `ordered` is ascending and not empty."""
    return ordered[max(math.ceil(fraction * len(ordered)), 1) - 1]


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
        ordered = self.of(system, metric)
        if not ordered:
            return None
        return {"system": system, "metric": metric, "unit": self.units[metric], "n": len(ordered),
                "mean": sum(ordered) / len(ordered), "p50": rank(ordered, 0.50), "p95": rank(ordered, 0.95),
                "p99": rank(ordered, 0.99), "min": ordered[0], "max": ordered[-1]}

    def records(self) -> list[dict]:
        found = (self.record(system, metric) for metric in self.units for system in SYSTEMS)
        return [record for record in found if record]

    def by_round(self, system: str, metric: str, statistic: str) -> dict[int, float]:
        """One statistic ("mean", "p50", "p95", "p99") for each round by itself: how much rounds differ is the noise."""
        result = {}
        for turn, values in self.values.get((system, metric), {}).items():
            ordered = sorted(values)
            result[turn] = (sum(ordered) / len(ordered) if statistic == "mean"
                            else rank(ordered, float(statistic[1:]) / 100))
        return result

    def write_csv(self, path: Path) -> None:
        with open(path, "w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["system", "metric", "unit", "round", "value"])
            for (system, metric), rounds in self.values.items():
                for turn, values in rounds.items():
                    out.writerows([system, metric, self.units[metric], turn, f"{value:.6g}"] for value in values)
