"""What a campaign on net_uk will do, decided before it begins: fault number K depends on the seed and on K alone."""

import random

from campaign import plan as plans
from campaign.plan import MOMENTS, Fault

# Of the faults on any unikernel, those whose ground net_uk has; and the names of net_faults.FAULTS.
FAULTS = [
    *[fault for fault in plans.FAULTS if not set(fault[1]) & set(plans.STORE_ONLY)],
    (8, ["driver data"], "driver's data overwritten"),
    (6, ["driver code"], "driver's code overwritten"),
    (5, ["device reset"], "device reset"),
    (8, ["device stuck"], "device stuck"),
    (5, ["netback code"], "netback's code overwritten"),
]


def draw(seed: int, number: int) -> Fault:
    dice = random.Random(f"ppvmm net campaign {seed} {number}")
    _, words, name = dice.choices(FAULTS, [weight for weight, _, _ in FAULTS])[0]
    return Fault(number, name, list(words), "net_uk", 0, dice.choice(MOMENTS), dice.uniform(0.02, 0.3), dice.getrandbits(31))


def plan(seed: int, first: int, count: int) -> list[Fault]:
    return [draw(seed, number) for number in range(first, first + count)]
