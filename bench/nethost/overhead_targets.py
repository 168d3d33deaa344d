"""What E5 asks of net_uk, judged from the records of one run and nothing else."""

PEERS = ("linux-dom0", "linux-domain")
OURS = "net_uk"
STREAMS = ("TCP to the guest", "TCP from the guest", "TCP both ways", "TCP guest to guest")
PACKETS = ("packets to the guest", "packets from the guest")
LATENCIES = ("HTTP, p99", "round trip, p99", "round trip guest to guest, p99")


def records_of(result) -> dict:
    return {(each["system"], each["metric"]): each for each in result.records()}


def better(records: dict, metric: str, more: bool) -> tuple[str, float] | None:
    """The Linux back-end that does better in the mean of `metric`."""
    found = [(records[system, metric]["mean"], system) for system in PEERS if (system, metric) in records]
    if not found:
        return None
    value, system = max(found) if more else min(found)
    return system, value


def ratio_of(records: dict, metric: str, more: bool) -> float | None:
    peer = better(records, metric, more)
    mine = records.get((OURS, metric))
    return mine["mean"] / peer[1] if peer and mine and peer[1] else None


def targets(result) -> None:
    """Of the records of this run and nothing else."""
    records = records_of(result)

    def judge(name: str, metric: str, more: bool, limit: float) -> None:
        ratio = ratio_of(records, metric, more)
        if ratio is not None:
            met = ratio >= limit if more else ratio <= limit
            result.add_target(f"{name}: net_uk / better Linux", f"{'>=' if more else '<='} {limit:g}", round(ratio, 4), met)
    for metric in STREAMS:
        judge(f"throughput, {metric}", metric, True, 1.0)
    for metric in PACKETS:
        judge(metric, metric, True, 1.0)
    judge("HTTP requests", "HTTP requests", True, 1.0)
    for metric in LATENCIES:
        judge(metric, metric, False, 1.0)
    for metric in STREAMS:
        judge(f"CPU per gigabyte, {metric}", f"CPU, {metric}", False, 0.7)
