"""`./ppvmm campaign`: random faults on a running system under a mixed load, and what came of each."""
