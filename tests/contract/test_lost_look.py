"""What a node took by a look whose answer was lost leaves with the next look, not when its lease is over."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from dastak.core.errors import Overloaded
from dastak.core.message import MessageKey
from dastak.core.node import LEASE_S, Role
from dastak.store.postgres.dialect import statements
from dastak.store.postgres.postgres_lane import connect
from dastak.store.postgres.postgres_store import PostgresStore
from tests.support.postgres_server import migrated_database
from tests.support.samples import NOW, some_id, some_message, some_msisdn, some_opening, some_verification


class LostLook:
    """A look that the server takes, and whose answer nobody hears.

    Args:
        url: The database.
        store: Whose next look is lost.
    """

    def __init__(self, url: str, store: PostgresStore) -> None:
        self._seldom = store._seldom
        self._real = self._seldom.one
        self._connection = connect(url)

    async def one(self, statement: str, values: Sequence[Any]) -> Any:
        if statement != "take_due":
            return await self._real(statement, values)
        self._connection.execute("BEGIN")
        self._connection.execute(statements()[statement], values)
        self._seldom.one = self._real  # type: ignore[method-assign] - only one is lost
        raise Overloaded("The database does not answer; it may be kept.", may_be_done=True)

    def land(self) -> None:
        """Keep what it has taken."""
        self._connection.execute("COMMIT")
        self._connection.close()


@asynccontextmanager
async def node(url: str) -> AsyncIterator[PostgresStore]:
    async with PostgresStore(url) as store:
        await store.nodes.join("one", (Role.ALL,))
        yield store


async def queue(store: PostgresStore, number: int, *, owner: int = 0, lease_s: float = 0) -> MessageKey:
    """Queue a message in somebody's hands, or in nobody's."""
    verification = some_verification(id=some_id(), msisdn=some_msisdn(number))
    message = some_message(verification, owner=owner, due_at=NOW + timedelta(seconds=lease_s))
    await store.open(some_opening(verification, message=message))
    return message.key


async def look(store: PostgresStore, after_s: float = 0) -> dict[MessageKey, int]:
    """Return what a look takes, each with its fence."""
    now = NOW + timedelta(seconds=after_s)
    held = await store.due(now, lease_until=now + timedelta(seconds=LEASE_S), limit=10)
    return {one.message.key: one.message.fence for one in held if one.message is not None}


async def test_messages_of_a_lost_look_are_taken_by_the_next_one_and_nobody_else_is_robbed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = migrated_database()
    async with node(url) as store, node(url) as other:
        lost = await queue(store, 1)
        await queue(store, 2, owner=store.nodes.number, lease_s=LEASE_S - 1)
        await queue(other, 3, owner=other.nodes.number, lease_s=LEASE_S)
        losing = LostLook(url, store)
        monkeypatch.setattr(store._seldom, "one", losing.one)
        with pytest.raises(Overloaded):
            await look(store)
        losing.land()

        lookers = (other, store, store, other)
        looks = [await look(looker, after_s) for after_s, looker in enumerate(lookers, 1)]

    assert looks == [{}, {lost: 1}, {}, {}]


async def test_messages_of_a_look_that_is_kept_only_later_are_taken_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = migrated_database()
    async with node(url) as store:
        lost = await queue(store, 1)
        losing = LostLook(url, store)
        monkeypatch.setattr(store._seldom, "one", losing.one)
        with pytest.raises(Overloaded):
            await look(store)

        before = await look(store, 1)
        losing.land()
        after = await look(store, LEASE_S - 1)

    assert (before, after) == ({}, {lost: 1})
