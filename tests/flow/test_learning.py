"""What was learned of routes outlives a restart, and each change of a weight is a line of its history."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dastak.carriers import learning as learning_module
from dastak.carriers.learning import NAME, Learning
from dastak.core.carrier import Carrier, CarrierKind
from dastak.core.errors import Overloaded
from dastak.core.events import MessageRefused, MessageSubmitted
from dastak.core.message import CarrierRef, MessageKey
from dastak.core.outcome import Outcome
from dastak.core.tenant import Mode
from dastak.core.verification import Typed
from dastak.delivery.breaker import TIMEOUTS_IN_A_ROW, BreakerState
from dastak.delivery.health import Health
from dastak.delivery.networks import Place
from dastak.delivery.routing import RouteTable
from dastak.store.sqlite import SqliteStore
from tests.support.house import FakeClock, ScriptedRoute
from tests.support.samples import NOW, checking, ms, settling, some_opening, some_verification, submitting
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
    for _ in range(TIMEOUTS_IN_A_ROW):
        health.on_event(some_verification(), timed_out)


async def test_scores_outlive_a_restart(store: SqliteStore) -> None:
    taken = MessageSubmitted(int(NOW.timestamp() * 1000), 0, "north", "ref", 20)
    async with learning(store) as before:
        before.health.watch({"north": 1})
        for _ in range(30):
            before.health.on_event(some_verification(), taken)
        figures = [one.figures for one in before.health.standings()]

    async with learning(store) as after:
        assert figures != []
        assert [one.figures for one in after.health.standings()] == figures


async def test_change_of_a_weight_is_written_with_who_and_why(store: SqliteStore) -> None:
    async with learning(store) as learned:
        learned.health.watch({"north": 1})
        fail(learned.health, "north")

    (line,) = await store.carrier_history("north", limit=10)
    assert learned.health.breakers()["north"].state is BreakerState.OPEN
    assert (line.who, line.what, line.before) == ("health", "demoted", '{"factor":1.0}')
    assert line.why == f"breaker open: {TIMEOUTS_IN_A_ROW} messages in a row were not answered"
    assert msgspec.json.decode(line.after)["factor"] == 0.0


def broken(health: Health, *, revision: int) -> None:
    health.watch({"north": revision})
    fail(health, "north")


async def test_open_breaker_outlives_a_restart_and_its_end_is_written(store: SqliteStore) -> None:
    async with learning(store) as before:
        broken(before.health, revision=1)

    async with learning(store) as after:
        table = RouteTable(judge=after.health)
        table.replace([(Carrier(name="north", kind=CarrierKind.SMPP, revision=1), ScriptedRoute("north"))])
        state = after.health.breakers()["north"].state
        table.replace([])

    lines = await store.carrier_history("north", limit=10)
    assert state is BreakerState.OPEN
    assert [(line.what, line.why) for line in lines] == [
        ("recovered", "breaker closed: it is not used any more"),
        ("demoted", f"breaker open: {TIMEOUTS_IN_A_ROW} messages in a row were not answered"),
    ]
    assert [msgspec.json.decode(line.after)["revision"] for line in lines] == [2, 1]


@pytest.mark.parametrize(
    ("revision", "restarted"),
    [(1, 2), (0, 0)],
    ids=["changed_while_stopped", "in_the_settings_file"],
)
async def test_restart_of_a_mended_carrier_is_a_fresh_start(
    store: SqliteStore, revision: int, restarted: int
) -> None:
    async with learning(store) as before:
        broken(before.health, revision=revision)

    async with learning(store) as after:
        after.health.watch({"north": restarted})
        assert not after.health.trips("north")


async def test_low_score_is_told_once_and_its_end_after_a_restart(store: SqliteStore) -> None:
    at_s, place = NOW.timestamp(), Place("IN")
    taken = MessageSubmitted(int(at_s * 1000), 0, "north", "ref", 1)
    async with learning(store) as before:
        before.health.watch({"north": 1, "south": 1})
        for route, value in (("north", 0.0), ("south", 1.0)):
            for _ in range(200):
                before.health.scores.note(route, place, "arrived", value, now_s=at_s)
        before.health.on_event(some_verification(), taken)
        before.health.tick(at_s)
        before.health.tick(at_s + 1)

    async with learning(store) as after:
        after.health.watch({"north": 1, "south": 1})
        for n in range(600):
            after.health.scores.note("north", place, "arrived", 1.0, now_s=at_s + n)
        after.health.tick(at_s + 600)

    lines = await store.carrier_history("north", limit=10)
    assert [(line.what, line.why) for line in lines] == [
        ("recovered", "IN: its score came back"),
        ("demoted", "IN: its score fell behind that of the best route"),
    ]
    assert msgspec.json.decode(lines[1].after)["figures"]["arrived"] < 0.5


async def test_what_another_version_learned_is_no_reason_not_to_start(store: SqliteStore) -> None:
    await store.learn(NAME, b'{"something": "else"}')

    async with learning(store) as begun:
        assert [one.figures for one in begun.health.standings()] == []


async def test_node_that_learned_nothing_does_not_write_over_what_another_one_did(store: SqliteStore) -> None:
    taken = MessageSubmitted(int(NOW.timestamp() * 1000), 0, "north", "ref", 20)
    async with learning(store) as idle:
        idle.health.watch({})
        async with learning(store) as sends:
            sends.health.watch({"north": 1})
            sends.health.on_event(some_verification(), taken)
        kept = await store.learned(NAME)

    assert kept == sends.health.snapshot()
    assert await store.learned(NAME) == kept


async def test_receipt_and_code_that_came_to_other_nodes_are_learned_before_silence_is_judged(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the database cannot tell now it tells later, and nobody is judged until then."""
    monkeypatch.setattr(learning_module, "TICK_S", 0.001)
    clock, carrier = FakeClock(), CarrierRef("north", "ref-1")
    verification = some_verification(mode=Mode.LIVE)
    await store.open(some_opening(verification))
    await store.decide(MessageKey(verification.id, 0), submitting(carrier))
    await store.decide(carrier, settling(carrier, Outcome.DELIVERED, NOW + timedelta(seconds=3)))
    await store.decide(verification.id, checking(Typed.RIGHT, NOW + timedelta(seconds=9)))
    asked, answers, read = 0, asyncio.Event(), store.timelines

    async def timelines(wanted: Any) -> Any:
        nonlocal asked
        asked += 1
        if not answers.is_set():
            raise Overloaded("The database is away.")
        return await read(wanted)

    monkeypatch.setattr(store, "timelines", timelines)
    async with Learning(store, clock, lambda tell: Health(tell=tell)) as learned:
        health = learned.health
        health.watch({"north": 1})
        health.on_event(verification, MessageSubmitted(ms(NOW), 0, "north", "ref-1", 12))
        before = health.scores.figures("north", Place("IN"), now_s=NOW.timestamp())
        clock.advance(1_000)
        async with asyncio.timeout(30):
            while asked < 3:  # noqa: ASYNC110 - it is asked by a clock
                await asyncio.sleep(0.001)
            unjudged = health.scores.figures("north", Place("IN"), now_s=NOW.timestamp())
            answers.set()
            while health.unheard(clock.now().timestamp()):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        after = health.scores.figures("north", Place("IN"), now_s=NOW.timestamp())

    assert (unjudged.arrived, unjudged.entered) == (before.arrived, before.entered)
    assert after.arrived > before.arrived
    assert after.entered > before.entered
