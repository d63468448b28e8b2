"""A text that was committed leaves at once though the answer of the database was lost, and it leaves once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dastak.core.errors import Overloaded
from dastak.core.events import MessageSubmitted
from dastak.core.message import MessageKey, MessageState
from dastak.core.node import LEASE_S, in_hand
from dastak.core.outcome import Outcome
from dastak.core.policy import Policy
from dastak.core.ports import Replayed
from dastak.core.verification import Verification
from dastak.flows import worker as worker_module
from dastak.flows.phone_back import phone_back
from dastak.flows.worker import Worker
from tests.support.house import House, ScriptedRoute, open_house, receipt
from tests.support.samples import MSISDN, NOW, some_msisdn, some_once

AT_ONCE = Policy(resend_waits_s=(0,))
DAY = timedelta(days=1)


class LostAnswers:
    """A store that loses the answer to a commit, and then cannot be asked until it is back.

    Args:
        house: Whose store it is.
        name: The operation whose first answer is lost: `open` or `decide`.
        kept: Whether the commit was kept, before the answer was lost.

    Attributes:
        away: Whether it cannot be asked.
        since: What became of the message meanwhile.
    """

    def __init__(self, house: House, name: str, *, kept: bool = True) -> None:
        self._house, self._name, self._kept = house, name, kept
        self._real = {each: getattr(house.store, each) for each in ("open", "decide", "due")}
        self._lost = self.away = False
        self.since: dict[str, Any] = {}
        self._looks = 0
        self._looked = asyncio.Event()

    def use(self, patch: pytest.MonkeyPatch) -> None:
        for name in self._real:
            patch.setattr(self._house.store, name, getattr(self, name))

    async def open(self, *wanted: Any, **more: Any) -> Any:
        return await self._ask("open", *wanted, **more)

    async def decide(self, *wanted: Any, **more: Any) -> Any:
        return await self._ask("decide", *wanted, **more)

    async def due(self, *wanted: Any, **more: Any) -> Any:
        self._looks += 1
        self._looked.set()
        return await self._real["due"](*wanted, **more)

    async def looks(self) -> None:
        """Wait until the worker has looked for all that it looks for, from now on."""
        enough = self._looks + 2
        async with asyncio.timeout(10):
            while self._looks < enough:
                self._looked.clear()
                await self._looked.wait()

    async def land(self) -> None:
        """Keep the commit after all."""
        await self._landing()

    async def _ask(self, name: str, *wanted: Any, **more: Any) -> Any:
        if name == self._name and not self._lost:
            self._lost = True
            self._landing = partial(self._real[name], *wanted, **more)
            if self._kept:
                await self._landing()
            raise Overloaded("The database does not answer; it may be kept.", may_be_done=True)
        if name == "decide" and self.away:
            raise Overloaded("The database cannot be asked now.")
        if name == "decide" and self.since:
            key, rule = wanted
            wanted = (key, lambda held: rule(replace(held, message=replace(held.message, **self.since))))
        return await self._real[name](*wanted, **more)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for work all the time, since the clock of these tests stands still."""
    monkeypatch.setattr(worker_module, "DUE_EVERY_S", 0.001)


@asynccontextmanager
async def working(house: House) -> AsyncIterator[Worker]:
    async with Worker(retention=DAY) as worker:
        house.ports = replace(house.ports, hand_over=worker.hand_over, look_for=worker.look_for)
        await worker.run(house.ports)
        yield worker


@dataclass(frozen=True)
class Flow:
    """One that queues a text.

    Attributes:
        writes: The operation of the store that it writes by.
        texts: How many left before.
        begin: Brings a house so far, and returns what queues the text.
    """

    writes: str
    texts: int
    begin: Callable[[House], Awaitable[Callable[[], Awaitable[object]]]]


async def sent(house: House) -> Verification:
    """Start a verification whose text is taken."""
    verification = await house.start()
    await house.deliver()
    return verification


async def start(house: House) -> Callable[[], Awaitable[object]]:
    return house.start


async def resend(house: House) -> Callable[[], Awaitable[object]]:
    verification = await sent(house)
    return lambda: house.resend(verification)


async def phone_is_back(house: House) -> Callable[[], Awaitable[object]]:
    await sent(house)
    await house.receive("north-1", Outcome.ABSENT_SUBSCRIBER)
    house.handed = []
    return lambda: phone_back(house.ports, house.store, "north", MSISDN, test=False)


async def receipt_says_no(house: House) -> Callable[[], Awaitable[object]]:
    await sent(house)
    return lambda: house.receive("north-1", Outcome.NETWORK_TEMPORARY)


async def receipts_say_no(house: House) -> Callable[[], Awaitable[object]]:
    await sent(house)

    async def tell() -> None:
        house.settlement.begin(house.ports)
        answered = asyncio.get_running_loop().create_future()
        house.settlement.take(receipt("north-1", Outcome.NETWORK_TEMPORARY), answered.set_result)
        if not await answered:
            raise Overloaded("The carrier shall say it again.")

    return tell


FLOWS = {
    "start": Flow("open", 0, start),
    "resend": Flow("decide", 1, resend),
    "phone back": Flow("decide", 1, phone_is_back),
    "receipt": Flow("decide", 1, receipt_says_no),
    "burst of receipts": Flow("decide", 1, receipts_say_no),
}


def texts_to(house: House, msisdn: str) -> int:
    return sum(outgoing.msisdn == msisdn for route in house.routes for outgoing in route.offered)


