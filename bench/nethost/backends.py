"""The network back-ends compared. Each serves guests' vifs with the same card, and can be started and stopped in one boot."""

import shlex
from abc import ABC, abstractmethod

from ppvmm.session import Hung, Session

CARD = "00:10.0"
NAMES = {"linux-dom0": "Linux in dom0", "linux-domain": "Linux driver domain", "net_uk": "net_uk", "fg": "PpVMM, FG",
         "cg": "PpVMM, CG", "tfd": "TFD-Xen policy", "xoar": "Xoar policy"}
COLOURS = {"linux-dom0": "#9aa5b1", "linux-domain": "#d9a441", "net_uk": "#1f6f8b", "fg": "#1f6f8b", "cg": "#7fb2c2",
           "tfd": "#5d8a4f", "xoar": "#8a5a83"}
NETUK_LOG = "/var/log/xen/console/guest-net_uk.log"
# What net_uk needs for eight vifs (src/uk/net/README.md).
NETUK_MIB = 16
DOMAIN_MIB = 192


def must(session: Session, command: str, limit: float = 120.0) -> str:
    """Runs a command in dom0 that has to succeed."""
    done = session.run(command, limit)
    if not done.ok:
        why = "took too long" if done.timed_out else f"ended with {done.code}"
        raise Hung(f"in dom0, {command.splitlines()[0]!r} {why}: {(done.err or done.out).strip()[-500:]}")
    return done.out


class Backend(ABC):
    """One of them on the host of `session`."""

    name: str
    domain: str  # as xl knows it

    def __init__(self, session: Session):
        self.session = session

    @abstractmethod
    def start(self) -> float | None:
        """Takes the card, if there is one, and begins to serve; seconds until it did, for those that are domains."""

    @abstractmethod
    def stop(self) -> None:
        """Gives the card back to nobody. Guests must be gone."""

    @abstractmethod
    def vif(self, mac: str) -> str:
        """The vif line of a guest's configuration."""

    def domid(self) -> int:
        return 0 if self.domain == "Domain-0" else int(must(self.session, f"xl domid {self.domain}"))


class LinuxDom0(Backend):
    name = "linux-dom0"
    domain = "Domain-0"

    def start(self) -> float | None:
        must(self.session, f"""
while read -r module; do
  grep -q "^$(echo "$module" | tr - _) " /proc/modules || insmod "/usr/lib/modules/$module.ko"
done < /etc/modules.more
ip link add lan type bridge forward_delay 0
ip link set lan up
if xl pci-assignable-list | grep -q {CARD}; then xl pci-assignable-remove {CARD}; fi
cd /sys/bus/pci/devices/0000:{CARD}
[ -e driver ] || echo 0000:{CARD} > /sys/bus/pci/drivers/e1000e/bind
for each in net/*; do
  ip link set "${{each#net/}}" up
  ip link set "${{each#net/}}" master lan
done
for each in net/*; do wait-for 20 grep -q 1 "$each/carrier"; done""")
        return None

    def stop(self) -> None:
        must(self.session, "ip link del lan")

    def vif(self, mac: str) -> str:
        return f'vif = ["mac={mac},script=/lab/vif-plain"]'


class LinuxDomain(Backend):
    name = "linux-domain"
    domain = "netdom"

    def start(self) -> float | None:
        take(self.session)
        extra = shlex.quote(f'pci = ["{CARD}"]\ndriver_domain = 1\n')
        done = self.session.run(
            f"guest netdom --task /lab/driver.sh --archive /lab/driver.cpio --memory {DOMAIN_MIB} --extra {extra} && "
            "id=$(xl domid netdom) && until xenstore-exists /local/domain/$id/data/ready; do usleep 10000; done", 120)
        if not done.ok:
            raise Hung(self.session.where(f"the driver domain did not come up: {done.err.strip()[-500:]}"))
        return done.seconds

    def stop(self) -> None:
        must(self.session, "xl destroy netdom")

    def vif(self, mac: str) -> str:
        return f'vif = ["mac={mac},backend=netdom,script=/lab/vif-plain"]'


class NetUk(Backend):
    """Ours, alone: nobody watches it."""

    name = "net_uk"
    domain = "net_uk"

    def start(self) -> float | None:
        take(self.session)
        config = (f'name = "net_uk"\ntype = "pv"\nkernel = "/lab/bin/net_uk"\nmemory = {NETUK_MIB}\nvcpus = 1\n'
                  f'driver_domain = 1\ntsc_mode = "native"\npci = ["{CARD}"]\non_crash = "preserve"\n')
        self.session.put(config.encode(), "/tmp/net_uk.cfg")
        done = self.session.run(f"rm -f {NETUK_LOG}; xl create -q /tmp/net_uk.cfg && "
                                f"until grep -q 'wire: .* link up' {NETUK_LOG} 2> /dev/null; do usleep 5000; done", 60)
        if not done.ok:
            raise Hung(self.session.where(f"net_uk did not come up: {done.err.strip()[-500:]}"))
        return done.seconds

    def stop(self) -> None:
        must(self.session, "xl destroy net_uk")

    def vif(self, mac: str) -> str:
        return f'vif = ["mac={mac},backend=net_uk"]'


def take(session: Session, card: str = CARD) -> None:
    """Makes a card one that can be assigned, whoever has it."""
    must(session, f"xl pci-assignable-list | grep -q {card} || xl pci-assignable-add {card}")


OF = {each.name: each for each in (LinuxDom0, LinuxDomain, NetUk)}
