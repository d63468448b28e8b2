"""What every store keeps of replies: each once, its wish in the same commit, for one tenant alone."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dastak.core.errors import Conflict
from dastak.core.events import ReplyHeard
from dastak.core.message import CarrierRef, MessageKey
from dastak.core.outcome import Outcome
from dastak.core.reply import HeardReply, Reply, ReplyKind
from dastak.core.tenant import Mode
from dastak.core.verification import Typed, Verification
from tests.support.samples import (
    MSISDN,
    NOW,
    checking,
    ms,
    settling,
    some_msisdn,
    some_once,
    some_opening,
    some_verification,
    submitting,
)

Reopen = Callable[[], AbstractAsyncContextManager[Any]]

MINUTE = timedelta(minutes=1)
MODES = (Mode.TEST, Mode.TEAM, Mode.LIVE)


def heard(kind: ReplyKind = ReplyKind.STOP, *, minutes: float = 0, **changes: Any) -> HeardReply:
    """Return what somebody wrote to tenant 1, so many minutes after NOW."""
    said = {
        "route": "north",
        "msisdn": MSISDN,
        "to": "ACMEOT",
        "text_masked": kind.value,
        **{name: changes.pop(name) for name in ("route", "msisdn", "to", "text_masked") if name in changes},
    }
    plain = HeardReply(reply=Reply(kind=kind, **said), at=NOW + minutes * MINUTE, tenant=1, test=False)
    return replace(plain, **changes)


async def stopped_modes(store: Any, tenant: int = 1) -> list[Mode]:
    return [mode for mode in MODES if await store.is_stopped(tenant, mode, MSISDN)]


async def kinds(store: Any, tenant: int | None = 1) -> list[ReplyKind]:
    """Return what a tenant's list has, newest first."""
    return [one.reply.kind for one in (await store.replies(tenant)).replies]


async def sent(store: Any, *routes: str, minutes: float = 0, **changes: Any) -> Verification:
    """Start a verification whose texts went by these routes, one after the other; by none it is queued."""
    at = NOW + minutes * MINUTE
    verification = some_verification(created_at=at, **changes)
    await store.open(some_opening(verification))
    for route in routes:
        took = submitting(CarrierRef(route, verification.id.hex()), at)
        await store.decide(MessageKey(verification.id, 0), took)
    return verification


async def test_reply_is_found_as_it_was_written(store: Any) -> None:
    first, second = (
        heard(),
        heard(ReplyKind.OTHER, minutes=1, text_masked="मेरा कोड •••• है", tenant=None, test=True),
    )

    assert await store.keep_reply(first)
    assert await store.keep_reply(second)

    (of_one,), (of_nobody,) = (await store.replies(1)).replies, (await store.replies(None)).replies
    assert 0 < of_one.n < of_nobody.n
    assert (replace(of_one, n=0), replace(of_nobody, n=0)) == (first, second)
    assert (await store.replies(2)).replies == ()


async def test_stop_counts_for_its_tenant_and_number_and_for_all_keys_that_reach_a_phone(store: Any) -> None:
    await store.keep_reply(heard())

    assert await stopped_modes(store) == [Mode.TEAM, Mode.LIVE]
    assert await stopped_modes(store, tenant=2) == []
    assert not await store.is_stopped(1, Mode.LIVE, some_msisdn(1))
    (stop,) = (await store.stops(1)).stops
    assert (stop.msisdn, stop.since, stop.test) == (MSISDN, NOW, False)


async def test_stop_of_a_virtual_phone_binds_test_keys_alone(store: Any) -> None:
    await store.keep_reply(heard(test=True))

    assert await stopped_modes(store) == [Mode.TEST]


async def test_start_undoes_stop_of_the_same_kind_of_phone(store: Any) -> None:
    await store.keep_reply(heard(test=True))
    await store.keep_reply(heard(minutes=1))
    await store.keep_reply(heard(ReplyKind.START, minutes=2))

    assert await stopped_modes(store) == [Mode.TEST]
    assert await kinds(store) == [ReplyKind.START, ReplyKind.STOP, ReplyKind.STOP]


