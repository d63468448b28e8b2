"""When a link went down and came back stands in its carrier's history, and moments do not."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dastak.carriers.outages import DOWN_AFTER, UP_AFTER, Outages
from dastak.core.carrier import Carrier, CarrierChange, CarrierKind
from dastak.core.errors import Overloaded
from tests.support.house import FakeClock
from tests.support.samples import NOW
from tests.support.stores import open_sqlite

DOWN_S, UP_S = DOWN_AFTER.total_seconds(), UP_AFTER.total_seconds()


class Link:
    """A route whose link is as it is told to be."""

    def __init__(self) -> None:
        self.available = True

    @property
    def reason(self) -> str:
        return "bound" if self.available else "cannot connect"


class Watched:
    """One carrier, looked at once a second."""

    def __init__(self, store: Any, clock: FakeClock) -> None:
        self.store, self.clock, self.link = store, clock, Link()
        self.entries: list[Any] = [(Carrier(name="north", kind=CarrierKind.SMPP), self.link)]
        self.start()

    def start(self) -> None:
        """Begin as a program does that knows nothing."""
        self.outages = Outages(self.store, self.clock, lambda: self.entries)

    async def passes(self, seconds: float, *, up: bool) -> None:
        """Let the link be up or down for so long."""
        self.link.available = up
        for _ in range(int(seconds)):
            await self.outages.look()
            self.clock.advance(1)

    async def told(self) -> list[tuple[float, str, str]]:
        """Return what the history says, oldest first: seconds, what and why."""
        lines: tuple[CarrierChange, ...] = await self.store.carrier_history("north", limit=50)
        return [((line.at - NOW).total_seconds(), line.what, line.why) for line in reversed(lines)]


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    async with open_sqlite(tmp_path) as store:
        yield Watched(store, FakeClock())


async def test_outage_is_told_with_its_reason_and_its_own_instants(watched: Watched) -> None:
    await watched.passes(10, up=True)
    await watched.passes(60, up=False)
    await watched.passes(UP_S + 1, up=True)

    assert await watched.told() == [(10, "down", "cannot connect"), (70, "up", "bound")]


async def test_moment_is_not_told(watched: Watched) -> None:
    await watched.passes(DOWN_S, up=False)
    await watched.passes(60, up=True)

    assert await watched.told() == []


async def test_link_that_comes_and_goes_is_down_until_it_stays_up(watched: Watched) -> None:
    for _ in range(5):
        await watched.passes(10, up=False)
        await watched.passes(UP_S, up=True)
    before = await watched.told()
    await watched.passes(2, up=True)

    assert before == [(0, "down", "cannot connect")]
    assert await watched.told() == [*before, (4 * (10 + UP_S) + 10, "up", "bound")]


async def test_outage_that_an_earlier_run_told_is_ended_by_the_next(watched: Watched) -> None:
    await watched.passes(10, up=False)
    watched.start()
    await watched.passes(UP_S + 1, up=True)
    watched.start()
    await watched.passes(UP_S + 1, up=True)

    assert [what for _, what, _ in await watched.told()] == ["down", "up"]


async def test_outage_ends_when_its_carrier_is_not_used_any_more(watched: Watched) -> None:
    await watched.passes(10, up=False)
    watched.entries.clear()
    await watched.passes(1, up=False)

    assert (await watched.told())[1:] == [(10, "up", "it is not used any more")]


class Disk:
    """The store, while its disk has room."""

    full = False

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def note_change(self, line: CarrierChange) -> None:
        if self.full:
            raise Overloaded("The disk is full.")
        await self._store.note_change(line)


async def test_what_the_database_cannot_take_now_is_told_later(watched: Watched) -> None:
    watched.store = disk = Disk(watched.store)
    watched.start()
    disk.full = True
    await watched.passes(10, up=False)
    nothing = await watched.told()
    disk.full = False
    await watched.passes(1, up=False)

    assert nothing == []
    assert await watched.told() == [(0, "down", "cannot connect")]
