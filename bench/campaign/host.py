"""One boot of a host under load: guests, clients that check, `xl create` and `destroy` in a loop; and what a campaign
needs to do to it and to know of it."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from campaign.plan import Fault
from ppvmm.session import Done, Hung, Lab, Session, Variant

XSHISTORY = "/lab/bin/ppvmm-xshistory"
STORE = "Xenstore"
STATUS = "/run/xshistory.status"
HISTORY = "/tmp/history"
GUESTS = ("steady",)
GUEST_READY = "guest load began"
GUEST_DONE = "guest load judged"
SUPERVISOR_PID = "/run/ppvmm/root.pid"
DOM0_CLIENTS = 6
GUEST_CLIENTS = 3

# The guest's clients run until dom0 says stop, through the XenStore; the verdict leaves by the console.
GUEST_TASK = """#!/bin/sh
{xshistory} run --base data/xsh --clients {clients} --seed {seed} --seconds 100000 --pause-us 3000 \
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

# Guests come and go beside the faults. Each line: begin and end (seconds of uptime), what, exit code.
CHURN = """#!/bin/sh
config=$(guest churn --config-only --after stay)
now() {{ cut -d' ' -f1 /proc/uptime; }}
step() {{ begun=$(now); what=$1; shift; "$@" > /tmp/churn.last 2>&1; echo "$begun $(now) $what $?" >> /tmp/churn.log; }}
while [ ! -e /tmp/churn.stop ]; do
  step create timeout 300 xl create -q "$config"
  step destroy timeout 300 xl destroy churn
done
echo over >> /tmp/churn.log
"""


# Root is started again a tenth of a second after its death: Restart=always of its systemd unit, and no sooner.
KEEPER = f"""#!/bin/sh
while usleep 100000; do
  kill -0 "$(cat {SUPERVISOR_PID})" 2> /dev/null && continue
  ppvmm-root --config /lab/root.toml >> /var/log/xen/ppvmm-root.log 2>&1 &
  usleep 300000
done
"""


@dataclass
class Injected:
    """What `ppvmm inject` said, and what followed."""

    target: str
    what: dict = field(default_factory=dict)
    refused: str = ""           # why it could not be done
    served: bool = False        # every client was served again in time
    healed: bool = True         # and root, if there is one, had all members of the store well again
    dom0_ns: int = 0
    xen_ns: int = 0


def _well(row: dict) -> bool:
    """Is a unit of `ppvmm status` as it should be?"""
    seen = row["supervised"] or {}
    return (row["state"] == "ready" and seen.get("phase") == "watching" and seen.get("health") in ("working", "silent")
            and seen.get("member", True))


