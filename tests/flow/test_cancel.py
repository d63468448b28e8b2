"""What is canceled will never be approved; what is over cannot be canceled."""

import pytest

from dastak.core.errors import Conflict, NotFound
from dastak.core.events import VerificationCanceled
from dastak.core.message import MessageState
from dastak.core.verification import Reason, State
from dastak.flows.cancel import cancel
from tests.support.house import House
from tests.support.samples import some_id


async def test_canceled_verification_is_never_approved(house: House) -> None:
    started = await house.start()

    ended = await house.cancel(started)
    judged = await house.check(started, house.code(started))

    assert (ended.state, (await house.found(started)).state) == (State.CANCELED, State.CANCELED)
    assert (judged.approved, judged.reason) == (False, Reason.CANCELED)
    assert [event.cause for event in house.told_of(VerificationCanceled)] == ["canceled"]
    assert list(await house.timeline(started)) == house.told


async def test_text_of_a_canceled_verification_is_not_sent(house: House) -> None:
    started = await house.start()
    await house.cancel(started)

    await house.deliver()

    assert house.routes[0].offered == []
    assert await house.message_state(started) is MessageState.EXPIRED


async def test_cancel_erases_what_an_own_code_could_be_checked_against(house: House) -> None:
    ended = await house.cancel(await house.start(code="hunter2024"))

    assert (ended.own_code_digest, ended.own_code_sealed) == (None, None)


@pytest.mark.parametrize("end", [State.APPROVED, State.EXHAUSTED, State.EXPIRED, State.CANCELED])
async def test_what_is_over_cannot_be_canceled(house: House, end: State) -> None:
    started = await house.start()
    match end:
        case State.APPROVED:
            await house.check(started, house.code(started))
        case State.EXHAUSTED:
            for _ in range(5):
                await house.check(started, house.wrong(started))
        case State.EXPIRED:
            house.clock.advance(300)
        case _:
            await house.cancel(started)
    before = list(house.told)

    with pytest.raises(Conflict):
        await house.cancel(started)

    assert house.told == before
    assert (await house.check(started, "000000")).step.verification.state is end


async def test_other_tenants_verification_cannot_be_canceled(house: House) -> None:
    started = await house.start()

    for verification_id in (started.id, some_id()):
        with pytest.raises(NotFound):
            await cancel(house.ports, 2, verification_id)

    assert (await house.found(started)).state is State.PENDING
