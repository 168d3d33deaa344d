"""net_uk under root, with a policy: how its host is configured, and what root saw of a fault. And what stands in for root
on a Linux host: an operator's script."""

import json
from dataclasses import dataclass
from pathlib import Path

from nethost.backends import CARD, DOMAIN_MIB, NETUK_MIB, Backend, must, take
from ppvmm.session import Hung, Session

SPARE, SPARE_CARD = "net_spare", "00:11.0"
UNIT = "net_uk"
CARDS = {UNIT: CARD, SPARE: SPARE_CARD}
LINK_LIMIT_S = 40


def configuration(policy: str) -> str:
    """root.toml."""
    spare = f'[policy.tfd]\nspare = "{SPARE}"\n\n' if policy == "tfd" else ""
    return f'{spare}[unit.{UNIT}]\npolicy = "{policy}"\n'


class Supervised(Backend):
    """net_uk, built and kept by root under a policy of that name."""

    domain = UNIT

    def __init__(self, session: Session, policy: str):
        super().__init__(session)
        self.name = policy

    def start(self) -> float | None:
        self._build(UNIT, CARD)
        if self.name == "tfd":
            self._build(SPARE, SPARE_CARD)
        return None

    def _build(self, name: str, card: str) -> None:
        take(self.session, card)
        log = f"/var/log/xen/console/guest-{name}.log"
        done = self.session.run(f"ppvmm net start /lab/bin/net_uk --name {name} --pci {card} --memory {NETUK_MIB} "
                                f"--limit-ms 20000 && wait-for {LINK_LIMIT_S} grep -q 'wire: .* link up' {log}", 90)
        if not done.ok:
            raise Hung(self.session.where(f"root did not bring {name} up: {(done.err or done.out).strip()[-500:]}"))

    def stop(self) -> None:
        for name in (UNIT, SPARE) if self.name == "tfd" else (UNIT,):
            must(self.session, f"ppvmm stop {name} --limit-ms 20000")

    def vif(self, mac: str) -> str:
        return f'vif = ["mac={mac},backend={UNIT}"]'

    def serving(self, guest: str) -> str:
        """The unit that a guest's vif is with: under tfd the one that fails as a whole becomes the other's spare. The
        vif gets another handle with each move, the highest."""
        return must(self.session, f"d=/local/domain/$(xl domid {guest})/device/vif; xl domname "
                                  f"$(xenstore-read $d/$(xenstore-list $d | sort -n | tail -1)/backend-id)").strip()


def incidents(session: Session) -> list[dict]:
    """All that root saw of the network, oldest first."""
    told = json.loads(must(session, "ppvmm history --last 0 --json -"))
    return [each for each in told.get("incidents", []) if each["unit"] in (UNIT, SPARE)]


def well(session: Session) -> bool:
    """Does root say that all network units work?"""
    rows = [row for row in json.loads(must(session, "ppvmm status --json -"))["units"] if row["name"] in (UNIT, SPARE)]
    return bool(rows) and all(
        row["state"] == "ready" and (row["supervised"] or {}).get("phase") == "watching"
        and (row["supervised"] or {}).get("health") in ("working", "silent") for row in rows)


@dataclass
class Seen:
    """What somebody who looks after a host noticed of a fault."""

    detection_ms: float | None = None
    recovery_ms: float | None = None
    cause: str = ""


def seen_by_root(session: Session, fault_ns: int) -> Seen:
    """Until the first incident was noticed, and until the last one that followed it was repaired. Of refreshes by the clock the
    first one counts alone: the next ones have nothing to repair."""
    since = [each for each in incidents(session)
             if each["seen_ns"] >= fault_ns and each["outcome"] in ("repaired", "stopped", "open")]
    if not since:
        return Seen()
    first, last = since[0], since[-1]
    if first["cause"] == "refresh":
        last = first
    seen = Seen((first["seen_ns"] - fault_ns) / 1e6, cause=", ".join(each["cause"] for each in since[:4]))
    end = last["serving_ns"] or last["repaired_ns"]
    if end and last["outcome"] == "repaired":
        seen.recovery_ms = (end - first["seen_ns"]) / 1e6
    return seen


# Looks once a second, as a monitoring host would, and does what the manuals say: a driver domain that is gone is created
# anew, and the interfaces of its guests are attached anew, for its id is another.
OPERATOR = f"""#!/bin/sh
now() {{ awk '{{ printf "%.0f", $1 * 1e9 }}' /proc/uptime; }}
while sleep 1; do
  state=$(xl list netdom 2> /dev/null | awk 'NR == 2 {{ print $5 }}')
  case $state in
    *p*) echo "seen $(now) paused"; xl unpause netdom; echo "repaired $(now)"; continue ;;
    *c* | '') echo "seen $(now) ${{state:-gone}}" ;;
    *) continue ;;
  esac
  [ -z "$state" ] || xl destroy netdom
  guest netdom --task /lab/driver.sh --archive /lab/driver.cpio --memory {DOMAIN_MIB} --extra 'pci = ["{CARD}"]
driver_domain = 1
' || continue
  id=$(xl domid netdom)
  wait-for 60 xenstore-exists "/local/domain/$id/data/ready"
  while read -r name vif; do
    xl network-detach "$name" 0
    sleep 1  # one that comes back before the guest's kernel has looked has never vanished for it, and is not taken up
    xl network-attach "$name" $vif  # its words are arguments of their own
  done < /tmp/operator.vifs
  echo "repaired $(now)"
done
"""


def start_operator(session: Session, vifs: dict[str, str]) -> None:
    """`vifs`: of each guest, as xl network-attach takes it."""
    session.put("".join(f"{name} {vif}\n" for name, vif in vifs.items()).encode(), "/tmp/operator.vifs")
    session.put(OPERATOR.encode(), "/tmp/operator.sh")
    session.start("sh -x /tmp/operator.sh > /tmp/operator.log 2>&1")  # its trace tells what xl said


def seen_by_operator(session: Session, fault_ns: int) -> Seen:
    seen = Seen()
    begun = 0
    for line in must(session, "cat /tmp/operator.log").splitlines():
        words = line.split()
        if len(words) < 2 or words[0] not in ("seen", "repaired") or int(words[1]) < fault_ns - 20_000_000:
            continue
        if words[0] == "seen" and not begun:
            begun = int(words[1])
            seen.detection_ms, seen.cause = max(0.0, (begun - fault_ns) / 1e6), words[2]
        elif words[0] == "repaired" and begun:
            seen.recovery_ms = (int(words[1]) - begun) / 1e6
    return seen


def brought(policy: str, folder: Path) -> dict[str, Path]:
    """Files of dom0."""
    path = folder / f"root-{policy}.toml"
    path.write_text(configuration(policy))
    return {"/lab/root.toml": path}
