"""Figures of the paper, printed beside ours: "Fine-Grained Fault Tolerance for Resilient pVM-based Virtual Machine
Monitors" (DSN 2020), evaluation. Other hardware: compare ratios."""

# E5: latencies over vanilla Xen (mean, p95, p99), and ab requests per second lost.
OVERHEAD = {"fg": {"mean": 0.124, "p95": 0.173, "p99": 0.123, "ab": 0.12},
            "cg": {"mean": 0.124, "p95": 0.173, "p99": 0.123, "ab": 0.15},
            "tfd": {"mean": 0.0288, "p95": 0.1787, "p99": 0.1377, "ab": 0.1331},
            "xoar": {"ab": 11.30}}
AB_VANILLA = 123.0  # requests per second
# E3, a crash of the NIC driver. HPL-2009-115 recovered most of them in under 10 ms.
DETECTION_MS = {"fg": 27.27, "cg": 98.2, "tfd": 102.1, "xoar": 52_000.0}
RECOVERY_MS = {"fg": 4_700.0, "cg": 6_900.0, "tfd": 800.0, "xoar": 6_900.0}
LOST_OUTGOING = {"fg": 0, "cg": 425_866, "tfd": 2_379, "xoar": 1_870_921}
AB_WITH_FAULT = {"tfd": 45.0, "fg": 42.0, "cg": 29.0, "xoar": 9.0}
SESSIONS = {"fg": "kept", "cg": "broken", "tfd": "broken", "xoar": "broken"}


def overhead_lines() -> list[str]:
    return ["paper, over vanilla Xen: FG and CG at most 12.4 % (mean), 17.3 % (p95), 12.3 % (p99) more latency; TFD-Xen 2.88, "
            "17.87, 13.77 %;", "ab, requests/s less: FG 12 %, CG 15 %, TFD-Xen 13.31 %; Xoar 1130 % more time"]
