"""What Prometheus is told before anything has happened."""

import re

from dastak.core.tenant import Mode
from dastak.telemetry.metrics import _COUNTED, Metrics


def test_what_is_counted_by_its_kind_is_there_before_the_first_of_it() -> None:
    """A count that appears with its first event has not risen to Prometheus, and an alert misses that one."""
    told = Metrics().text().decode()
    shown = set(
        re.findall(r'^dastak_(?:verifications|messages)_total{event="(\w+)",mode="(\w+)"} 0\.0$', told, re.M)
    )

    assert {("reported", mode.value) for mode in Mode} | {("number_locked", Mode.LIVE.value)} <= shown
    assert len(shown) == len(_COUNTED) * len(Mode)
