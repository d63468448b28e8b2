"""Passwords are hashed as OWASP has it, aside of everything else, and nobody costs as much as somebody."""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from itertools import pairwise

import msgspec
import pytest
import pytest_asyncio
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from dastak.core.errors import Overloaded
from dastak.core.people_store import Asker
from dastak.tenancy import password_hashes
from dastak.tenancy.hashing_process import Question
from dastak.tenancy.password_hashes import (
    CORES_FOR_ONE,
    HASH_S_MAX,
    WAITING_APART_MAX,
    WAITING_MAX,
    WAITING_OF_ACCOUNT_MAX,
    PasswordHashes,
)
from tests.support.child_processes import children, command_line, lives
from tests.support.patience import until

PASSWORD = "a bridge of seven lemons"
# A loop runs a timer so much too early at most.
CLOCK_S = 0.002
# A turn that never comes would be waited for without an end.
PATIENCE_S = 60


@pytest_asyncio.fixture
async def hashes() -> AsyncIterator[PasswordHashes]:
    async with PasswordHashes() as opened:
        yield opened


def hashing() -> list[int]:
    """Return the processes that hash for this one."""
    return [one for one in children(os.getpid()) if "dastak.tenancy.hashing_process" in command_line(one)]


async def test_password_is_hashed_with_the_figures_of_owasp(hashes: PasswordHashes) -> None:
    kept = await hashes.make(PASSWORD)

    figures = extract_parameters(kept)
    assert figures.type is Type.ID
    assert (figures.memory_cost, figures.time_cost, figures.parallelism) == (19_456, 2, 1)
    assert kept != await hashes.make(PASSWORD)
    assert not hashes.is_outdated(kept)


async def test_password_is_the_one_and_no_other(hashes: PasswordHashes) -> None:
    kept = await hashes.make("cafe\u0301 at noon")

    assert await hashes.holds(kept, "café at noon")
    assert not await hashes.holds(kept, "cafe at noon")
    assert not await hashes.holds(kept, "")


@pytest.mark.parametrize("kept", [None, "", "$argon2id$damaged", "plain"])
async def test_who_has_no_password_has_none_that_is_right(hashes: PasswordHashes, kept: str | None) -> None:
    assert not await hashes.holds(kept, PASSWORD)
    assert not await hashes.holds(kept, "")


async def test_weaker_hash_is_made_anew(hashes: PasswordHashes) -> None:
    weaker = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(PASSWORD)

    assert hashes.is_outdated(weaker)


async def test_loop_goes_on_while_passwords_are_hashed(hashes: PasswordHashes) -> None:
    turns = 0
    under_way = asyncio.gather(*(hashes.make(PASSWORD) for _ in range(8)))

    while not under_way.done():
        turns += 1
        await asyncio.sleep(0)

    assert len(await under_way) == 8
    assert turns > 8, "each hash would have been one turn of the loop"


