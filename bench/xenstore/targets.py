"""What the project promises about XenStore (docs and README quote these), judged from one run's samples alone."""

from dataclasses import dataclass

from xenstore import load
from xenstore.samples import DAEMONS, OURS, Samples


@dataclass(frozen=True)
class Target:
    """`value` is compared with `limit`: at most it, or at least it. `note` says how sure the value is."""

    part: str  # of the benchmark that measures it: native or lab
    name: str
    limit: float
    at_most: bool
    value: float | None
    note: str = ""

    @property
    def met(self) -> bool:
        if self.value is None:
            return False
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    @property
    def wanted(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.limit:g}"


def better_daemon(samples: Samples, metric: str, statistic: str, smaller_is_better: bool) -> tuple[str, float] | None:
    """The daemon that does better in `statistic` of `metric`, and its value."""
    found = [(record[statistic], system) for system in DAEMONS if (record := samples.record(system, metric))]
    if not found:
        return None
    value, system = min(found) if smaller_is_better else max(found)
    return system, value


def ratio(samples: Samples, part: str, name: str, metric: str, statistic: str, limit: float,
          at_most: bool) -> Target:
    """Ours over the better daemon's. The note has the same ratio for each round by itself: their spread is the noise."""
    peer = better_daemon(samples, metric, statistic, smaller_is_better=at_most)
    mine = samples.record(OURS, metric)
    if not peer or not mine:
        return Target(part, name, limit, at_most, None, f"not measured: {metric}")
    system, value = peer
    theirs, ours = (samples.by_round(each, metric, statistic) for each in (system, OURS))
    rounds = sorted(ours[turn] / theirs[turn] for turn in ours if turn in theirs)
    note = f"{mine[statistic]:.4g} against {value:.4g} {mine['unit']} of {system}"
    if len(rounds) > 1:
        note += f"; by round {rounds[0]:.2f} to {rounds[-1]:.2f}"
    return Target(part, name, limit, at_most, mine[statistic] / value, note)


def flatness(samples: Samples, part: str, place: str, small: int, large: int) -> Target:
    """The worst growth of a median when the tree grows from `small` to `large` nodes."""
    growth = {}
    for operation in load.SCALED:
        pair = [samples.record(OURS, f"{place}.scale.{operation}.{nodes}") for nodes in (small, large)]
        if all(pair):
            growth[operation] = pair[1]["p50"] / pair[0]["p50"]
    name = f"{place}: cost with {large} nodes / with {small} (median, worst operation)"
    if not growth:
        return Target(part, name, 1.3, True, None, "not measured")
    worst = max(growth, key=growth.get)
    return Target(part, name, 1.3, True, growth[worst], "; ".join(f"{what} {value:.2f}" for what, value in growth.items()))


def single(samples: Samples, name: str, metric: str, statistic: str, limit: float, at_most: bool) -> Target:
    record = samples.record(OURS, metric)
    return Target("lab", name, limit, at_most, record[statistic] if record else None,
                  record["unit"] if record else f"not measured: {metric}")


def all_targets(samples: Samples, size: load.Size) -> list[Target]:
    found = [ratio(samples, "lab", f"guest {operation}, {statistic}: ours / better daemon", f"guest.{operation}",
                   statistic, 0.7, at_most=True)
             for operation in ("read", "write") for statistic in ("mean", "p99")]
    found += [ratio(samples, "native", f"native throughput, {clients} clients: ours / better daemon",
                    f"native.throughput.{clients}", "mean", 2.0, at_most=False) for clients in load.CLIENTS]
    found.append(ratio(samples, "lab", "xl create time: ours / better daemon", "xl.create", "mean", 1.0, at_most=True))
    found += [flatness(samples, part, place, size.nodes_small, size.nodes_large)
              for part, place in (("native", "native"), ("lab", "dom0"))]
    found.append(single(samples, "nodes held by a XenStore domain of 64 MiB", "lab.nodes", "max", size.nodes_large,
                        at_most=False))
    found.append(single(samples, "image size of XenStore_uk, MiB", "lab.image", "max", 1.0, at_most=True))
    found.append(single(samples, "XenStore_uk ready after its domain is unpaused, ms (worst)", "lab.ready", "max",
                        100.0, at_most=True))
    return found