@asynccontextmanager
async def losing(
    house: House, patch: pytest.MonkeyPatch, flow: Flow, *, kept: bool = True
) -> AsyncIterator[tuple[Worker, LostAnswers, Callable[[], Awaitable[object]]]]:
    """Have a house at work whose store loses the answer to the commit of a flow."""
    queue_text = await flow.begin(house)
    async with working(house) as worker:
        store = LostAnswers(house, flow.writes, kept=kept)
        store.use(patch)
        yield worker, store, queue_text


@pytest.mark.parametrize("name", FLOWS)
async def test_text_whose_commit_is_in_doubt_leaves_before_its_lease_is_over_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    flow = FLOWS[name]
    async with (
        open_house(tmp_path, ScriptedRoute("north"), ScriptedRoute("south"), policy=AT_ONCE) as house,
        losing(house, monkeypatch, flow) as (worker, store, queue_text),
    ):
        with pytest.raises(Overloaded):
            await queue_text()

        await house.sees(MessageSubmitted, flow.texts + 1)

        await store.looks()
        assert (worker.in_flight, texts_to(house, MSISDN)) == (0, flow.texts + 1)


async def test_repeat_that_comes_before_the_store_can_tell_sends_no_second_text(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with losing(house, monkeypatch, FLOWS["start"]) as (_, store, _queue_text):
        store.away = True
        with pytest.raises(Overloaded):
            await house.ask(once=some_once())
        repeated = await house.ask(once=some_once())
        await store.looks()
        before = texts_to(house, MSISDN)
        store.away = False
        await house.sees(MessageSubmitted)
        await store.looks()

    assert isinstance(repeated, Replayed)
    assert (before, texts_to(house, MSISDN)) == (0, 1)


async def test_commit_that_was_not_kept_is_forgotten_when_its_lease_would_be_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with losing(house, monkeypatch, FLOWS["start"], kept=False) as (worker, store, queue_text):
        with pytest.raises(Overloaded):
            await queue_text()
        await store.looks()
        in_doubt = worker.in_doubt
        house.clock.advance(LEASE_S)
        await store.looks()

        assert (in_doubt, worker.in_doubt, texts_to(house, MSISDN)) == (1, 0, 0)


async def test_commit_that_is_there_only_later_is_found(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with losing(house, monkeypatch, FLOWS["start"], kept=False) as (_, store, queue_text):
        with pytest.raises(Overloaded):
            await queue_text()
        await store.looks()
        await store.land()

        await house.sees(MessageSubmitted)

    assert texts_to(house, MSISDN) == 1


async def test_node_that_is_lost_sends_nothing_before_it_is_heard_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [0]
    house.ports = replace(house.ports, lease=lambda now: in_hand(now, nodes[0]))
    async with losing(house, monkeypatch, FLOWS["start"]) as (_, store, queue_text):
        with pytest.raises(Overloaded):
            await queue_text()
        nodes[0] = 2
        await store.looks()
        before = texts_to(house, MSISDN)
        nodes[0] = 0
        await house.sees(MessageSubmitted)

    assert (before, texts_to(house, MSISDN)) == (0, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"fence": 1},
        {"owner": 2},
        {"state": MessageState.SUBMITTED},
        {"due_at": NOW + timedelta(seconds=LEASE_S + 1)},
    ],
)
async def test_text_that_somebody_has_had_since_is_left_alone(
    house: House, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    async with losing(house, monkeypatch, FLOWS["start"]) as (worker, store, queue_text):
        store.since = change
        with pytest.raises(Overloaded):
            await queue_text()
        await store.looks()

        assert (worker.in_doubt, texts_to(house, MSISDN)) == (0, 0)


async def test_no_more_than_the_bound_is_remembered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "DOUBTED_MAX", 2)
    messages = [await house.message(await house.start(some_msisdn(n))) for n in range(3)]
    async with Worker(retention=DAY) as worker:
        worker.look_for(messages[0])
        assert worker.in_doubt == 0  # it sends nothing yet, and `run` finds all
        await worker.run(house.ports)
        for message in messages:
            worker.look_for(message)

        assert worker.in_doubt == 2


async def test_few_are_asked_for_in_one_look_and_what_cannot_be_read_holds_nobody_up(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_module, "DUE_EVERY_S", 3600.0)
    monkeypatch.setattr(worker_module, "DOUBTS_ASKED_MAX", 2)
    asked: list[MessageKey] = []
    handed: list[tuple[int, MessageKey]] = []
    house.ports = replace(house.ports, hand_over=lambda _one, found: handed.append((len(asked), found.key)))
    read = house.store.decide

    async def decide(key: MessageKey, *wanted: Any, **more: Any) -> Any:
        asked.append(key)
        if key == broken.key:
            raise RuntimeError("this row cannot be read")
        return await read(key, *wanted, **more)

    async with Worker(retention=DAY) as worker:
        await worker.run(house.ports)
        broken, *well = [await house.message(await house.start(some_msisdn(n))) for n in range(4)]
        handed.clear()
        monkeypatch.setattr(house.store, "decide", decide)
        for message in (broken, *well):
            worker.look_for(message)
        async with asyncio.timeout(10):
            while len(handed) < len(well):
                worker.look_now()
                await asyncio.sleep(0)

        assert handed == [(2, well[0].key), (4, well[1].key), (4, well[2].key)]
        assert worker.in_doubt == 1
    assert "this row cannot be read" in caplog.text