async def test_hashing_processes_yield_to_all_others(hashes: PasswordHashes) -> None:
    await asyncio.gather(*(hashes.make(PASSWORD) for _ in range(4)))

    working = hashing()

    assert 1 <= len(working) <= max(1, (os.cpu_count() or 1) // CORES_FOR_ONE)
    assert min(os.getpriority(os.PRIO_PROCESS, one) for one in working) > os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.parametrize(("cores", "rests"), [(1, 3.0), (2, 1.0)])
async def test_few_cores_rest_until_they_hashed_a_quarter_of_the_time(
    monkeypatch: pytest.MonkeyPatch, cores: int, rests: float
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    now_s, exchange = asyncio.get_running_loop().time, password_hashes._exchange
    hashed: list[tuple[float, float]] = []

    async def timed(process: Process, line: bytes) -> bytes:
        began_s = now_s()
        answer = await exchange(process, line)
        hashed.append((began_s, now_s()))
        return answer

    monkeypatch.setattr(password_hashes, "_exchange", timed)
    async with PasswordHashes() as opened:
        await asyncio.gather(*(opened.make(PASSWORD) for _ in range(4)))

    for (began_s, ended_s), (next_s, _) in pairwise(hashed):
        assert next_s - ended_s >= rests * min(ended_s - began_s, HASH_S_MAX) - CLOCK_S


async def test_process_that_dies_is_told_as_overload_and_another_one_begins(hashes: PasswordHashes) -> None:
    kept = await hashes.make(PASSWORD)
    for one in hashing():
        os.kill(one, signal.SIGKILL)

    with pytest.raises(Overloaded):
        await hashes.holds(kept, PASSWORD)

    assert await hashes.holds(kept, PASSWORD)


async def test_who_leaves_does_not_leave_the_answer_to_the_next(hashes: PasswordHashes) -> None:
    kept = await hashes.make(PASSWORD)
    leaving = asyncio.ensure_future(hashes.holds(kept, PASSWORD))
    await asyncio.sleep(0)
    leaving.cancel()

    assert not await hashes.holds(kept, "another password")


async def test_no_process_stays_behind() -> None:
    async with PasswordHashes() as opened:
        await opened.make(PASSWORD)
        working = hashing()

    assert working
    until(lambda: not any(map(lives, working)))


async def test_more_than_may_wait_are_sent_away_and_the_rest_is_served(hashes: PasswordHashes) -> None:

    asked = [asyncio.ensure_future(hashes.make(PASSWORD)) for _ in range(WAITING_MAX + 5)]
    done, _ = await asyncio.wait(asked[-5:])

    assert {type(one.exception()) for one in done} == {Overloaded}
    for one in asked:
        one.cancel()
    await asyncio.wait(asked)


class Watched:
    """Hashes on one core, of which it is seen whose turn it is; they begin when they are let.

    Attributes:
        turns: What was hashed, in this order.
        begins: Lets the first one begin.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.turns: list[str] = []
        self.begins = asyncio.Event()
        self._hash = password_hashes._exchange
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
        monkeypatch.setattr(password_hashes, "_exchange", self._exchange)

    async def _exchange(self, process: Process, line: bytes) -> bytes:
        self.turns.append(msgspec.json.decode(line, type=Question).clear)
        await self.begins.wait()
        return await self._hash(process, line)


async def test_storm_of_strangers_leaves_places_and_turns_to_known_browsers_and_the_console(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch)
    async with asyncio.timeout(PATIENCE_S), PasswordHashes() as opened:

        def ask(asker: Asker, count: int) -> list["asyncio.Future[str]"]:
            return [
                asyncio.ensure_future(opened.make(f"{asker} {n}", asker, b"%d" % n)) for n in range(count)
            ]

        strangers = ask(Asker.STRANGER, WAITING_MAX + 1)
        await asyncio.wait(strangers[-1:])
        apart = [*ask(Asker.KNOWN, 4), *ask(Asker.CONSOLE, 2)]
        watched.begins.set()
        kept = await asyncio.gather(*apart)
        for one in strangers:
            one.cancel()
        await asyncio.wait(strangers)

    assert isinstance(strangers[-1].exception(), Overloaded)
    assert all(kept)
    ahead = watched.turns[: watched.turns.index("known 3") + 1]
    assert [one for one in ahead if one.startswith("known")] == [f"known {n}" for n in range(4)]
    assert [one for one in ahead if one.startswith("console")] == ["console 0", "console 1"]
    assert 4 <= sum(one.startswith("stranger") for one in ahead) <= 5, (
        "strangers have their turns all the same"
    )


async def test_storm_from_known_browsers_is_bounded_and_leaves_turns_to_strangers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = Watched(monkeypatch)
    async with asyncio.timeout(PATIENCE_S), PasswordHashes() as opened:
        storm = [
            asyncio.ensure_future(opened.make(f"known {n}", Asker.KNOWN, b"%d" % n))
            for n in range(WAITING_APART_MAX + 1)
        ]
        await asyncio.wait(storm[-1:])
        stranger = asyncio.ensure_future(opened.make("stranger"))
        await asyncio.sleep(0)
        watched.begins.set()
        kept = await stranger
        for one in storm:
            one.cancel()
        await asyncio.wait(storm)

    assert kept
    assert isinstance(storm[-1].exception(), Overloaded)
    assert watched.turns.index("stranger") <= 2


@pytest.mark.parametrize("asker", [Asker.KNOWN, Asker.CONSOLE])
async def test_one_account_holds_few_places_and_its_other_tries_wait_among_strangers(
    monkeypatch: pytest.MonkeyPatch, asker: Asker
) -> None:
    watched = Watched(monkeypatch)
    async with asyncio.timeout(PATIENCE_S), PasswordHashes() as opened:

        def ask(name: str, whose: bytes) -> "asyncio.Future[str]":
            return asyncio.ensure_future(opened.make(name, asker, whose))

        storm = [ask(f"storm {n}", b"one") for n in range(WAITING_APART_MAX + 1)]
        others = [ask(f"other {n}", b"%d" % n) for n in range(WAITING_APART_MAX - WAITING_OF_ACCOUNT_MAX)]
        await asyncio.sleep(0)
        watched.begins.set()
        kept = await asyncio.gather(*storm, *others)

        again = await ask("again", b"one")

    assert all(kept)
    assert again
    ahead = watched.turns[: watched.turns.index("other 7") + 1]
    assert len(ahead) <= WAITING_OF_ACCOUNT_MAX + 2 * len(others) + 1, "each second turn is a stranger's"
    assert watched.turns.index("storm 10") > watched.turns.index("other 7")


async def test_turn_of_who_left_goes_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = password_hashes._Turns(1)
    await turns.take(Asker.STRANGER)
    waiting = [
        asyncio.ensure_future(turns.take(asker)) for asker in (Asker.KNOWN, Asker.KNOWN, Asker.CONSOLE)
    ]
    await asyncio.sleep(0)

    waiting[0].cancel()
    turns.give()
    waiting[1].cancel()
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait(waiting)

    assert [one.cancelled() for one in waiting] == [True, True, False]
    turns.give()
    await turns.take(Asker.STRANGER)
