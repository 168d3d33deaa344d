"""What a campaign on net_uk will do, decided before it begins: fault number K depends on the seed and on K alone."""

import random

from campaign.plan import MOMENTS, Fault

# Weight, words of `ppvmm inject` or the name of one of net_faults.FAULTS, a name for the tables.
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
    (2, ["bit-flip", "--where", "vitals"], "bit in vitals"),
    (4, ["wild-write", "--where", "heap"], "wild write to heap"),
    (4, ["wild-write", "--where", "data"], "wild write to data"),
    (6, ["destroy"], "domain destroyed"),
    (4, ["kill-supervisor"], "root killed"),
    (3, ["wild-rip", "kill-supervisor"], "crash and root killed"),
    (2, ["destroy", "kill-supervisor"], "domain destroyed and root killed"),
    (8, ["driver data"], "driver's data overwritten"),
    (6, ["driver code"], "driver's code overwritten"),
    (5, ["device reset"], "device reset"),
    (8, ["device stuck"], "device stuck"),
    (5, ["netback code"], "netback's code overwritten"),
]


def draw(seed: int, number: int) -> Fault:
    dice = random.Random(f"ppvmm net campaign {seed} {number}")
    _, words, name = dice.choices(FAULTS, [weight for weight, _, _ in FAULTS])[0]
    return Fault(number, name, list(words), "net_uk", 0, dice.choice(MOMENTS), dice.uniform(0.2, 1.2), dice.getrandbits(31))


def plan(seed: int, first: int, count: int) -> list[Fault]:
    return [draw(seed, number) for number in range(first, first + count)]
