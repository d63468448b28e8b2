"""What every store keeps of carriers: the newest state, all of the history, no overtaking change."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from msgspec.structs import replace

from dastak.core.carrier import Carrier, CarrierChange, CarrierKind, CarrierState, Lane
from dastak.core.carrier_store import CarrierStore
from dastak.core.errors import Conflict, NotFound
from dastak.core.message import CarrierRef, MessageKey
from tests.support.samples import NOW, some_id, some_msisdn, some_opening, some_verification, submitting

Reopen = Callable[[], AbstractAsyncContextManager[Any]]

NORTH = Carrier(
    name="north",
    kind=CarrierKind.SMPP,
    settings={"host": "smsc.example.in", "port": 2775, "tls": {"ca_file": "ca.pem"}},
    lane=Lane(priority=10, countries=("IN",), tenants=(1, 2)),
    sealed=b"\x00\xffsealed",
)


def said(what: str, why: str = "as agreed", carrier: str = "north") -> CarrierChange:
    return CarrierChange(carrier=carrier, at=NOW, who="cli", what=what, why=why)


async def test_carrier_is_found_as_it_was_written(store: CarrierStore) -> None:
    written = await store.put_carrier(NORTH, said("added"))

    found = await store.carriers()

    assert found.carriers == (written,)
    assert (written.n > 0, written.revision) == (True, 1)
    assert replace(written, n=0, revision=0) == NORTH


async def test_every_change_raises_the_revision_and_stays_in_the_history(store: CarrierStore) -> None:
    revisions = [await store.carrier_revision()]
    written = await store.put_carrier(NORTH, said("added"))
    revisions.append(await store.carrier_revision())
    drained = replace(written, state=CarrierState.DRAINING, reason="slow")
    await store.put_carrier(drained, said("state", "slow"))
    revisions.append(await store.carrier_revision())
    await store.remove_carrier(said("removed", "contract ended"))
    revisions.append(await store.carrier_revision())

    history = await store.carrier_history("north", limit=10)

    assert revisions == sorted(set(revisions))
    assert [(change.what, change.why) for change in history] == [
        ("removed", "contract ended"),
        ("state", "slow"),
        ("added", "as agreed"),
    ]
    assert (await store.carriers()).carriers == ()


async def test_name_is_given_once(store: CarrierStore) -> None:
    await store.put_carrier(NORTH, said("added"))

    with pytest.raises(Conflict):
        await store.put_carrier(NORTH, said("added"))

    assert len(await store.carrier_history("north", limit=10)) == 1


async def test_of_two_changes_of_one_reading_the_second_is_refused(store: CarrierStore) -> None:
    written = await store.put_carrier(NORTH, said("added"))
    first = await store.put_carrier(replace(written, reason="first"), said("state"))

    with pytest.raises(Conflict):
        await store.put_carrier(replace(written, reason="second"), said("state"))

    assert (await store.carriers()).carriers == (first,)


async def test_carrier_that_is_not_there_cannot_be_removed(store: CarrierStore) -> None:
    with pytest.raises(NotFound):
        await store.remove_carrier(said("removed"))

    assert await store.carrier_history("north", limit=10) == ()


async def test_history_is_of_one_carrier_and_as_long_as_asked(store: CarrierStore) -> None:
    for n in range(5):
        await store.note_change(said("demoted", str(n)))
        await store.note_change(said("demoted", str(n), carrier="south"))

    history = await store.carrier_history("north", limit=2)

    assert [change.why for change in history] == ["4", "3"]


async def test_what_was_learned_is_kept_and_replaced(store: CarrierStore) -> None:
    assert await store.learned("scores") is None
    await store.learn("scores", b"\x00one")
    await store.learn("scores", b"two")

    assert await store.learned("scores") == b"two"


async def test_carriers_outlive_a_restart(reopen: Reopen) -> None:
    async with reopen() as store:
        written = await store.put_carrier(NORTH, said("added"))

    async with reopen() as store:
        assert (await store.carriers()).carriers == (written,)


async def test_timelines_are_read_together_and_nothing_is_told_of_a_stranger(store: Any) -> None:
    first, second = (some_verification(id=some_id(), msisdn=some_msisdn(n)) for n in range(2))
    for one in (first, second):
        await store.open(some_opening(one))
    await store.decide(MessageKey(second.id, 0), submitting(CarrierRef("north", "ref-1")))
    wanted = [(1, second.id), (2, first.id), (1, some_id()), (1, first.id)]

    told = await store.timelines(wanted)

    whole = [await store.timeline(1, one.id) for one in (second, first)]
    assert [list(one) for one in told] == [list(whole[0]), [], [], list(whole[1])]
    assert len(whole[0]) > len(whole[1]) > 0