async def test_start_undoes_the_stops_of_others_that_it_names_and_stop_makes_none(store: Any) -> None:
    for minutes, tenant in enumerate((1, 2, 3)):
        await store.keep_reply(heard(minutes=minutes, tenant=tenant), lifts=(4,))
    await store.keep_reply(heard(ReplyKind.START, minutes=4), lifts=(1, 2))

    assert [await stopped_modes(store, tenant) for tenant in (1, 2, 4)] == [[], [], []]
    assert await stopped_modes(store, 3) == [Mode.TEAM, Mode.LIVE]


@pytest.mark.parametrize("kind", [ReplyKind.HELP, ReplyKind.OTHER, ReplyKind.START])
async def test_other_replies_stop_nothing(store: Any, kind: ReplyKind) -> None:
    await store.keep_reply(heard(kind))

    assert await stopped_modes(store) == []
    assert await kinds(store) == [kind]


async def test_reply_without_a_tenant_stops_nothing(store: Any) -> None:
    await store.keep_reply(heard(tenant=None))

    assert [await stopped_modes(store, tenant) for tenant in (0, 1, 2)] == [[], [], []]
    assert await kinds(store, None) == [ReplyKind.STOP]


async def test_reply_that_a_carrier_brings_again_is_kept_once(store: Any) -> None:
    assert await store.keep_reply(heard())
    assert not await store.keep_reply(heard(minutes=9))

    assert await kinds(store) == [ReplyKind.STOP]


async def test_two_replies_that_come_again_together_are_kept_once_each(store: Any) -> None:
    both = [heard(ReplyKind.HELP), heard(ReplyKind.OTHER)]

    new = [await store.keep_reply(one) for one in both * 2]

    assert new == [True, True, False, False]


@pytest.mark.parametrize(
    "other",
    [
        heard(minutes=11),
        heard(minutes=1, route="south"),
        heard(minutes=1, to="56161"),
        heard(minutes=1, msisdn=some_msisdn(1)),
        heard(minutes=1, text_masked="stop please"),
    ],
)
async def test_reply_that_differs_is_another_one(store: Any, other: HeardReply) -> None:
    await store.keep_reply(heard())

    assert await store.keep_reply(other)


async def test_last_wish_counts_however_often_it_was_changed(store: Any) -> None:
    for minutes, kind in enumerate((ReplyKind.STOP, ReplyKind.START, ReplyKind.STOP)):
        assert await store.keep_reply(heard(kind, minutes=minutes))

    assert await stopped_modes(store) == [Mode.TEAM, Mode.LIVE]


async def test_stop_that_comes_again_after_it_was_lifted_counts(store: Any) -> None:
    await store.keep_reply(heard())
    await store.lift_stop(1, MSISDN)
    await store.keep_reply(heard(minutes=1))

    assert await stopped_modes(store) == [Mode.TEAM, Mode.LIVE]


async def test_lifting_opens_the_number_for_all_keys_and_says_whether_it_was_closed(store: Any) -> None:
    await store.keep_reply(heard())
    await store.keep_reply(heard(test=True, tenant=2))

    assert [await store.lift_stop(1, MSISDN) for _ in range(2)] == [True, False]
    assert await stopped_modes(store) == []
    assert await stopped_modes(store, tenant=2) == [Mode.TEST]


async def test_lifting_is_answered_once_under_one_key(store: Any) -> None:
    await store.keep_reply(heard())
    once = some_once()
    await store.lift_stop(1, MSISDN, once=once)
    await store.keep_reply(heard(minutes=1))

    with pytest.raises(Conflict):
        await store.lift_stop(1, MSISDN, once=once)

    assert await stopped_modes(store) == [Mode.TEAM, Mode.LIVE]


