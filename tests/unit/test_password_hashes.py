"""Passwords are hashed as OWASP has it, aside of everything else, and nobody costs as much as somebody."""

import asyncio
import os
import threading

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type

from dastak.core.errors import Overloaded
from dastak.tenancy.password_hashes import WAITING_MAX, PasswordHashes

PASSWORD = "a bridge of seven lemons"


async def test_password_is_hashed_with_the_figures_of_owasp() -> None:
    hashes = PasswordHashes()

    kept = await hashes.make(PASSWORD)

    figures = extract_parameters(kept)
    assert figures.type is Type.ID
    assert (figures.memory_cost, figures.time_cost, figures.parallelism) == (19_456, 2, 1)
    assert kept != await hashes.make(PASSWORD)
    assert not hashes.is_outdated(kept)


async def test_password_is_the_one_and_no_other() -> None:
    hashes = PasswordHashes()
    kept = await hashes.make("cafe\u0301 at noon")

    assert await hashes.holds(kept, "café at noon")
    assert not await hashes.holds(kept, "cafe at noon")
    assert not await hashes.holds(kept, "")


@pytest.mark.parametrize("kept", [None, "", "$argon2id$damaged", "plain"])
async def test_who_has_no_password_has_none_that_is_right(kept: str | None) -> None:
    hashes = PasswordHashes()

    assert not await hashes.holds(kept, PASSWORD)
    assert not await hashes.holds(kept, "")


def test_weaker_hash_is_made_anew() -> None:
    weaker = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(PASSWORD)

    assert PasswordHashes().is_outdated(weaker)


async def test_loop_goes_on_while_passwords_are_hashed() -> None:
    hashes = PasswordHashes()
    turns = 0
    under_way = asyncio.gather(*(hashes.make(PASSWORD) for _ in range(8)))

    while not under_way.done():
        turns += 1
        await asyncio.sleep(0)

    assert len(await under_way) == 8
    assert turns > 8, "each hash would have been one turn of the loop"


async def test_hashing_threads_yield_to_all_others() -> None:
    hashes = PasswordHashes()
    await asyncio.gather(*(hashes.make(PASSWORD) for _ in range(4)))

    threads = [one for one in threading.enumerate() if one.name.startswith("dastak-argon2")]

    assert threads
    priorities = {
        os.getpriority(os.PRIO_PROCESS, one.native_id) for one in threads if one.native_id is not None
    }
    assert min(priorities) > os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


async def test_more_than_may_wait_are_sent_away_and_the_rest_is_served() -> None:
    hashes = PasswordHashes()

    asked = [asyncio.ensure_future(hashes.make(PASSWORD)) for _ in range(WAITING_MAX + 5)]
    done, _ = await asyncio.wait(asked[-5:])

    assert {type(one.exception()) for one in done} == {Overloaded}
    for one in asked:
        one.cancel()
    await asyncio.wait(asked)
