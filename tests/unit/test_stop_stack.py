"""A stop ends by its times, whatever its parts wait for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dastak import app_stop
from dastak.app_stop import ALL_BY_S, BINDS_BY_S, StopStack
from dastak.flows.worker import every
from dastak.store.postgres.postgres_lane import Connection, Lanes


class Forward:
    """The loop's clock, which runs to the next timer whenever everybody waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead_s, self._real = 0.0, loop.time
        monkeypatch.setattr(loop, "time", lambda: self._real() + self._ahead_s)

    def by(self, seconds: float) -> None:
        self._ahead_s += seconds


async def test_part_that_never_ends_is_left_and_those_below_it_are_closed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    clock = Forward(loop, monkeypatch)
    ended: list[tuple[str, float]] = []

    @asynccontextmanager
    async def well(name: str) -> AsyncIterator[None]:
        yield
        ended.append((name, loop.time() - began_at))

    @asynccontextmanager
    async def stuck(*, by_s: float) -> AsyncIterator[None]:
        yield
        loop.call_soon(clock.by, by_s)
        await asyncio.Event().wait()

    stack = StopStack()
    await stack.enter_async_context(well("database"))
    await stack.enter_async_context(stuck(by_s=ALL_BY_S - BINDS_BY_S))
    stack.by_s = BINDS_BY_S
    await stack.enter_async_context(stuck(by_s=BINDS_BY_S))
    await stack.enter_async_context(well("requests"))
    began_at = loop.time()
    stack.begin()

    await stack.aclose()

    assert [name for name, _ in ended] == ["requests", "database"]
    assert ended[-1][1] >= ALL_BY_S
    assert caplog.text.count("stuck did not end within") == 2


async def test_what_is_to_be_done_first_is_done_when_the_stop_begins() -> None:
    told: list[str] = []

    StopStack().begin(lambda: told.append("phones"))

    assert told == ["phones"]


async def test_part_that_fails_as_it_ends_keeps_no_other_from_ending() -> None:
    ended: list[str] = []

    @asynccontextmanager
    async def broken() -> AsyncIterator[None]:
        yield
        raise OSError("gone")

    @asynccontextmanager
    async def well() -> AsyncIterator[None]:
        try:
            yield
        finally:
            ended.append("well")

    stack = StopStack()
    await stack.enter_async_context(well())
    await stack.enter_async_context(broken())

    with pytest.raises(OSError, match="gone"):
        await stack.aclose()

    assert ended == ["well"]


async def test_bell_that_rings_as_the_stop_comes_keeps_nothing_alive() -> None:
    bell, done = asyncio.Event(), asyncio.Event()

    async def job() -> None:
        done.set()

    async with asyncio.timeout(30), every(3600, job, bell=bell):
        bell.set()
        await done.wait()
        # It waits again, and the wait ends in the same turn of the loop as the stop comes.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        bell.set()
        await asyncio.sleep(0)


async def test_reader_that_is_cancelled_as_it_gets_its_connection_is_cancelled() -> None:
    def opens() -> Connection:
        raise AssertionError("a cancelled reader needs no connection")

    lanes = Lanes(opens, 1)
    for turns in range(4):
        reading = asyncio.create_task(lanes.run(lambda connection: connection.closed))
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises((asyncio.CancelledError, AssertionError)) as ended:
            await reading

        assert ended.type is asyncio.CancelledError
    await lanes.close()


def test_times_leave_room_for_the_end_of_the_process() -> None:
    assert app_stop.STOP_S_MAX - app_stop.ALL_BY_S >= 0.5