class Host:
    """A booted host whose XenStore is ours."""

    def __init__(self, variant: Variant, out: Path, seed: int, on_event=None):
        self.seed = seed
        self.session: Session = Lab(targets=["ppvmm-xshistory"], out=out).boot(variant, on_event=on_event)
        self.over = False
        self.root = self.keep_supervisor()

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
        self.session.put(CHURN.format().encode(), "/tmp/churn.sh", 0o755)
        self.session.start(f"echo $$ > /run/xshistory.pid; exec {XSHISTORY} run --clients {DOM0_CLIENTS} --seed {self.seed} --seconds 100000 "
                                       f"--pause-us 1000 --grace 3 --status {STATUS} --out {HISTORY}")
        self.must(f"wait-for 30 test -s {STATUS} && {XSHISTORY} wait --status {STATUS} --limit-ms 30000", 60)
        self.session.start("sh /tmp/churn.sh")

    def units(self) -> list[dict]:
        """What `ppvmm status` says of the store's domains, the primary first."""
        told = json.loads(self.must("ppvmm status --json -"))["units"]
        rows = [row for row in told if row["name"].startswith(STORE)]
        return sorted(rows, key=lambda row: (row["name"] != STORE, row["name"]))

    def members(self) -> list[str]:
        return [row["name"] for row in self.units()]

    def incidents(self) -> list[dict]:
        """All that root saw of the store, as `ppvmm history` tells it."""
        if not self.root:
            return []
        told = json.loads(self.must("ppvmm history --last 0 --json -"))
        return [each for each in told.get("incidents", []) if each["unit"].startswith(STORE)]

    def keep_supervisor(self) -> bool:
        """Starts root again whenever it was killed, as systemd does. False: this host has none."""
        if not self.run(f"test -s {SUPERVISOR_PID}").ok:
            return False
        self.session.put(KEEPER.encode(), "/tmp/keeper.sh", 0o755)
        self.session.start("sh /tmp/keeper.sh")
        return True

    def repair(self, name: str) -> bool:
        """Without root: what an operator would do who was told at once. In place, else anew."""
        for command in ("microreboot", "rebuild"):
            done = self.run(f"ppvmm {command} {name} --limit-ms 3000", 30)
            if done.ok and self.run(f"{XSHISTORY} wait --status {STATUS} --limit-ms 3000", 30).ok:
                return True
        return False

    def inject(self, fault: Fault, limit_s: float) -> Injected:
        """Does the fault at its time, and waits until everybody is served again, or `limit_s` is over."""
        names = self.members()
        backups = names[1:] if self.root else []  # nobody but root can heal those
        target = backups[fault.index % len(backups)] if fault.role == "backup" and backups else names[0]
        result = Injected(target)
        if "kill-supervisor" in fault.words and not self.root:
            result.refused = "there is no supervisor"
            return result
        words = list(fault.words)
        faults = [word for word in words if not word.startswith("--")][:2 if "kill-supervisor" in words else 1]
        options = words[len(faults):]
        if "kill-supervisor" in faults:
            options += ["--supervisor", SUPERVISOR_PID]
        done = self.run(f"usleep {int(fault.delay_s * 1e6)}; ppvmm inject {target} {' '.join(faults)} {' '.join(options)} "
                        f"--when {fault.when} --seed {fault.seed} --limit-ms 3000 --json -", 30 + fault.delay_s)
        try:
            told = json.loads(done.out)["injections"]
        except (ValueError, KeyError):
            told = []
        if not done.ok and not told:
            result.refused = done.err.strip().removeprefix("ppvmm: ") or f"exit {done.code}"
            return result
        result.what = {"injections": told}
        result.dom0_ns, result.xen_ns = told[0]["dom0_ns"], told[0]["xen_ns"]
        if not self.root and not self.run(f"{XSHISTORY} wait --status {STATUS} --after {result.dom0_ns} "
                                          "--limit-ms 1000", 30).ok:
            self.repair(target)
        served = self.run(f"{XSHISTORY} wait --status {STATUS} --after {told[-1]['dom0_ns']} "
                          f"--limit-ms {int(limit_s * 1000)}", limit_s + 20)
        result.served = served.ok
        if served.ok and self.root:
            result.healed = self._healed(limit_s)
        return result

    def _healed(self, limit_s: float) -> bool:
        """Waits until the store has all its members again, so that each fault meets a whole system."""
        end = time.monotonic() + limit_s * (4 if self.session.variant.mode == "virtual" else 1)
        while time.monotonic() < end:
            try:
                if all(_well(row) for row in self.units()):
                    return True
            except (Hung, ValueError):
                pass  # root is being started again
        return False

    def obituary(self) -> str:
        """What the host itself says of a store that does not serve: empty when it says nothing."""
        said = [f"{each['unit']}: {each['cause']}: {each['detail']}" for each in self.incidents()
                if each["outcome"] == "stopped"]
        if not self.root:
            said = [f"{row['name']}: {row['state']}" for row in self.units() if row["state"] != "ready"]
        return "; ".join(said)

    def finish(self) -> tuple[dict, dict | None, list[str]]:
        """Stops the load and lets it be judged: verdict of dom0's clients, of the guest's, lines of the churn."""
        self.run("touch /tmp/churn.stop")
        if not self.over:
            for name in GUESTS:
                self.run(f"xenstore-write /local/domain/$(xl domid {name})/data/stop now", 30)
        self.run("kill -TERM $(cat /run/xshistory.pid)", 20)
        # A client that waits for a dead store is stuck in the kernel and never ends, but its history is written.
        self.must(f"wait-for 60 test -s {HISTORY}", 90)
        verdict_file = "/tmp/verdict.json"
        self.run(f"{XSHISTORY} check {HISTORY} --gap-ms 2 --json {verdict_file}", 300)
        verdict = json.loads(self.session.get(verdict_file))
        if verdict["violations"] or self.over:
            self.session.get(HISTORY, self.session.out / "history.tsv", 300)
        guest = None
        if not self.over:
            self.session.wait_event(GUEST_DONE, 120)
            guest = json.loads(self.session.reports.files["guest-verdict.json"].read_text())
        churn = self.run("cat /tmp/churn.log").out.splitlines()
        return verdict, guest, churn
