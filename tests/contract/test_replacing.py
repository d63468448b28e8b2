"""What every store ends when a verification starts, and what it leaves alone."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dastak.core.factor import Factor
from dastak.core.policy import Channel
from dastak.core.ports import Change
from dastak.core.tenant import Mode
from dastak.core.verification import Particulars, State, Verification, resend
from tests.contract.test_factor_store import some_factor
from tests.support.samples import NOW, some_opening, some_verification


def asking(factor: Factor, **changes: Any) -> Verification:
    said = Particulars(channel=factor.kind, factor=factor.id.hex())
    return some_verification(particulars=said, **changes)


async def opened(store: Any, *verifications: Verification) -> None:
    """Open one after the other; for a question nothing is sent."""
    for one in verifications:
        asks = one.particulars.factor is not None
        await store.open(some_opening(one, message=None, trace=()) if asks else some_opening(one))


async def states(store: Any, *verifications: Verification) -> list[State]:
    return [(await store.find(one.tenant, one.id)).verification.state for one in verifications]


async def sent_instead(store: Any, question: Verification) -> None:
    """Have a text sent in the place of a question, as a resend does."""
    step = resend(question, Channel.SMS, now=NOW)
    await store.decide(question.id, lambda _: Change(answer=None, verification=step.verification))


@pytest.mark.parametrize("mode", Mode)
async def test_start_ends_nothing_of_another_mode(store: Any, mode: Mode) -> None:
    of_each = [some_verification(mode=each) for each in Mode]
    await opened(store, *of_each)

    await opened(store, some_verification(mode=mode))

    canceled = dict(zip(Mode, await states(store, *of_each), strict=True))
    assert canceled == {each: State.CANCELED if each is mode else State.PENDING for each in Mode}


async def test_starts_of_two_modes_at_once_both_stay(store: Any) -> None:
    both = [some_verification(mode=Mode.LIVE), some_verification(mode=Mode.TEST)]

    await asyncio.gather(*(store.open(some_opening(one)) for one in both))

    assert await states(store, *both) == [State.PENDING] * 2


async def test_code_that_is_sent_ends_what_was_sent_and_no_question_of_a_factor(store: Any) -> None:
    question = asking(await store.factors.put_factor(some_factor()))
    sent, newer = some_verification(), some_verification()
    await opened(store, sent, question)

    await opened(store, newer)

    assert await states(store, sent, question, newer) == [State.CANCELED, State.PENDING, State.PENDING]


async def test_question_of_a_factor_ends_those_of_that_factor_alone(store: Any) -> None:
    factor, of_somebody_else = [await store.factors.put_factor(some_factor()) for _ in range(2)]
    printed = await store.factors.put_factor(some_factor(kind=Channel.HOTP))
    old, newer = asking(factor), asking(factor)
    spared = [some_verification(), asking(of_somebody_else), asking(printed)]
    await opened(store, old, *spared)

    await opened(store, newer)

    assert await states(store, old, newer) == [State.CANCELED, State.PENDING]
    assert await states(store, *spared) == [State.PENDING] * 3


@pytest.mark.parametrize("by_factor", [False, True])
async def test_text_in_the_place_of_a_question_is_ended_by_either(store: Any, by_factor: bool) -> None:
    factor = await store.factors.put_factor(some_factor())
    question = asking(factor)
    await opened(store, question)
    await sent_instead(store, question)
    later = NOW + timedelta(seconds=1)

    await opened(
        store, asking(factor, created_at=later) if by_factor else some_verification(created_at=later)
    )

    assert await states(store, question) == [State.CANCELED]


async def test_start_ends_nothing_for_another_purpose_of_a_factor(store: Any) -> None:
    factor = await store.factors.put_factor(some_factor())
    payment = asking(factor)
    payment = replace(payment, particulars=replace(payment.particulars, purpose="payment"))
    await opened(store, payment)

    await opened(store, asking(factor))

    assert await states(store, payment) == [State.PENDING]
