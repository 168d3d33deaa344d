"""What a campaign is about, in the words of its tables."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Subject:
    command: str  # of `./ppvmm campaign`
    title: str
    outage: str   # what is measured as outage
    waits: str    # the same as a sentence


XENSTORE = Subject("xenstore", "XenStore", "outage of dom0's clients", "longest wait of a client of dom0's after a fault")
