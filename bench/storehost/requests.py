"""Requests of an operation, counted in the trace of Debian's C xenstored, the one server whose trace has them all. Every
server gets the same ones: they come from the unmodified xl, kernels and xenconsoled."""

import re
from collections import Counter

from ppvmm.session import Session
from storehost.hosts import must

TRACE = "/tmp/xenstored.trace"
LINE = re.compile(r"^IN 0x[0-9a-f]+ \d+ [\d:]+ (\w+) \(", re.MULTILINE)
WRITES = ("WRITE", "MKDIR", "RM", "SET_PERMS")
READS = ("READ", "DIRECTORY", "DIRECTORY_PART", "GET_PERMS", "GET_DOMAIN_PATH", "IS_DOMAIN_INTRODUCED")
OPERATIONS = ("create", "destroy", "save", "restore", "vcpu-set")
QUIET = f"""
last=-1
until [ "$last" = "$(wc -l < {TRACE})" ]; do last=$(wc -l < {TRACE}); sleep 2; done
"""


def count(trace: str) -> Counter:
    """Requests of a piece of trace, by kind."""
    return Counter(LINE.findall(trace))


def share_of_writes(counts: Counter) -> float:
    """Of the requests that read or write the tree."""
    writes = sum(counts[kind] for kind in WRITES)
    reads = sum(counts[kind] for kind in READS)
    return writes / (writes + reads) if writes + reads else 0.0


def measure(session: Session) -> dict[str, Counter]:
    """Each operation once, from its command until nobody asks for anything any more."""
    config = must(session, "guest counted --config-only --after stay --extra 'maxvcpus = 2'").strip()
    must(session, f"xenstore-control logfile {TRACE}; wait-for 10 test -e {TRACE}")
    steps = {"create": f"xl create -q {config}",
             "vcpu-set": "xl vcpu-set --ignore-host counted 2",
             "save": "xl save counted /tmp/counted.saved",
             "restore": "xl restore /tmp/counted.saved",
             "destroy": "xl destroy counted"}
    counts = {}
    for name, command in steps.items():
        must(session, QUIET)
        before = int(must(session, f"wc -l < {TRACE}"))
        must(session, command)
        must(session, QUIET)
        counts[name] = count(must(session, f"tail -n +{before + 1} {TRACE}"))
    must(session, "xenstore-control log off")
    return counts
