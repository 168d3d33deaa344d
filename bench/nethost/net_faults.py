"""Faults to network back-ends, each done from outside of what it hits: to a unikernel by `ppvmm inject`, to a card through
its registers, to a Linux domain by what Xen and xl offer. No back-end is asked to fail."""

import json
from dataclasses import dataclass

from nethost.backends import CARD, must
from nethost.supervised import CARDS
from ppvmm import symbols
from ppvmm.session import Hung, Session

LINUX = ("linux-dom0", "linux-domain")
# Registers of the 82574L, datasheet 10.2.2.1 (device control), 10.2.6.1 (transmit control), and what a reset clears
# besides: interrupt mask, receive control, heads and tails of both rings.
CTRL, CTRL_RST = 0x0000, 1 << 26
TCTL, TCTL_EN = 0x0400, 1 << 1
ALL = 0xFFFFFFFF
IMC, RCTL, RDH, RDT, TDH, TDT = 0x00D8, 0x0100, 0x2810, 0x2818, 0x3810, 0x3818
# Where code is hit: functions that every packet goes through.
DRIVER_CODE = "ppvmm::net::nic::e1000e::E1000e::transmit("
NETBACK_CODE = "ppvmm::net::DataPath::read_guests("
DRIVER_TABLE = "vtable for ppvmm::net::nic::e1000e::E1000e"
# An object's virtual functions are found 16 bytes into the table (Itanium C++ ABI 2.5.2).
TABLE_HEAD = 16


# On a shared processor the start of a command in dom0 is a silence of its own, of some 20 ms. What it did is past, and guests
# have caught up, when the fault is done.
SETTLE_MS = 100
# Damage to memory is done when an event waits for the domain, so that it is met at once: what is measured is how long it takes
# to be seen, and not how long it lay there.
MET = "--when work"


@dataclass
class Done:
    what: str       # what was changed, for people
    dom0_ns: int    # when, on dom0's monotonic clock


def address_of(beginning: str) -> int:
    return symbols.address_of("net_uk", beginning)


def _clock(session: Session) -> int:
    return json.loads(must(session, "ppvmm-domlook usage"))["dom0_ns"]


def _inject(session: Session, unit: str, words: str, seed: int) -> Done:
    told = json.loads(must(session, f"ppvmm inject {unit} {words} --seed {seed} --settle-ms {SETTLE_MS} --limit-ms 5000 "
                                    "--json -"))["injections"][0]
    return Done(f"{told['fault']} at {told.get('address', '')} {told.get('symbol', '')}".strip(), told["dom0_ns"])


def _poke(session: Session, what: str, *changes: tuple[int, int, int], card: str = CARD) -> Done:
    """Changes registers from dom0, behind the driver's back: (offset, bits to keep, bits to set)."""
    told = json.loads(must(session, f"{_poke_command(registers(session, card), changes)} --settle-ms {SETTLE_MS}"))
    return Done(what, told["dom0_ns"])


def registers(session: Session, card: str = CARD) -> str:
    """Where a card's registers are in the host's memory."""
    return must(session, f"head -1 /sys/bus/pci/devices/0000:{card}/resource").split()[0]


def _poke_command(bar: str, changes) -> str:
    return f"ppvmm-domlook poke {bar} " + " ".join(f"{number:#x}" for change in changes for number in change)


def command_of(fault: str, unit: str, bar: str, seed: int) -> str:
    """A command in dom0 that does one of FAULTS to a unikernel whose card is at `bar`, and says so as `ppvmm inject --json -`
    does: for drills, which ask nothing from here."""
    inject = f"ppvmm inject {unit} {{}} --seed {seed} --limit-ms 5000 --json -"
    if fault == "device reset":
        return _poke_command(bar, RESET)
    if fault == "device stuck":
        return _poke_command(bar, STUCK)
    if fault == "driver code":
        return inject.format(f"overwrite --address {address_of(DRIVER_CODE):#x}")
    if fault == "netback code":
        return inject.format(f"overwrite --address {address_of(NETBACK_CODE):#x}")
    if fault == "driver data":
        table = address_of(DRIVER_TABLE) + TABLE_HEAD
        found = f"$(ppvmm-domlook find $(xl domid {unit}) /lab/bin/net_uk {table} | sed 's/[^0-9]*\\([0-9]*\\).*/\\1/')"
        return inject.format(f"wild-write --address {found}")
    raise ValueError(f"{fault!r} is no fault of a card")


