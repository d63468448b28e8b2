"""What was learned of routes outlives a restart, and each change of a weight is a line of its history."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from dastak.carriers.learning import NAME, Learning
from dastak.core.events import MessageRefused, MessageSubmitted
from dastak.core.outcome import Outcome
from dastak.delivery.breaker import TIMEOUTS_IN_A_ROW, BreakerState
from dastak.delivery.health import Health
from dastak.store.sqlite import SqliteStore
from tests.support.house import FakeClock
from tests.support.samples import NOW, some_verification
from tests.support.stores import open_sqlite


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with open_sqlite(tmp_path) as opened:
        yield opened


def learning(store: SqliteStore) -> Learning:
    return Learning(store, FakeClock(), lambda tell: Health(tell=tell))


def fail(health: Health, route: str) -> None:
    at_ms = int(NOW.timestamp() * 1000)
    timed_out = MessageRefused(at_ms, 0, route, "carrier_unavailable", Outcome.NETWORK_TEMPORARY)
    health.on_events(some_verification(), [timed_out] * TIMEOUTS_IN_A_ROW)


async def test_scores_outlive_a_restart(store: SqliteStore) -> None:
    taken = MessageSubmitted(int(NOW.timestamp() * 1000), 0, "north", "ref", 20)
    async with learning(store) as before:
        before.health.watch({"north": 1})
        for _ in range(30):
            before.health.on_events(some_verification(), [taken])
        figures = before.health.figures()

    async with learning(store) as after:
        assert figures != []
        assert after.health.figures() == figures


async def test_change_of_a_weight_is_written_with_who_and_why(store: SqliteStore) -> None:
    async with learning(store) as learned:
        learned.health.watch({"north": 1})
        fail(learned.health, "north")

    (line,) = await store.carrier_history("north", limit=10)
    assert learned.health.breakers()["north"].state is BreakerState.OPEN
    assert (line.who, line.what, line.before) == ("health", "demoted", '{"factor":1.0}')
    assert line.why == f"breaker open: {TIMEOUTS_IN_A_ROW} messages in a row were not answered"
    assert msgspec.json.decode(line.after)["factor"] == 0.0


async def test_what_another_version_learned_is_no_reason_not_to_start(store: SqliteStore) -> None:
    await store.learn(NAME, b'{"something": "else"}')

    async with learning(store) as begun:
        assert begun.health.figures() == []
