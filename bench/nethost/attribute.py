"""Which fault of a boot a loss, a broken connection or a wrong byte belongs to. Pure: from what the loads told, all of it on
dom0's clock, to the class of each fault.

A loss is known when a later packet's answer tells of it. The next fault comes only when packets and streams have been served
that began after all was well, so what is known before the next fault is of this one, and what is known before the first
one, or when nothing was done at all, is a problem of the run."""

from dataclasses import dataclass, field

from campaign.classify import ERROR, REFUSED, STOPPED, UNSEEN, WRONG, Case, outage_ms

# What the load may see. A network may lose packets that come in: those that the device had and nobody had taken yet. What a
# guest has sent is to arrive.
LOST, INCOMING, BROKEN, BAD, DAMAGED = "lost", "lost, incoming", "broken", "wrong", "damaged"
TEXTS = {LOST: "packets lost that a guest had sent", BROKEN: "connections broken", BAD: "streams with wrong bytes",
         DAMAGED: "damaged packets"}
CLASS_OF = {LOST: ERROR, BROKEN: ERROR, BAD: WRONG, DAMAGED: WRONG}
# After a fault's recovery is over, whatever it did may still take so long to be known.
LATE_NS = 500_000_000


@dataclass(frozen=True)
class Event:
    """Something that the load saw, and when it was known, on dom0's clock."""

    kind: str
    known_ns: int
    count: int
    where: str           # between whom
    detail: str = ""


@dataclass
class Heard:
    """All that the loads of a boot told."""

    events: list[Event] = field(default_factory=list)
    gaps: list[dict] = field(default_factory=list)    # {"begin_ns", "end_ns"}: nothing got through
    problems: list[str] = field(default_factory=list)
    packets: int = 0                                  # judged, both ways
    bytes: int = 0


def take_packets(heard: Heard, where: str, told: dict, outside: bool) -> None:
    """Of a `udpseq run --journal-ms`. `outside`: what comes back is no guest's."""
    journal = told["journal"]
    for kind, name in ((LOST, "lost_there"), (INCOMING if outside else LOST, "lost_back"), (DAMAGED, "damaged_there"),
                       (DAMAGED, "damaged_back")):
        heard.events += [Event(kind, each["known_ns"], each["packets"], where) for each in journal[name]]
    heard.gaps += journal["gaps"]
    heard.packets += told["back"]["received"]
    there = told["there"]
    if there is None:
        heard.problems.append(f"{where}: no report of the packets' far end")
        return
    heard.packets += there["received"]
    for way, tally in (("there", there), ("back", told["back"])):
        if tally["overflowed"]:
            heard.problems.append(f"{where}: the receiver had no room for {tally['overflowed']} packets {way}")


def take_streams(heard: Heard, where: str, told: dict, end_ns: int) -> None:
    """Of a `netload check`, which was over at `end_ns`."""
    heard.bytes += told["there_bytes"] + told["back_bytes"]
    sick = 0
    for number, stream in enumerate(told["streams"]):
        if stream["wrong_ns"]:
            heard.events.append(Event(BAD, stream["wrong_ns"], 1, where, f"stream {number}"))
            sick += 1
        if not stream["done"]:
            heard.events.append(Event(BROKEN, stream["broken_ns"] or end_ns, 1, where, stream["why"]))
    if told["wrong"] > sick:  # the counts of both ends differ, and neither saw a wrong byte
        heard.events.append(Event(BAD, end_ns, told["wrong"] - sick, where, "bytes are missing"))


def attribute(cases: list[Case], heard: Heard, incidents: list[dict]) -> list[str]:
    """Sets class, reasons, outage and incidents of the cases of one boot, which are in the order of their injection. What
    no fault can be blamed for is returned."""
    done = [case for case in cases if not case.injected.refused]
    for case in cases:
        if case.injected.refused:
            case.kind, case.reasons = REFUSED, [case.injected.refused]
    # A system that is down in the end gives no report.
    problems = list(heard.problems) if not done or done[-1].injected.healed else []
    of_case: list[list[Event]] = [[] for _ in done]
    for event in sorted(heard.events, key=lambda each: each.known_ns):
        at = sum(case.injected.dom0_ns <= event.known_ns for case in done) - 1
        if at < 0:
            problems.append(f"{_text(event)}, before any fault")
        else:
            of_case[at].append(event)
    for at, case in enumerate(done):
        begin = case.injected.dom0_ns
        end = done[at + 1].injected.dom0_ns if at + 1 < len(done) else 1 << 63
        case.incidents = [each for each in incidents
                          if begin <= each["seen_ns"] < end and each["outcome"] in ("repaired", "stopped", "open")]
        case.outage_ms = round(outage_ms(begin, min(end, begin + 2_000_000_000), end, heard.gaps), 3)
        _judge(case, of_case[at])
    return problems


def _judge(case: Case, events: list[Event]) -> None:
    kinds = [CLASS_OF[event.kind] for event in events if event.kind in CLASS_OF]
    over = _over_ns(case)
    for event in events:
        case.heard[event.kind] = case.heard.get(event.kind, 0) + event.count
        if event.kind in TEXTS:
            late = (event.known_ns - over) / 1e9
            case.reasons.append(_text(event) + (f", {late:.1f} s after all was well" if event.known_ns > over + LATE_NS else ""))
    if not case.injected.healed:
        stopped = [f"{each['unit']}: {each['cause']}: {each['detail']}" for each in case.incidents
                   if each["outcome"] == "stopped"]
        kinds.append(STOPPED if stopped else WRONG)
        case.reasons += stopped or [f"not well again, and nothing says so: {case.injected.what.get('problem', '')}"]
    case.kind = next((kind for kind in (WRONG, STOPPED, ERROR) if kind in kinds), UNSEEN)


def _over_ns(case: Case) -> int:
    """When all was well again, by the drill's word."""
    what = case.injected.what
    return case.injected.dom0_ns + int((what.get("served_ms", 0.0) + what.get("well_ms", 0.0)) * 1e6)


def _text(event: Event) -> str:
    return f"{event.count} {TEXTS.get(event.kind, 'incoming packets lost')}, {event.where}" \
        + (f" ({event.detail})" if event.detail else "")
