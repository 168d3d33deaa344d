"""What a campaign will do, decided before it begins: fault number K depends on the seed and on K alone."""

import random
from dataclasses import dataclass, field

# Weight, words of `ppvmm inject` (fault, then options), a name for the tables.
FAULTS = [
    (8, ["wild-rip"], "wild instruction pointer"),
    (4, ["null-rip"], "null call"),
    (6, ["random-rip"], "random instruction pointer"),
    (6, ["overwrite"], "code overwritten at the instruction"),
    (4, ["overwrite", "--where", "code"], "code overwritten anywhere"),
    (6, ["loop"], "code made a loop"),
    (4, ["stop-vcpu"], "vCPU stopped"),
    (3, ["pause"], "domain paused"),
    (5, ["lose-event"], "event lost"),
    (8, ["register"], "register bit"),
    (5, ["bit-flip", "--where", "code"], "bit in code"),
    (4, ["bit-flip", "--where", "constants"], "bit in constants"),
    (4, ["bit-flip", "--where", "data"], "bit in data"),
    (4, ["bit-flip", "--where", "bss"], "bit in bss"),
    (8, ["bit-flip", "--where", "heap"], "bit in heap"),
    (6, ["bit-flip", "--where", "stack"], "bit in stack"),
    (8, ["bit-flip", "--where", "tree"], "bit in tree"),
    (4, ["bit-flip", "--where", "log"], "bit in log"),
    (3, ["bit-flip", "--where", "checkpoint"], "bit in checkpoint"),
    (2, ["bit-flip", "--where", "vitals"], "bit in vitals"),
    (4, ["wild-write", "--where", "heap"], "wild write to heap"),
    (4, ["wild-write", "--where", "data"], "wild write to data"),
    (3, ["wild-write", "--where", "log"], "wild write to log"),
    (6, ["destroy"], "domain destroyed"),
    (4, ["kill-supervisor"], "root killed"),
    (3, ["wild-rip", "kill-supervisor"], "crash and root killed"),
    (2, ["destroy", "kill-supervisor"], "domain destroyed and root killed"),
]
# Ground that only a replica's region has.
REGION = ("log", "checkpoint")
# Ground that only a XenStore has.
STORE_ONLY = ("tree", *REGION)
MOMENTS = ("now", "now", "work", "running", "running")


@dataclass(frozen=True)
class Fault:
    number: int
    name: str
    words: list[str] = field(hash=False)  # fault and options for `ppvmm inject TARGET`
    role: str                             # primary or backup
    index: int                            # which backup
    when: str
    delay_s: float                        # after everything was well
    seed: int


def draw(seed: int, number: int) -> Fault:
    dice = random.Random(f"ppvmm campaign {seed} {number}")
    _, words, name = dice.choices(FAULTS, [weight for weight, _, _ in FAULTS])[0]
    words = list(words)
    where = words[words.index("--where") + 1] if "--where" in words else ""
    # Clients are at the primary, so most faults go there. Log and checkpoint lie with the backups.
    role = "backup" if where in REGION else dice.choices(("primary", "backup"), (3, 1))[0]
    when = dice.choice(MOMENTS)
    return Fault(number, name, words, role, dice.randrange(2), when, dice.uniform(0.02, 0.6), dice.getrandbits(31))


def plan(seed: int, first: int, count: int) -> list[Fault]:
    return [draw(seed, number) for number in range(first, first + count)]