async def test_lists_come_in_pages_newest_first(store: Any) -> None:
    for n in range(5):
        await store.keep_reply(heard(minutes=n, msisdn=some_msisdn(n)))

    replies, stops, before = [], [], None
    for _ in range(3):
        page = await store.replies(1, before=before, limit=2)
        stopped = await store.stops(1, before=before, limit=2)
        replies.append([one.reply.msisdn for one in page.replies])
        stops.append([one.msisdn for one in stopped.stops])
        assert page.cursor == stopped.cursor
        before = page.cursor

    newest_first = [some_msisdn(n) for n in (4, 3, 2, 1, 0)]
    assert replies == stops == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    assert before is None


async def test_who_writes_on_and_on_pushes_out_only_their_own_replies(store: Any) -> None:
    await store.keep_reply(heard(msisdn=some_msisdn(1)))
    for n in range(120):
        await store.keep_reply(heard(ReplyKind.OTHER, text_masked=f"{'a' * n}"))

    page = await store.replies(1, limit=200)

    of_the_one = [one for one in page.replies if one.reply.msisdn == MSISDN]
    assert len(of_the_one) == 100
    assert of_the_one[0].reply.text_masked == "a" * 119
    assert len(page.replies) == 101


async def test_old_replies_are_swept_and_what_they_asked_for_stays(store: Any) -> None:
    await store.keep_reply(heard())
    await store.keep_reply(heard(ReplyKind.HELP, minutes=60))

    await store.sweep(NOW + 61 * MINUTE, keep_after=NOW + 30 * MINUTE, limit=10)

    assert await kinds(store) == [ReplyKind.HELP]
    assert await stopped_modes(store) == [Mode.TEAM, Mode.LIVE]


async def test_answered_is_who_sent_last_by_that_route(store: Any) -> None:
    older = await sent(store, "north", tenant=1)
    newer = await sent(store, "north", minutes=1, tenant=2)
    await sent(store, "south", minutes=2, tenant=3)
    await sent(store, "north", minutes=3, tenant=4, msisdn=some_msisdn(1))

    found = await store.answered_by(MSISDN, route="north")

    assert [one.id for one in found] == [newer.id, older.id]


async def test_answered_is_found_after_it_was_delivered_and_approved(store: Any) -> None:
    verification = await sent(store, "north")
    carrier = CarrierRef("north", verification.id.hex())
    await store.decide(carrier, settling(carrier, Outcome.DELIVERED))
    await store.decide(verification.id, checking(Typed.RIGHT))

    found = await store.answered_by(MSISDN, route="north")

    assert [one.id for one in found] == [verification.id]


async def test_text_whose_submit_is_not_noted_yet_is_answered_as_well_but_less_likely(store: Any) -> None:
    noted = await sent(store, "north", tenant=1)
    on_its_way = await sent(store, minutes=1, tenant=2)

    found = await store.answered_by(MSISDN, route="north")

    assert [one.id for one in found] == [noted.id, on_its_way.id]


async def test_pending_of_a_number_are_those_of_all_tenants_that_wait(store: Any) -> None:
    waiting = [await sent(store, minutes=n, tenant=n) for n in (1, 5, 900)]
    over = await sent(store, tenant=7)
    await store.decide(over.id, checking(Typed.RIGHT))
    await sent(store, msisdn=some_msisdn(1))

    found = await store.pending_of(MSISDN)

    assert [one.id for one in found] == [one.id for one in reversed(waiting)]


async def test_timeline_is_told_in_the_same_commit_and_once(store: Any) -> None:
    verification = await sent(store, "north")
    told = ReplyHeard(ms(NOW), "stop", "north")

    for _ in range(2):
        await store.keep_reply(heard(), answers=verification.id, events=(told,))

    timeline = await store.timeline(1, verification.id)
    assert [event for event in timeline if isinstance(event, ReplyHeard)] == [told]


async def test_stops_and_replies_outlive_a_restart(reopen: Reopen) -> None:
    async with reopen() as store:
        await store.keep_reply(heard())

    async with reopen() as store:
        assert await stopped_modes(store) == [Mode.TEAM, Mode.LIVE]
        assert await kinds(store) == [ReplyKind.STOP]
