"""What a campaign is about, in the words of its tables."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Subject:
    command: str  # of `./ppvmm campaign`
    title: str
    outage: str   # what is measured as outage
    waits: str    # the same as a sentence
    # Name of a target: the faults it is about, and the median time in ms from the fault until root may know of it.
    detection: dict[str, tuple[tuple[str, ...], float]] = field(default_factory=dict, hash=False)


# A hang is silence with work waiting; what rots in memory that nobody reads is found by looking through it.
DETECTION = {"hangs": (("code made a loop", "vCPU stopped", "domain paused"), 20.0),
             "idle corruption": (("bit in tree", "bit in code", "bit in constants"), 100.0)}
XENSTORE = Subject("xenstore", "XenStore", "outage of dom0's clients", "longest wait of a client of dom0's after a fault",
                   DETECTION)