# Changes to registers: (offset, bits to keep, bits to set). QEMU 7.2 answers CTRL.RST with a new MAC address filter only, so
# what the datasheet says that a reset clears is cleared here too.
RESET = ((CTRL, ALL, CTRL_RST), (IMC, 0, ALL), *((offset, 0, 0) for offset in (RCTL, TCTL, TDT, TDH, RDT, RDH)))
STUCK = ((TCTL, ALL & ~TCTL_EN, 0),)  # the transmitter is switched off


def device_reset(session: Session, system: str, unit: str, seed: int) -> Done:
    return _poke(session, "CTRL.RST, rings and masks cleared", *RESET, card=CARDS.get(unit, CARD))


def device_stuck(session: Session, system: str, unit: str, seed: int) -> Done:
    return _poke(session, "TCTL.EN cleared", *STUCK, card=CARDS.get(unit, CARD))


def driver_code(session: Session, system: str, unit: str, seed: int) -> Done:
    """In Linux damaged code of a driver is the end of its kernel, and is done as that."""
    if system == "linux-dom0":
        when = _clock(session)
        session.start("echo c > /proc/sysrq-trigger")
        return Done("kernel panic of dom0", when)
    if system == "linux-domain":
        when = _clock(session)
        must(session, f"xl sysrq {unit} c")
        return Done("kernel panic of the driver domain", when)
    return _inject(session, unit, f"overwrite --address {address_of(DRIVER_CODE):#x} {MET}", seed)


def driver_data(session: Session, system: str, unit: str, seed: int) -> Done:
    """Garbage over the beginning of the driver's object, which its virtual table tells from all others."""
    table = address_of(DRIVER_TABLE) + TABLE_HEAD
    domid = must(session, f"xl domid {unit}").strip()
    found = json.loads(must(session, f"ppvmm-domlook find {domid} /lab/bin/net_uk {table}"))["found"]
    if not found:
        raise Hung(f"no driver object was found in {unit}")
    return _inject(session, unit, f"wild-write --address {found[0]:#x} {MET}", seed)


def netback_code(session: Session, system: str, unit: str, seed: int) -> Done:
    return _inject(session, unit, f"overwrite --address {address_of(NETBACK_CODE):#x} {MET}", seed)


def rehearsed(session: Session, system: str, unit: str, seed: int) -> Done:
    """All that is done for one in netback's code, but nothing is changed: what doing it alone costs on a shared processor."""
    return _inject(session, unit, f"overwrite --address {address_of(NETBACK_CODE):#x} {MET} --rehearse", seed)


def vcpu_stopped(session: Session, system: str, unit: str, seed: int) -> Done:
    if system == "linux-domain":
        when = _clock(session)
        must(session, f"xl pause {unit}")
        return Done("domain paused", when)
    return _inject(session, unit, "stop-vcpu", seed)


def destroyed(session: Session, system: str, unit: str, seed: int) -> Done:
    if system == "linux-domain":
        when = _clock(session)
        must(session, f"xl destroy {unit}")
        return Done("domain destroyed", when)
    return _inject(session, unit, "destroy", seed)


# In the order of tables. Those that a system has no such part for are left out for it.
FAULTS = {"rehearsed": rehearsed, "driver data": driver_data, "driver code": driver_code, "device reset": device_reset,
          "device stuck": device_stuck, "netback code": netback_code, "vCPU stopped": vcpu_stopped,
          "destroyed": destroyed}
OF_LINUX = {"linux-dom0": ("device reset", "device stuck", "driver code"),
            "linux-domain": ("device reset", "device stuck", "vCPU stopped", "destroyed", "driver code")}


def faults_of(system: str, wanted: list[str]) -> list[str]:
    """Those of `wanted` that can be done to a system; what ends its host comes last."""
    order = OF_LINUX.get(system, tuple(FAULTS))
    return [fault for fault in order if fault in wanted]
