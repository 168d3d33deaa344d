"""One boot of a host under load: guests, clients that check, `xl create` and `destroy` in a loop; and what a campaign
needs to do to it and to know of it."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

from campaign import drill
from campaign.drill import SUPERVISOR_PID, Injected
from campaign.plan import Fault
from campaign.verdict import judge
from ppvmm.session import Done, Hung, Lab, Session, Variant

XSHISTORY = "/lab/bin/ppvmm-xshistory"
STORE = "Xenstore"
STATUS = "/run/xshistory.status"
HISTORY = "/tmp/history"
GUESTS = ("steady",)
GUEST_READY = "guest load began"
GUEST_DONE = "guest load judged"
DOM0_CLIENTS = 6
GUEST_CLIENTS = 3
BOOTING = 6  # one of so many guests that come and go boots

# The guest's clients run until dom0 says stop, through the XenStore; the verdict leaves by the console.
GUEST_TASK = """#!/bin/sh
{xshistory} run --base data/xsh --clients {clients} --seed {seed} --seconds 100000 --pause-us 20000 \
  --out /tmp/history > /tmp/run.log 2>&1 &
load=$!
event "{ready}"
until [ -e /tmp/over ]; do
  sleep 1
  [ "$(xenstore-read data/stop 2> /dev/null)" = now ] && touch /tmp/over
done
kill -TERM $load
wait $load
cat /tmp/run.log
{xshistory} check /tmp/history --gap-ms 20 --json /tmp/guest-verdict.json
sendfile /tmp/guest-verdict.json
grep -q '"violations":\\[\\]' /tmp/guest-verdict.json || {{ gzip -c /tmp/history > /tmp/guest-history.gz; sendfile /tmp/guest-history.gz; }}
event "{done}"
"""

# Guests come and go beside the faults; every few of them boots its kernel as well, which takes a processor's whole time
# for seconds. Each line: begin and end (seconds of uptime), what, exit code.
CHURN = """#!/bin/sh
config=$(guest churn --config-only --after stay)
now() {{ cut -d' ' -f1 /proc/uptime; }}
step() {{ begun=$(now); what=$1; shift; "$@" > /tmp/churn.last 2>&1; echo "$begun $(now) $what $?" >> /tmp/churn.log; }}
count=0
while [ ! -e /tmp/churn.stop ]; do
  paused=-p
  [ $((count % {booting})) = 0 ] && paused=
  count=$((count + 1))
  step create timeout 300 xl create $paused -q "$config"
  step destroy timeout 300 xl destroy churn
  usleep 300000
done
echo over >> /tmp/churn.log
"""


# Root is started again a tenth of a second after its death: Restart=always of its systemd unit, and no sooner. The one
# that the boot started is ended first, so that who starts it again is its parent and need not look for it.
KEEPER = f"""#!/bin/sh
kill -9 "$(cat {SUPERVISOR_PID})"
while :; do
  ppvmm-root --config /lab/root.toml >> /var/log/xen/ppvmm-root.log 2>&1
  usleep 100000
