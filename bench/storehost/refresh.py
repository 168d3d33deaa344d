"""What runs beside a system under test. Only the `xoar` policy has something: the store's domain is brought back to its
image every second, whether it needs it or not, and nothing looks after it otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager

from ppvmm.session import Session
from storehost.hosts import STORE, must

PERIOD_S = 1  # the paper's Xoar detects nothing sooner than this
STOP = "/tmp/xoar.stop"
DONE = "/tmp/xoar.count"
LOOP = f"""#!/bin/sh
count=0
while [ ! -e {STOP} ]; do
  sleep {PERIOD_S}
  ppvmm microreboot {STORE} --limit-ms 5000 > /tmp/xoar.last 2>&1 && count=$((count + 1))
  echo $count > {DONE}
done
touch {STOP}.done
"""


@contextmanager
def policy(system: str, session: Session) -> Iterator[None]:
    if system != "xoar":
        yield
        return
    session.put(LOOP.encode(), "/tmp/xoar.sh", 0o755)
    session.start("sh /tmp/xoar.sh")
    try:
        yield
    finally:
        must(session, f"touch {STOP}; wait-for 30 test -e {STOP}.done")
