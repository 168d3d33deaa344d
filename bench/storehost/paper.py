"""Figures of the paper, printed beside ours: "Fine-Grained Fault Tolerance for Resilient pVM-based Virtual Machine
Monitors" (DSN 2020), evaluation. Other hardware: compare ratios."""

REQUESTS = {"create": 53, "destroy": 47, "save": 24, "vcpu-set": 12}  # its 24 are for a migration
CREATE_WRITES = 0.89
CREATION_S = {"xenstored": 4.445, "ppvmm": 5.346, "xoar": 6.741}
OVERHEAD = {"ppvmm": 0.2027, "xoar": 0.5165}
DETECTION_MS = {("ppvmm", "crash"): 1.54, ("ppvmm", "corruption"): 5.04, ("xoar", "crash"): 1000.0}
RECOVERY_MS = {("ppvmm", "crash"): 25.54, ("xoar", "crash"): 22.0}
CREATION_WITH_FAULT_S = {("ppvmm", "crash"): 5.349, ("ppvmm", "corruption"): 5.353}
SUCCEED = {"xenstored": "some fail", "xoar": "some fail", "ppvmm": "all"}
LATENCY_US = {("xoar", "read"): (1611, 27_000, 30_000), ("xoar", "write"): (1719, 27_000, 31_000),
              ("xenstored", "read"): "<= 160", ("xenstored", "write"): "<= 250",
              ("ppvmm", "read"): "<= 160", ("ppvmm", "write"): "<= 250"}