done
"""


class Host:
    """A booted host whose XenStore is ours."""

    def __init__(self, variant: Variant, out: Path, seed: int, on_event=None):
        self.seed = seed
        self.session: Session = Lab(targets=["ppvmm-xshistory"], out=out).boot(variant, on_event=on_event)
        self.over = False
        self.keep_supervisor()

    def close(self) -> None:
        if self.over:
            self.session.kill()
        else:
            self.session.poweroff()

    def run(self, command: str, limit: float = 60.0) -> Done:
        return self.session.run(command, limit)

    def must(self, command: str, limit: float = 60.0) -> str:
        done = self.run(command, limit)
        if not done.ok:
            raise Hung(f"in dom0, {command!r} ended with {done.code}: {(done.err or done.out).strip()[-600:]}")
        return done.out

    def begin(self) -> None:
        """Starts guests, clients and churn; returns when all of them are served."""
        task = GUEST_TASK.format(xshistory=XSHISTORY, clients=GUEST_CLIENTS, seed=self.seed, ready=GUEST_READY,
                                 done=GUEST_DONE)
        self.session.put(task.encode(), "/tmp/guest-task")
        for name in GUESTS:
            self.must(f"mkdir -p /tmp/guests/{name}/tree/lab/bin && cp {XSHISTORY} /tmp/guests/{name}/tree/lab/bin/ && "
                      f"guest {name} --task /tmp/guest-task --after stay", 120)
        self.session.wait_event(GUEST_READY, 120)
        self.session.put(CHURN.format(booting=BOOTING).encode(), "/tmp/churn.sh", 0o755)
        self.session.start(f"echo $$ > /run/xshistory.pid; exec {XSHISTORY} run --clients {DOM0_CLIENTS} --seed {self.seed} --seconds 100000 "
                                       f"--pause-us 8000 --grace 3 --status {STATUS} --out {HISTORY}")
        self.must(f"wait-for 30 test -s {STATUS} && {XSHISTORY} wait --status {STATUS} --limit-ms 30000", 60)
        self.session.start("sh /tmp/churn.sh")

    def members(self) -> list[str]:
        """Names of the store's domains, the primary first."""
        told = json.loads(self.must("ppvmm status --json -"))["units"]
        return sorted((row["name"] for row in told if row["name"].startswith(STORE)), key=lambda name: (name != STORE, name))

    def incidents(self) -> list[dict]:
        """All that root saw of the store, as `ppvmm history` tells it."""
        told = json.loads(self.must("ppvmm history --last 0 --json -"))
        return [each for each in told.get("incidents", []) if each["unit"].startswith(STORE)]

    def keep_supervisor(self) -> None:
        """Starts root again whenever it was killed, as systemd does."""
        self.must(f"wait-for 10 test -s {SUPERVISOR_PID}")
        self.session.put(KEEPER.encode(), "/tmp/keeper.sh", 0o755)
        # What a systemd unit would give it: its start does not wait behind the load.
        self.session.start("command -v nice > /dev/null && exec nice -n -15 sh /tmp/keeper.sh; exec sh /tmp/keeper.sh")
        self.must("ppvmm await-well --limit-ms 20000")

    def drill(self, faults: list[Fault], limit_s: float, on_fault: Callable[[Fault, Injected], bool]) -> list[Injected]:
        """Does the faults one after the other, each at its time and each to a whole system, until one leaves it broken or
        `on_fault` says no. All of it happens in dom0 (`ppvmm drill`): a question from here would take longer than a
        repair."""
        names = self.members()
        backups = names[1:]
        targets = [backups[fault.index % len(backups)] if fault.role == "backup" and backups else names[0]
                   for fault in faults]
        lines = [drill.line(fault, target) for fault, target in zip(faults, targets)]
        return drill.run(self.session, faults, targets, lines, [STATUS], limit_s, on_fault)

    def obituary(self) -> str:
        """What the host itself says of a store that does not serve: empty when it says nothing."""
        return "; ".join(f"{each['unit']}: {each['cause']}: {each['detail']}" for each in self.incidents()
                         if each["outcome"] == "stopped")

    def keep_remains(self, folder: Path) -> None:
        """Everything that the host can still say, for people who want to know why a fault was the end of it."""
        folder.mkdir(parents=True, exist_ok=True)
        units = (STORE, f"{STORE}-backup-0", f"{STORE}-backup-1")
        asked = {"status.json": "ppvmm status --json -", "history.json": "ppvmm history --last 0 --json -",
                 "root.log": "tail -n 300 /var/log/xen/ppvmm-root.log", "dmesg.txt": "dmesg | tail -n 100",
                 "tasks.txt": "for task in /proc/[0-9]*; do tr '\\0' ' ' < $task/cmdline; cat $task/wchan; echo; done",
                 "xen.txt": "xl dmesg | tail -n 40"}
        asked |= {f"{unit}.vitals.json": f"ppvmm vitals {unit} --json -" for unit in units}
        for name, command in asked.items():
            done = self.run(f"timeout 10 sh -c {shlex.quote(command)}", 20)
            (folder / name).write_text(done.out + done.err)

    def finish(self) -> tuple[dict, dict | None, list[str]]:
        """Stops the load and lets it be judged: verdict of dom0's clients, of the guest's, lines of the churn."""
        self.run("touch /tmp/churn.stop")
        if not self.over:
            for name in GUESTS:
                self.run(f"xenstore-write /local/domain/$(xl domid {name})/data/stop now", 30)
        self.run("kill -TERM $(cat /run/xshistory.pid)", 20)
        # A client that waits for a dead store is stuck in the kernel and never ends, but its history is written.
        self.must(f"wait-for 60 test -s {HISTORY}", 90)
        verdict = judge(self.session, HISTORY, 2, keep=bool(self.over))
        guest = None
        if not self.over:
            self.session.wait_event(GUEST_DONE, 120)
            guest = json.loads(self.session.reports.files["guest-verdict.json"].read_text())
        churn = self.run("cat /tmp/churn.log").out.splitlines()
        return verdict, guest, churn
