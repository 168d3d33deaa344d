"""Which class each fault of a boot falls into, from what clients were told and nothing else."""

from dataclasses import dataclass, field

from campaign.drill import Injected
from campaign.plan import Fault

UNSEEN = "recovered unseen"
ERROR = "recovered, error shown"
STOPPED = "stopped loudly"
WRONG = "wrong"
REFUSED = "not done"  # there was nothing of that ground, or the moment did not come
CLASSES = (UNSEEN, ERROR, STOPPED, WRONG, REFUSED)


@dataclass
class Case:
    fault: Fault
    injected: Injected
    kind: str = UNSEEN
    outage_ms: float | None = None  # longest wait of a client of dom0's that the fault fell into or came before
    reasons: list[str] = field(default_factory=list)
    incidents: list[dict] = field(default_factory=list)  # what root saw of it
    heard: dict[str, int] = field(default_factory=dict)  # what the load saw of it, counted

    @property
    def detection_ms(self) -> float | None:
        """From the fault until root saw it; nothing when it never had to."""
        return (self.incidents[0]["seen_ns"] - self.injected.dom0_ns) / 1e6 if self.incidents else None

    def as_dict(self) -> dict:
        return {"number": self.fault.number, "fault": self.fault.name, "words": self.fault.words,
                "target": self.injected.target, "when": self.fault.when, "seed": self.fault.seed, "class": self.kind,
                "outage_ms": self.outage_ms, "detection_ms": self.detection_ms,
                "seen_as": [each["cause"] for each in self.incidents],
                "repairs": [step["what"] for each in self.incidents for step in each["steps"]], "reasons": self.reasons,
                "heard": self.heard, "refused": self.injected.refused,
                "injection": self.injected.what}


def outage_ms(begin_ns: int, until_ns: int, next_ns: int, gaps: list[dict]) -> float:
    """The longest part of a client's wait that lies between the fault and the next one: before and after, it has other
    reasons. Waits that begin later than `until_ns` are not the fault's either."""
    waits = [min(gap["end_ns"], next_ns) - max(gap["begin_ns"], begin_ns) for gap in gaps
             if gap["end_ns"] > begin_ns and gap["begin_ns"] < until_ns]
    return max(waits, default=0) / 1e6


def classify(cases: list[Case], verdict: dict, guest: dict | None, churn: list[str], obituary: str,
             incidents: list[dict]) -> None:
    """Sets class, outage, reasons and incidents of the cases of one boot, which are in the order of their injection."""
    done = [case for case in cases if not case.injected.refused]
    for case in cases:
        if case.injected.refused:
            case.kind, case.reasons = REFUSED, [case.injected.refused]
    if not done:
        _blame(cases[-1:], verdict, guest)
        return
    for at, case in enumerate(done):
        begin = case.injected.dom0_ns
        end = done[at + 1].injected.dom0_ns if at + 1 < len(done) else 1 << 63
        case.incidents = [each for each in incidents
                          if begin <= each["seen_ns"] < end and each["outcome"] in ("repaired", "stopped", "open")]
        if not case.injected.healed:
            case.reasons.append("the store did not get all its members back")
        # What happens within two seconds is this fault's; a later wait has another reason.
        case.outage_ms = outage_ms(begin, min(end, begin + 2_000_000_000), end, verdict["gaps"])
        errors = [each for each in verdict["errors"] if begin <= each["time_ns"] < end]
        failed = [line for line in churn if _failed(line, begin, end)]
        if errors:
            kinds = sorted({f"{each['op']}: {each['error']}" for each in errors})
            case.reasons += [f"{len(errors)} errors shown ({', '.join(kinds)})"]
        case.reasons += [f"xl {line}" for line in failed]
        if errors or failed:
            case.kind = ERROR
        if not case.injected.served:
            case.kind = STOPPED if obituary else WRONG
            case.reasons.append(obituary or "clients are not served, and nothing says so")
        broken = [each for each in verdict["violations"] if begin <= each["time_ns"] < end]
        _judge(case, broken)
    first = done[0].injected.dom0_ns
    early = [each for each in verdict["violations"] if each["time_ns"] < first]
    if early:
        _judge(done[0], early)
    if guest and guest["violations"]:
        _judge(done[-1], [{**each, "rule": f"guest: {each['rule']}"} for each in guest["violations"]])
    if guest and guest["errors"] and done[-1].kind == UNSEEN:
        done[-1].kind = ERROR
        done[-1].reasons.append(f"{len(guest['errors'])} errors shown to a guest, somewhere in this boot")


def _blame(cases: list[Case], verdict: dict, guest: dict | None) -> None:
    """Nothing was done in this boot, so nothing may be broken: else load or judge are at fault."""
    broken = verdict["violations"] + (guest["violations"] if guest else [])
    for case in cases:
        _judge(case, broken)


def _judge(case: Case, broken: list[dict]) -> None:
    if broken:
        case.kind = WRONG
        case.reasons += [f"{each['rule']}: {each['key']}: {each['text']}" for each in broken[:5]]


def _failed(line: str, begin_ns: int, end_ns: int) -> bool:
    """Does a line of the churn tell of an `xl` that failed, and that the fault fell into?"""
    words = line.split()
    if len(words) != 4 or words[3] == "0":
        return False
    return float(words[0]) * 1e9 < end_ns and float(words[1]) * 1e9 >= begin_ns
