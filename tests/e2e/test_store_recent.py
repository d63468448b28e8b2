"""What the SQLite store remembers of messages is never other than what its database has."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from dastak.core.errors import NotFound
from dastak.core.message import CarrierRef, MessageKey, MessageState
from dastak.core.outcome import Outcome
from dastak.core.ports import Change, Held
from dastak.core.verification import State, Typed, Verification
from dastak.store.recent import RECENT_MAX, Known, Recent
from dastak.store.sqlite import SqliteStore
from tests.support.samples import (
    NOW,
    checking,
    settling,
    some_message,
    some_msisdn,
    some_opening,
    some_verification,
    submitting,
)

CARRIER = CarrierRef("north", "ref-1")

_numbers = count()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore(tmp_path / "dastak.db") as opened:
        yield opened


async def started(store: SqliteStore) -> Verification:
    verification = some_verification(msisdn=some_msisdn(next(_numbers)))
    await store.open(some_opening(verification))
    return verification


async def seen(store: SqliteStore, key: MessageKey | CarrierRef) -> Held:
    """Return what a rule on a message is shown."""
    held = await store.decide(key, lambda held: Change(answer=held))
    assert isinstance(held, Held)
    return held


async def test_message_sees_that_its_verification_was_approved(store: SqliteStore) -> None:
    verification = await started(store)
    await store.decide(MessageKey(verification.id, 0), submitting(CARRIER))

    await store.decide(verification.id, checking(Typed.RIGHT))

    assert (await seen(store, CARRIER)).verification.state is State.APPROVED
    assert (await seen(store, MessageKey(verification.id, 0))).verification.state is State.APPROVED


async def test_message_sees_what_another_process_wrote(store: SqliteStore, tmp_path: Path) -> None:
    verification = await started(store)
    other = sqlite3.connect(tmp_path / "dastak.db")
    with other:
        other.execute("UPDATE verification SET state = 4")
        other.execute("UPDATE message SET tries = 7")
    other.close()

    held = await seen(store, MessageKey(verification.id, 0))

    assert (held.verification.state, held.message and held.message.tries) == (State.CANCELED, 7)


async def test_what_was_rolled_back_with_its_batch_is_written_again(
    store: SqliteStore, tmp_path: Path
) -> None:
    verification, other = await started(store), await started(store)
    # It ends the verification, and then fails over a second message with the same key.
    failing = Change(
        answer=None, verification=replace(other, state=State.CANCELED), message=some_message(other, 0)
    )

    _, error = await asyncio.gather(
        store.decide(MessageKey(verification.id, 0), submitting(CARRIER)),
        store.decide(other.id, lambda held: failing),
        return_exceptions=True,
    )

    assert isinstance(error, sqlite3.IntegrityError)
    reader = sqlite3.connect(tmp_path / "dastak.db")
    assert reader.execute("SELECT state FROM message ORDER BY verification").fetchall() == [(1,), (0,)]
    reader.close()


async def test_message_of_an_expired_verification_sees_that(store: SqliteStore) -> None:
    verification = await started(store)

    await store.sweep(verification.expires_at, keep_after=NOW - timedelta(days=1), limit=10)

    assert (await seen(store, MessageKey(verification.id, 0))).verification.state is State.EXPIRED


async def test_second_message_does_not_hide_the_first(store: SqliteStore) -> None:
    verification = await started(store)
    await store.decide(MessageKey(verification.id, 0), submitting(CARRIER))
    second = some_message(verification, 1)
    await store.decide(verification.id, lambda held: Change(answer=None, message=second))

    await store.decide(CARRIER, settling(CARRIER, Outcome.DELIVERED))

    assert (await seen(store, MessageKey(verification.id, 1))).message == second
    first = (await seen(store, MessageKey(verification.id, 0))).message
    assert first is not None
    assert first.state is MessageState.DELIVERED


async def test_delivered_message_is_not_found_by_its_carrier_any_more(store: SqliteStore) -> None:
    verification = await started(store)
    await store.decide(MessageKey(verification.id, 0), submitting(CARRIER))
    await store.decide(CARRIER, settling(CARRIER, Outcome.DELIVERED))

    with pytest.raises(NotFound):
        await seen(store, CARRIER)


def test_memory_is_bounded() -> None:
    recent = Recent()
    verifications = [some_verification() for _ in range(3 * RECENT_MAX)]

    for n, verification in enumerate(verifications):
        recent.keep(Known(n, verification, some_message(verification)))

    kept = [v for v in verifications if recent.find(MessageKey(v.id, 0)) is not None]
    assert RECENT_MAX <= len(kept) <= 2 * RECENT_MAX
    assert kept == verifications[-len(kept) :]
