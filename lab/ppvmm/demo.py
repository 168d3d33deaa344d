"""`./ppvmm demo`: a real Xen host on three XenStore_uk, what is done to them, its timeline, and a report of it."""

import time
from pathlib import Path

from ppvmm import report, scenario, term, traffic
from ppvmm.term import say

# What a visitor is told, by the event that the machine reported.
TOLD = {
    "Xen up": "Xen is up",
    "dom0 userland up": "dom0 runs",
    "XenStore_uk starting": "root builds the XenStore domains",
    "XenStore ready": "{store} ready: it answered its first request",
    "primary killed": "✗ the XenStore is killed in the middle of a guest's creation (bad instruction pointer)",
    "primary serves again": "✓ its next life has answered a request",
    "primary killed again": "✗ and killed again (code overwritten)",
    "backup corrupted": "✗ a bit is flipped in a replica's tree",
    "primary corrupted": "✗ a bit is flipped in the primary's tree",
    "root killed": "✗ the supervisor is killed (SIGKILL) ...",
    "primary killed without root": "✗ ... and the XenStore with nobody to see it",
    "root has adopted what runs": "✓ the supervisor is back, and has repaired what happened meanwhile",
    "dom0 attached": "dom0 is attached to it, through its own kernel",
    "guest created": "an unmodified xl has created an unmodified Linux guest",
    "guest userland up": "the guest's userland runs",
    "guest userland talks to XenStore": "the guest reads and writes XenStore through its own kernel",
    "guest saw dom0's answer": "the guest's watch saw what dom0 wrote",
    "guest destroyed": "xl has destroyed the guest, and nothing of it is left in the tree",
    "net_uk has its card": "net_uk drives the Intel card, behind the IOMMU",
    "a page is fetched from outside, again and again": "another guest serves a page through it, fetched from outside again and again",
    "driver killed": "✗ net_uk's card driver is damaged",
    "driver replaced": "✓ net_uk has replaced its driver",
    "netback damaged": "✗ net_uk's netback is overwritten",
    "netback made anew": "✓ net_uk has made its netback anew",
    "net_uk killed": "✗ net_uk is killed (bad instruction pointer)",
    "net_uk goes on": "✓ root has entered it again, with card and guest where they were",
    "the outside has counted": "the outside has counted what it got",
    "the web guest is destroyed": "xl has destroyed the guest",
}


def run(json_file: Path | None, settings: list[str]) -> int:
    """Boots, shows, writes the report. Exit code 0 only when all of it was observed."""
    chosen = scenario.load("demo")
    chosen.variant.apply(settings)
    store = "XenStore_uk ×3" if chosen.variant.xenstore == "ppvmm" else chosen.variant.xenstore
    say(f"booting Debian's Xen under QEMU, with {store} as the host's XenStore")
    seen = traffic.Traffic()
    outcome = scenario.run(chosen, json_file, verbose=True, spectator=seen)
    seen.end()
    events = [dict(event, text=TOLD[event["what"]].format(store=store))
              for event in outcome.result.events if event["what"] in TOLD]
    checks = outcome.result.extra.get("checks", [])
    page = report.write(outcome, events, checks, store, time.monotonic() - term.START, traffic.figure(seen))
    print("\nTimeline (seconds since Xen started)")
    for event in events:
        print(f"  {event['t_ms'] / 1000:8.3f}  {event['text']}")
    print(f"\n{sum(check['ok'] for check in checks)} of {len(checks)} checks in dom0 and in the guest passed.")
    for problem in outcome.problems:
        print(f"PROBLEM: {problem}")
    print(f"Report: {page}\nResult: {outcome.folder / 'result.json'}")
    print(f"{'All of it was observed' if outcome.ok else 'The demo FAILED'}, in {time.monotonic() - term.START:.0f} s.")
    return 0 if outcome.ok else 1
