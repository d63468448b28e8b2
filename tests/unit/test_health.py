"""What went well is counted in bulk; it teaches the same as if each message were looked at."""

from collections.abc import Sequence
from typing import Final

import pytest

from dastak.core import events
from dastak.core.errors import CarrierUnavailable
from dastak.core.outcome import Outcome
from dastak.core.tenant import Mode
from dastak.delivery.breaker import TIMEOUTS_IN_A_ROW, BreakerState
from dastak.delivery.health import Health
from dastak.delivery.networks import Place
from dastak.delivery.scores import Figures
from tests.support.samples import NOW, some_msisdn, some_verification

BEGIN_MS: Final = int(NOW.timestamp() * 1000)
INDIA: Final = Place("IN")


def submitted(n: int, at_ms: int) -> tuple[int, events.Event]:
    return n, events.MessageSubmitted(at_ms, 0, "north", f"ref-{n}", 40)


def delivered(n: int, at_ms: int) -> tuple[int, events.Event]:
    return n, events.MessageDelivered(at_ms, 0, "stat:DELIVRD")


def refused(n: int, at_ms: int) -> tuple[int, events.Event]:
    return n, events.MessageRefused(at_ms, 0, "north", CarrierUnavailable.code, Outcome.NETWORK_TEMPORARY, "")


def taught(told: Sequence[tuple[int, events.Event]], *, look_each: bool) -> Health:
    """Return what was learned, with a look at the figures after each event or only at the end."""
    health = Health()
    health.watch({"north": 1})
    for n, event in told:
        verification = some_verification(id=n.to_bytes(16, "big"), msisdn=some_msisdn(n), mode=Mode.LIVE)
        health.on_event(verification, event)
        if look_each:
            figures_of(health)
    return health


def figures_of(health: Health) -> Figures:
    return health.scores.figures("north", INDIA, now_s=BEGIN_MS / 1000 + 2)


def test_bulk_teaches_what_single_messages_teach() -> None:
    told = [
        step(n, BEGIN_MS + 10 * n + late)
        for n in range(100)
        for step, late in ((submitted, 0), (delivered, 5))
    ]

    bulk, single = figures_of(taught(told, look_each=False)), figures_of(taught(told, look_each=True))

    for name in ("score", "submitted", "unthrottled", "arrived", "prompt", "receipts"):
        assert getattr(bulk, name) == pytest.approx(getattr(single, name), rel=0.02), name
    assert (bulk.p50_s, bulk.p95_s) == (single.p50_s, single.p95_s)


def test_message_that_went_well_ends_a_row_of_those_that_did_not() -> None:
    silences = [refused(n, BEGIN_MS + n) for n in range(TIMEOUTS_IN_A_ROW)]
    broken_row = [*silences[:-1], submitted(100, BEGIN_MS + 50), silences[-1]]

    assert taught(silences, look_each=False).breakers()["north"].state is BreakerState.OPEN
    assert taught(broken_row, look_each=False).breakers()["north"].state is BreakerState.CLOSED


def test_message_that_tries_a_broken_route_counts_at_once() -> None:
    health = taught([refused(n, BEGIN_MS + n) for n in range(50)], look_each=False)
    assert health.breakers()["north"].state is BreakerState.OPEN
    health.tick(BEGIN_MS / 1000 + 60)
    assert health.breakers()["north"].state is BreakerState.HALF_OPEN
    for n in range(50, 60):
        verification = some_verification(id=n.to_bytes(16, "big"), msisdn=some_msisdn(n), mode=Mode.LIVE)
        health.on_event(verification, submitted(n, BEGIN_MS + 60_000)[1])

    assert health.breakers()["north"].state is BreakerState.CLOSED
