"""Wire the gate before the API: whose keys count, and which figures it shows."""

import time

from dastak.api.gate import Gate
from dastak.guard.shedding import Shedding
from dastak.telemetry.metrics import Metrics
from dastak.tenancy.directory import Directory


def make_gate(directory: Directory, metrics: Metrics) -> Gate:
    """Make the gate, with nobody inside."""
    shedding = Shedding(time.monotonic())
    metrics.watch("dastak_queue_delay_seconds", lambda: shedding.delay_s)
    metrics.watch("dastak_requests_window", lambda: shedding.window)
    metrics.watch("dastak_requests_in_flight", lambda: shedding.under_way)
    return Gate(
        shedding,
        caller_of=directory.caller,
        time_s=time.monotonic,
        on_shed=metrics.on_shed,
    )
